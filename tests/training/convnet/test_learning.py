"""The convolutional net learns what can be learned, and does not learn what cannot (training.md 3)."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.nets.model_file import load_model
from ringrift.rules import BOARDS
from ringrift.training.convnet.task import ConvTask
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train

from ..nnue.tables import table_for
from .fitting import distinct, errors, fit, net_for, settle, task_for

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]
LARGE = ("square19", "hexagonal")


def learned_by_heart(board, players, size, steps):
    table = distinct(table_for(board, players, 2 if board in LARGE else 4), 64)
    task = task_for(table, size=size)
    fit(task, steps)
    settle(task, 1)
    excess, squares = errors(task)
    print(f"{board}_{players}p {size}: policy {excess:.4f} above the entropy, value {squares:.2g}")
    assert excess < 0.05
    assert squares < 0.01


@pytest.mark.slow
def test_64_positions_are_learned_by_heart():
    learned_by_heart("square8", 3, "micro", 120)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_64_positions_of_every_configuration_are_learned_by_heart(board, players):
    learned_by_heart(board, players, "tiny", 120)


def excess_loss(numbers):
    """The summed loss less the entropy of its targets."""
    return numbers["loss"] - numbers["policy_entropy"] - numbers["value_entropy"]


def run_of(folder, task, **options):
    """Train in `folder/run` by the engine; return its report."""
    config = RunConfig(
        settings=task.settings,
        net={"kind": task.kind, "size": task.net.architecture.size},
        dataset={"id": task.train_feed.table.dataset},
    )
    with open_run(folder / "run", config) as run:
        return train(
            task,
            task.settings,
            run,
            models=folder / "models",
            lineage=Lineage(training={"seed": task.settings.seed}),
            **options,
        )


@pytest.mark.slow
def test_an_interrupted_run_ends_in_the_model_of_an_unbroken_one(tmp_path):
    table = distinct(table_for("hex8", 3), 150)
    settings = TrainSettings(epochs=3, batch_size=16, seed=5)

    def task():
        return ConvTask.of(table, table, settings, net=net_for(table.spec))

    whole = run_of(tmp_path / "whole", task())
    asked = iter(range(1000))
    cut = run_of(tmp_path / "cut", task(), stop=lambda: next(asked) == 12)
    assert cut.status == "interrupted"
    assert cut.model_id is None
    resumed = run_of(tmp_path / "cut", task())
    assert resumed.status == whole.status == "finished"
    assert resumed.model_id == whole.model_id
    again = load_model(whole.model_path, table.spec)
    assert again.card["training"]["seed"] == 5
    numbers = ConvTask.of(table, table, settings, net=again.net).validate()
    best = min(epoch.validation["loss"] for epoch in whole.epochs)
    assert numbers["loss"] == pytest.approx(best, abs=1e-5)


@pytest.mark.acceptance
@pytest.mark.timed
@pytest.mark.timeout(1800)
def test_five_epochs_of_2000_samples_take_off_30_percent(tmp_path):
    table = table_for("square8", 2, 50)
    rng = np.random.default_rng(1)
    table = table.take(np.sort(rng.choice(len(table), 2000, replace=False)))
    settings = TrainSettings(
        epochs=5, batch_size=64, learning_rate=1e-3, warmup_epochs=0, threads=2, num_workers=1
    )
    task = ConvTask.of(table, table, settings, net=net_for(table.spec, "tiny"))
    before = excess_loss(task.validate())
    began = time.monotonic()
    report = run_of(tmp_path, task)
    took_s = time.monotonic() - began
    assert report.status == "finished"
    task.net = load_model(report.model_path, table.spec).net
    after = excess_loss(task.validate())
    print(f"loss less entropy {before:.3f} -> {after:.3f} in {took_s:.0f} s")
    assert after < 0.7 * before
    assert took_s < 180


@pytest.mark.slow
def test_shuffled_labels_do_not_generalise():
    table = table_for("square8", 2, 12)
    val = table.game % 4 == 0
    own, other = table.take(np.flatnonzero(~val)), table.take(np.flatnonzero(val))
    found = []
    for shuffled in (False, True):
        samples = with_shuffled_targets(own) if shuffled else own
        task = task_for(samples, other, size="micro", symmetries="auto")
        fit(task, 100)
        numbers = task.validate()
        found.append(numbers["policy_loss"] - numbers["policy_entropy"])
    uniform = entropy_gap_of_even(other)
    print(
        f"policy above entropy: {found[0]:.3f} learned, {found[1]:.3f} shuffled, {uniform:.3f} even"
    )
    assert found[0] < 0.5 * uniform
    assert found[1] > 0.8 * uniform


def with_shuffled_targets(table):
    """Give the shares of each distribution to its moves in a random order."""
    rng, probs = np.random.default_rng(1), table.policy_probs.copy()
    for i in range(len(table)):
        here = slice(table.policy_ptr[i], table.policy_ptr[i + 1])
        probs[here] = rng.permutation(probs[here])
    return replace(table, policy_probs=probs)


def entropy_gap_of_even(table):
    """Cross-entropy of the even policy less the entropy of the targets, mean over samples."""
    gaps = []
    for i in range(len(table)):
        p = table.policy_probs[table.policy_ptr[i] : table.policy_ptr[i + 1]]
        gaps.append(np.log(table.legal_count[i]) + float((p * np.log(p)).sum()))
    return float(np.mean(gaps))


def test_a_step_moves_every_part_of_the_net():
    table = distinct(table_for("square8", 3), 64)
    task = task_for(table, net=net_for(table.spec))
    before = {name: p.detach().clone() for name, p in task.net.named_parameters()}
    fit(task, 2)
    still = [n for n, p in task.net.named_parameters() if torch.equal(p, before[n])]
    assert still == []
