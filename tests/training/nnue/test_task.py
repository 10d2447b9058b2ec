"""The task: what is minimised, what changes on the way, what is measured, and what is saved."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.nets.container import read_card
from ringrift.nets.nnue.file import load_nnue
from ringrift.rules import BoardSpec, Position
from ringrift.rules.position import board_view
from ringrift.training.engine.task import Lineage, Moment
from ringrift.training.nnue.start import start_net
from ringrift.training.nnue.task import ROUNDED_FROM, move_logs

from .positions import positions
from .tables import first, learn, net_for, table_for, table_from, task_for

SQUARE8 = BoardSpec.create("square8", 2)


@pytest.fixture(scope="module")
def table():
    return first(table_for("square8", 2), 100)


def moment(done=0.0, step=0):
    return Moment(step=round(1000 * done) + step, steps=1000, epoch=0)


def one_batch(task, count=32):
    return next(task.val_feed.in_order(count))


def test_terms_and_objective_are_those_of_the_definition(table):
    task = task_for(table, table, policy_loss="kl", policy_weight=0.5, value_weight=2.0)
    task.begin_step(moment())
    batch = one_batch(task)
    batch = batch._replace(policy_weight=torch.arange(32.0), value_weight=torch.arange(32.0) + 5)
    found = task.loss(batch)
    x = task.net.accumulate(batch.inputs, batch.input_ptr)
    logs = move_logs(task.net.move_logits(x[:, 0], batch.entries, batch.entry_ptr), batch.legal)
    value = -(batch.win * torch.log_softmax(task.net.seat_logits(x), 1)).sum(1)
    ce = -(batch.target * logs).sum(1)
    entropy = -torch.where(batch.target > 0, batch.target * batch.target.log(), 0.0).sum(1)
    means = {name: float((t.total / t.weight).detach()) for name, t in found.terms.items()}
    p, v = batch.policy_weight / batch.policy_weight.sum(), batch.value_weight
    assert means["policy"] == pytest.approx(float((p * ce).sum().detach()), rel=1e-5)
    assert means["policy_entropy"] == pytest.approx(float((p * entropy).sum()), rel=1e-5)
    assert means["value"] == pytest.approx(float(((v * value).sum() / v.sum()).detach()), rel=1e-5)
    assert float(found.terms["value"].weight) == float(v.sum())
    expected = 0.5 * (means["policy"] - means["policy_entropy"]) + 2.0 * means["value"]
    assert float(found.objective.detach()) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_for_cross_entropy_alone(table):
    def objective(loss, smoothing):
        task = task_for(table, table, policy_loss=loss, label_smoothing=smoothing, value_weight=0.0)
        task.begin_step(moment())
        batch = one_batch(task)
        found = task.loss(batch)
        x = task.net.accumulate(batch.inputs, batch.input_ptr)
        logits = task.net.move_logits(x[:, 0], batch.entries, batch.entry_ptr)
        logs = move_logs(logits, batch.legal)
        even = -torch.where(batch.legal, logs, 0.0).sum(1) / batch.legal.sum(1)
        return float(found.objective.detach()), float((even.detach() * batch.policy_weight).sum()
                                             / batch.policy_weight.sum())  # fmt: skip

    plain, even = objective("ce", 0.0)
    assert objective("ce", 0.2)[0] == pytest.approx(0.8 * plain + 0.2 * even, rel=1e-5)
    assert objective("kl", 0.2)[0] == objective("kl", 0.0)[0]


def test_the_temperature_ends_at_that_of_play(table):
    """Logits are those of play times end / T; measuring knows no temperature."""
    task = task_for(table, table, temperature_start=2.0, temperature_end=0.5)
    still = task_for(table, table)
    told = []
    for done in (0.0, 0.5, 1.0):
        task.begin_step(moment(done))
        told.append(task.sharpness)
        assert task.validate() == still.validate()
    assert told == pytest.approx([0.25, 0.5 / 1.25, 1.0])
    task.begin_step(moment(0.0))
    batch = one_batch(task)
    x = task.net.accumulate(batch.inputs, batch.input_ptr)
    logits = task.net.move_logits(x[:, 0], batch.entries, batch.entry_ptr)
    logs = move_logs(logits * (0.5 / 2.0), batch.legal)
    found = task.losses(batch, learning=True).policy
    assert torch.allclose(found.cross_entropy, -(batch.target * logs).sum(1), atol=1e-6)


def test_rounding_is_simulated_in_the_last_fifth(table):
    task = task_for(table)
    seen = []
    for done in (0.0, ROUNDED_FROM - 0.001, ROUNDED_FROM, 1.0):
        task.begin_step(moment(done))
        seen.append(task.net.rounding)
    assert seen == [False, False, True, True]


def test_dropout_follows_from_the_step(table):
    task = task_for(table, table, dropout=0.5)
    batch = one_batch(task)

    def at(step):
        task.begin_step(moment(step=step))
        return float(task.loss(batch).terms["policy"].total.detach())

    assert at(3) == at(3)
    assert len({at(step) for step in range(5)}) == 5
    measured = task.validate()
    task.begin_step(moment(step=9))
    assert task.validate() == measured


def test_a_frozen_value_stays_as_it_is(table):
    task = task_for(table, table, freeze_value=True, learning_rate=0.01, epochs=5)
    before, measured = task.net.weights(), task.validate()
    learn(task)
    after = task.net.weights()
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed == {"policy.weight", "policy.bias", "policy.rows"}
    again = task.validate()
    assert again["value_loss"] == measured["value_loss"]
    assert again["policy_loss"] < measured["policy_loss"]
    with pytest.raises(UsageError, match="freeze-value"):
        task_for(table, policy=False, freeze_value=True)


def test_the_same_seed_gives_the_same_weights(table):
    def made(seed):
        task = task_for(table, symmetries="auto", dropout=0.1, epochs=3, batch_size=32, seed=seed)
        learn(task)
        return task.net.weights()

    a, b, other = made(1), made(1), made(2)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["inputs.weight"], other["inputs.weight"])


def test_weights_stay_within_their_integers(table):
    task = task_for(table, learning_rate=1.0, epochs=3, warmup_epochs=0, use_ema=False)
    learn(task)
    largest = {n: np.abs(w).max() for n, w in task.net.weights().items() if "bias" not in n}
    assert max(largest.values()) == pytest.approx(127 / 64)


def test_biases_do_not_decay(table):
    task = task_for(table, weight_decay=0.3)
    weights, biases = task.parameter_groups()
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.3, 0.0)
    assert {tuple(p.shape) for p in biases["params"]} == {(32,), (1,), (64,)}
    count = len(weights["params"]) + len(biases["params"])
    assert count == len(list(task.net.parameters()))


def test_what_is_measured_is_what_plays(table, tmp_path):
    """The measured losses are those of the saved file's integers."""
    task = task_for(table, table, learning_rate=0.01, epochs=10)
    learn(task)
    found = task.validate()
    path = task.save(tmp_path, Lineage(training={"seed": 1}))
    evaluator = load_nnue(path, SQUARE8).evaluator()
    losses, signs, tops = [], [], []
    for i in range(len(table)):
        position = Position.unpack(SQUARE8, table.states[i].tobytes())
        legal = position.legal_packed()
        offsets = np.array([0, len(legal)], np.int32)
        boards = board_view(SQUARE8)
        logits, values = evaluator.evaluate(position._states, boards, legal, offsets)
        logs = logits - math.log(np.exp(logits.astype(np.float64)).sum())
        here = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        target = dict(
            zip(table.policy_moves[here].tolist(), table.policy_probs[here].tolist(), strict=True)
        )
        shares = np.array([target.get(m, 0.0) for m in legal.tolist()])
        p = (1 + values[0, int(table.mover[i]) - 1]) / 2
        win = table.win[i, 0]
        losses.append((-(shares * logs).sum(), -win * math.log(p) - (1 - win) * math.log(1 - p)))
        signs.append((p > 0.5) == (table.rank[i, 0, 0] == 1))
        tops.append(shares[int(np.argmax(logits))] == shares.max())
    policy, value = np.average(losses, axis=0, weights=table.weight)
    assert found["policy_loss"] == pytest.approx(policy, rel=1e-4)
    assert found["value_loss"] == pytest.approx(value, rel=1e-4)
    assert found["sign_accuracy"] == pytest.approx(np.mean(signs))
    assert found["policy_top1"] == pytest.approx(np.mean(tops))
    assert found["policy_top1"] <= found["policy_top3"] <= found["policy_top5"]


