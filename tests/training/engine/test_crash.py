"""A training that is killed again and again ends in the same bits as one that never was."""

import numpy as np
import pytest
from safetensors.torch import load_file

from ringrift.training.engine import trainer
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import Lineage
from ringrift.training.request import Shape
from ringrift.training.tasks import start_net, task_of

from ..nnue.tables import first, table_for
from .processes import kill_and_compare
from .toy import STEPS_PER_EPOCH, train_slowly, weights

NET_SAMPLES, NET_BATCH, NET_EPOCHS = 480, 32, 4


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "epochs", "checkpoint_s"), [(3, 6, 0.05), (2, 2, 0.0)])
def test_killed_a_few_times_it_ends_in_the_same_bits(tmp_path, kills, epochs, checkpoint_s):
    kill_and_compare(
        tmp_path,
        train_slowly,
        weights,
        kills=kills,
        steps=epochs * STEPS_PER_EPOCH,
        epochs=epochs,
        checkpoint_s=checkpoint_s,
    )


@pytest.mark.acceptance
@pytest.mark.parametrize("checkpoint_s", [0.2, 0.0])
def test_killed_ten_times_it_ends_in_the_same_bits(tmp_path, checkpoint_s):
    kill_and_compare(
        tmp_path,
        train_slowly,
        weights,
        kills=10,
        steps=60 * STEPS_PER_EPOCH,
        epochs=60,
        checkpoint_s=checkpoint_s,
    )


def train_net(folder, *, kind):
    """Train a small net on a few games, with everything random that it has."""
    trainer.CHECKPOINT_EVERY_S = 0.0
    policy = kind == "nnue-policy"
    table = first(table_for("square8", 2, 12), NET_SAMPLES + 64)
    settings = TrainSettings(
        epochs=NET_EPOCHS,
        batch_size=NET_BATCH,
        learning_rate=3e-3,
        policy_weight=0.0 if kind == "nnue" else 1.0,
        dropout=0.1 if policy else 0.0,
        temperature_start=2.0 if policy else 1.0,
    )
    net = start_net(kind, table.spec, Shape(size="tiny", hidden=32), seed=1).net
    train, val = (table.take(rows) for rows in split_rows(len(table)))
    task = task_of(kind, train, val, settings, net)
    config = RunConfig(settings=settings, net={"kind": kind}, dataset={"id": table.dataset})
    with open_run(folder / "run", config) as run:
        trainer.train(task, settings, run, models=folder / "models", lineage=Lineage(training={}))


def split_rows(count):
    rows = np.random.default_rng(0).permutation(count)
    return np.sort(rows[:NET_SAMPLES]), np.sort(rows[NET_SAMPLES:])


def net_weights(folder):
    (path,) = folder.glob("models/??/*.safetensors")
    return load_file(path)


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", ["cnn", "nnue", "nnue-policy"])
def test_each_net_killed_ten_times_ends_in_the_same_bits(tmp_path, kind):
    kill_and_compare(
        tmp_path,
        train_net,
        net_weights,
        kills=10,
        steps=NET_SAMPLES // NET_BATCH * NET_EPOCHS,
        kind=kind,
    )
