"""The task of the convolutional net: its loss to the digit, its parity with play, its repeatability."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.core.errors import NegativeResult
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.model_file import load_model, read_card
from ringrift.nets.network import MaskedNorm, seat_values
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables
from ringrift.training.convnet.loss import (
    AUXILIARY,
    legal_logits,
    legal_moves,
    losses_of,
    scene_of,
    smoothed,
)
from ringrift.training.convnet.task import ConvTask
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Lineage, Task
from ringrift.training.samples.cnn import CnnBatch

from ..nnue.tables import first, none_of, table_for
from .fitting import fit, net_for, settle, task_for

CONFIGS = [("square8", 2), ("square8", 4), ("hex8", 3)]


def outputs_of(net, batch):
    with torch.no_grad():
        return net(scene_of(batch.planes), batch.numbers, auxiliary=True)


@pytest.mark.parametrize(("board", "players"), [*CONFIGS, ("hexagonal", 2)])
def test_training_sees_the_logits_and_values_that_play_sees(board, players):
    table = table_for(board, players, 2, 90 if board == "hexagonal" else None)
    rows = np.unique(np.concatenate((np.arange(0, len(table), 9), slides_of(table))))
    some = table.take(rows)
    task = task_for(some, size="tiny")
    fit(task, 4)
    (batch,) = task.train_feed.in_order(len(some))
    outputs = outputs_of(task.net, batch)
    logits = legal_logits(outputs, batch)
    positions = [Position.unpack(table.spec, row.tobytes()) for row in some.states]
    legal = [p.legal_packed() for p in positions]
    offsets = np.zeros(len(legal) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in legal])
    states = np.concatenate([p._states for p in positions])
    played = NetEvaluator(task.net, table.spec).evaluate(
        states, board_tables(table.spec), np.concatenate(legal), offsets
    )
    np.testing.assert_allclose(logits[legal_moves(batch)].numpy(), played[0], atol=1e-5)
    relative = seat_values(outputs).numpy()
    for i, p in enumerate(positions):
        turned = np.roll(relative[i], p.current_player - 1)
        np.testing.assert_allclose(turned, played[1][i], atol=1e-5)


def slides_of(table):
    return np.flatnonzero(table.sym_mask == 1)[:20]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_the_objective_is_the_weighted_sum_of_its_parts(board, players):
    table = first(table_for(board, players), 64)
    task = task_for(table, policy_weight=2.0, value_weight=3.0)
    (batch,) = task.batches(0)
    found = task.loss(batch)
    mean = {name: float(t.total / t.weight) for name, t in found.terms.items()}
    assert ("rank" in mean) == (players > 2)
    expected = 2.0 * mean["policy"] + 3.0 * mean["value"]
    expected += sum(weight * mean.get(name, 0.0) for name, weight in AUXILIARY.items())
    assert float(found.objective.detach()) == pytest.approx(expected, rel=1e-5)
    assert AUXILIARY == {"rank": 0.5, "owner": 0.15, "margins": 0.05}


def test_each_part_is_that_of_its_formula():
    table = replace(first(table_for("square8", 3), 40))
    task = task_for(table)
    (batch,) = task.train_feed.in_order(40)
    outputs = outputs_of(task.net.eval(), batch)
    found = losses_of(outputs, batch)
    logits = legal_logits(outputs, batch)
    logs = {name: torch.log_softmax(getattr(outputs, name), -1) for name in ("win", "rank")}
    owner = torch.log_softmax(outputs.owner, 1)
    for i in range(0, 40, 7):
        n = int(batch.legal_count[i])
        p = torch.softmax(logits[i, :n], 0)
        t = batch.target[i, :n]
        assert float(found.policy[i]) == pytest.approx(float(-(t * p.log()).sum()), rel=1e-5)
        t = t[t > 0]
        assert float(found.policy_entropy[i]) == pytest.approx(
            float(-(t * t.log()).sum()), abs=1e-6
        )
        value = -(batch.win[i] * logs["win"][i]).sum()
        assert float(found.value[i]) == pytest.approx(float(value), rel=1e-5)
        rank = -(batch.rank[i] * logs["rank"][i]).sum() / 3
        assert float(found.rank[i]) == pytest.approx(float(rank), rel=1e-5)
        cells = [
            owner[i, int(c), y, x]
            for y, row in enumerate(batch.owner[i])
            for x, c in enumerate(row)
        ]
        assert len(cells) == 64
        assert float(found.owner[i]) == pytest.approx(-float(sum(cells)) / 64, rel=1e-5)
        gap = (outputs.margins[i] - batch.margins[i]).abs()
        huber = torch.where(gap < 1, gap.square() / 2, gap - 0.5).mean()
        assert float(found.margins[i]) == pytest.approx(float(huber), rel=1e-5)


def test_owners_outside_the_board_do_not_count():
    table = first(table_for("hex8", 3), 20)
    task = task_for(table)
    (batch,) = task.train_feed.in_order(20)
    net = task.net.eval()
    outputs = outputs_of(net, batch)
    off = (batch.owner < 0)[:, None].expand_as(outputs.owner)
    assert off.any()
    shaken = outputs._replace(owner=torch.where(off, torch.randn(off.shape) * 9, outputs.owner))
    assert torch.allclose(losses_of(outputs, batch).owner, losses_of(shaken, batch).owner)


def test_a_batch_loses_what_its_samples_lose():
    table = table_for("square8", 3, 12)
    table = table.take(np.concatenate((np.arange(24), slides_of(table)[:4])))
    task = task_for(table)
    task.net.eval()
    whole = losses_of(outputs_of(task.net, batch := next(task.train_feed.in_order(28))), batch)
    for i in range(len(table)):
        one = task.train_feed.prepared.batch(np.array([i]), np.zeros(1, np.int64))
        alone = losses_of(outputs_of(task.net, one), one)
        assert float(alone.policy[0]) == pytest.approx(float(whole.policy[i]), rel=1e-4)
        assert float(alone.value[0]) == pytest.approx(float(whole.value[i]), rel=1e-4)
    assert float(whole.logs.exp()[~legal_moves(batch)].abs().sum()) == 0


def test_smoothing_spreads_over_legal_moves_alone():
    table = first(table_for("square8", 2), 30)
    (batch,) = task_for(table).train_feed.in_order(30)
    target = smoothed(batch, 0.1)
    assert torch.allclose(target.sum(1), torch.ones(30))
    assert not target[~legal_moves(batch)].any()
    even = 0.1 / batch.legal_count[:, None]
    assert torch.allclose(target, 0.9 * batch.target + even * legal_moves(batch))
    assert smoothed(batch, 0.0) is batch.target


def test_biases_and_norms_do_not_decay():
    task = task_for(first(table_for("square8", 3), 8), weight_decay=0.5)
    decayed, kept = task.parameter_groups()
    assert decayed["weight_decay"] == 0.5
    assert kept["weight_decay"] == 0.0
    norms = {id(p) for m in task.net.modules() if isinstance(m, MaskedNorm) for p in m.parameters()}
    biases = {id(p) for n, p in task.net.named_parameters() if n.endswith("bias") and p.dim() == 1}
    assert {id(p) for p in kept["params"]} == norms | biases
    assert len(decayed["params"]) + len(kept["params"]) == len(list(task.net.parameters()))


def test_weights_of_samplers_multiply_those_of_the_table():
    table = table_for("square8", 2, 12)
    assert len(set(table.victory_type.tolist())) > 1
    settings = TrainSettings(sampling_weights="victory_type", batch_size=64)
    task = ConvTask.of(table, none_of(table), settings, net=net_for(table.spec))
    used = task.train_feed.table
    assert not np.allclose(used.policy_weight, table.policy_weight)
    assert (used.value_weight == table.value_weight).all()
    sums = [
        float(used.policy_weight[table.victory_type == kind].sum())
        for kind in set(table.victory_type.tolist())
    ]
    assert max(sums) / min(sums) < 1.2


def test_the_validation_side_keeps_its_own_weights_and_no_symmetries():
    table = table_for("square8", 2, 6)
    settings = TrainSettings(batch_size=64)
    task = ConvTask.of(table, table, settings, net=net_for(table.spec))
    assert (task.val_feed.table.policy_weight == table.policy_weight).all()
    one, two = (task.validate() for _ in range(2))
    assert one == two
    assert set(one) >= {"loss", "policy_loss", "value_loss", "policy_top1", "sign_accuracy"}
    assert one["policy_top1"] <= one["policy_top3"] <= one["policy_top5"] <= 1
    assert ConvTask.of(table, none_of(table), settings, net=net_for(table.spec)).validate() == {}


def test_accuracies_are_those_of_plain_counting():
    table = first(table_for("square8", 4), 60)
    task = task_for(table, table)
    fit(task, 10)
    said = task.validate()
    (batch,) = task.train_feed.in_order(60)
    outputs = outputs_of(task.net, batch)
    logits, values = legal_logits(outputs, batch), seat_values(outputs)[:, 0]
    hits, right, decided = [0, 0, 0], 0, 0
    for i in range(60):
        n = int(batch.legal_count[i])
        target = batch.target[i, :n]
        best = set(torch.nonzero(target == target.max())[:, 0].tolist())
        order = torch.sort(logits[i, :n], descending=True, stable=True).indices.tolist()
        for k, top in enumerate((1, 3, 5)):
            hits[k] += not best.isdisjoint(order[:top])
        mean = float(batch.rank[i, 0] @ torch.linspace(1, -1, 4))
        if mean and batch.value_weight[i]:
            decided += 1
            right += (float(values[i]) > 0) == (mean > 0)
    assert [said[f"policy_top{k}"] for k in (1, 3, 5)] == pytest.approx([h / 60 for h in hits])
    assert said["sign_accuracy"] == pytest.approx(right / decided)
    parts = said["policy_loss"] + said["value_loss"]
    parts += sum(weight * said[f"{name}_loss"] for name, weight in AUXILIARY.items())
    assert said["loss"] == pytest.approx(parts)


def test_a_reloaded_model_has_the_same_validation_loss(tmp_path):
    table = table_for("square8", 3)
    task = task_for(first(table, 64), table, size="tiny")
    fit(task, 8)
    settle(task)
    lineage = Lineage(training={"seed": 1}, parents=({"id": "ab" * 32, "role": "warm_start"},))
    path = task.save(tmp_path, lineage)
    card = read_card(path)[1]
    assert card["training"] == {"seed": 1}
    assert card["parents"] == list(lineage.parents)
    again = task_for(first(table, 64), table, net=load_model(path, table.spec).net)
    assert again.validate()["loss"] == pytest.approx(task.validate()["loss"], abs=1e-5)


@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3)])
def test_same_seed_same_bits(board, players):
    table = table_for(board, players)
    found = []
    for seed, streaming, workers in ((7, False, 1), (7, True, 2), (8, False, 1)):
        options = {"seed": seed, "streaming": streaming, "num_workers": workers}
        task = task_for(table, symmetries="auto", batch_size=32, **options)
        fit(task, 5)
        found.append(torch.cat([p.detach().flatten() for p in task.net.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_table_without_weight_has_nothing_to_teach():
    table = table_for("square8", 2)
    zero = np.zeros(len(table), np.float32)
    with pytest.raises(NegativeResult, match="zero samples"):
        task_for(replace(table, policy_weight=zero, value_weight=zero))
    with pytest.raises(NegativeResult, match="none of 0"):
        task_for(none_of(table))
    task = task_for(replace(table, policy_weight=zero), table)
    assert torch.isfinite(task.loss(next(task.batches(0))).objective)


def test_few_samples_are_one_batch():
    task = task_for(first(table_for("square8", 2), 10), batch_size=64)
    assert (task.batches_per_epoch, task.batch_samples) == (1, 10)
    assert [len(b.planes) for b in task.batches(3)] == [10]
    task = task_for(first(table_for("square8", 2), 70), batch_size=32)
    assert (task.batches_per_epoch, task.batch_samples) == (2, 32)
    assert len(list(task.batches(0, first=1))) == 1


def test_the_task_is_what_the_loop_takes():
    table = first(table_for("square8", 2), 10)
    task: Task[CnnBatch] = task_for(table)
    assert task.kind == "cnn"
    facts = task.facts()
    assert facts["samples"] == facts["policy_samples"] == facts["searched_samples"] == 10
    assert facts["encoder"] == "planes1"
    assert facts["streamed"] is False