def test_a_saved_model_goes_on_where_it_was(table, tmp_path):
    task = task_for(table, table, learning_rate=0.01, epochs=5)
    learn(task)
    lineage = Lineage(
        training={"samples": 100}, parents=({"id": "a" * 64, "role": "warm_start"},), label="mine"
    )
    path = task.save(tmp_path, lineage)
    _, card = read_card(path)
    assert card["kind"] == "nnue-policy"
    assert card["training"] == {"samples": 100}
    assert card["parents"] == [{"id": "a" * 64, "role": "warm_start"}]
    again = start_net(SQUARE8, hidden=32, policy=True, seed=5, parent=path)
    assert task_for(table, table, net=again).validate() == task.validate()
    bare = start_net(SQUARE8, hidden=32, policy=False, seed=5, parent=path)
    found = task_for(table, table, net=bare).validate()
    assert found["value_loss"] == task.validate()["value_loss"]
    assert "policy_loss" not in found
    with pytest.raises(UsageError, match="hidden_dim is 64; the model to begin with has 32"):
        start_net(SQUARE8, hidden=64, policy=True, seed=5, parent=path)


def test_a_value_net_gains_a_policy_head(table, tmp_path):
    task = task_for(table, policy=False, epochs=2)
    learn(task)
    path = task.save(tmp_path, Lineage(training={}))
    grown = start_net(SQUARE8, hidden=32, policy=True, seed=9, parent=path)
    weights, fresh = grown.weights(), net_for(SQUARE8, seed=9).weights()
    assert np.array_equal(weights["policy.rows"], fresh["policy.rows"])
    assert np.array_equal(weights["inputs.weight"], task.net.weights()["inputs.weight"])


@pytest.mark.parametrize("policy", [False, True])
def test_without_validation_samples_nothing_is_measured(table, policy):
    assert task_for(table, policy=policy).validate() == {}


def test_without_samples_nothing_begins(table):
    nothing = replace(table, policy_weight=np.zeros_like(table.policy_weight))
    with pytest.raises(NegativeResult, match="zero samples"):
        task_for(nothing)
    unfinished = replace(table, value_weight=np.zeros_like(table.value_weight))
    with pytest.raises(NegativeResult, match="zero samples"):
        task_for(unfinished, policy=False)
    assert task_for(unfinished, unfinished).validate()["value_loss"] is None


def test_facts_say_what_was_chosen(table):
    few = np.where(np.arange(100) < 20, 1, 0).astype(np.bool_)
    task = task_for(replace(table, searched=few), table, kl_min_samples=10)
    facts = task.facts()
    assert facts["policy"]["loss"] == "ce"
    assert facts["policy"]["coverage"] == pytest.approx(0.2)
    assert (facts["samples"], facts["validation_samples"], facts["value_samples"]) == (100,) * 3
    assert facts["parameters"] == sum(w.size for w in task.net.weights().values())
    task = task_for(replace(table, searched=few), kl_min_samples=10, kl_min_coverage=0.1)
    assert task.facts()["policy"]["loss"] == "kl"
    assert int((task.train_feed.table.policy_weight > 0).sum()) == 20


def test_a_sampler_weighs_the_losses():
    table = table_from(positions(SQUARE8, 60))
    kinds = np.where(np.arange(60) < 45, 0, 1).astype(np.int8)
    task = task_for(replace(table, victory_type=kinds), sampling_weights="victory_type")
    policy = task.train_feed.table.policy_weight
    assert policy[45:].sum() == pytest.approx(policy[:45].sum(), rel=0.1)
    assert (task.train_feed.table.value_weight == 1).all()
