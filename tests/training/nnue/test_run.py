"""A NNUE in the training loop: broken off and gone on with, and the model that comes of it."""

import numpy as np
import pytest
import torch

from ringrift.nets.nnue.file import weights_of
from ringrift.rules import BoardSpec
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train

from .positions import positions
from .tables import net_for, table_from, task_for

SPEC = BoardSpec.create("square8", 3)


@pytest.fixture(scope="module")
def tables():
    return tuple(table_from(positions(SPEC, n, seed=n)) for n in (96, 40))


def trained(folder, tables, *, stops=()):
    """Train in `folder`, stopped at the given steps; return report, weights of the model."""
    todo, report = [*stops, None], None
    for stop in todo:
        task = task_for(
            *tables, batch_size=16, epochs=5, dropout=0.2, symmetries="auto",
            temperature_start=2.0, temperature_end=0.5, label_smoothing=0.1, learning_rate=3e-3,
        )  # fmt: skip
        config = RunConfig(settings=task.settings, net={"kind": task.kind}, dataset={"id": "d"})
        counted = [0]

        def over(counted=counted, stop=stop):
            counted[0] += 1
            return counted[0] == stop

        with open_run(folder / "run", config) as run:
            report = train(
                task,
                task.settings,
                run,
                models=folder / "models",
                lineage=Lineage(training={"seed": 42}),
                stop=over,
            )
        assert (report.status == "interrupted") == (stop is not None)
    _, weights = weights_of(report.model_path, SPEC)
    return report, weights


@pytest.mark.slow
def test_a_run_that_was_broken_off_ends_in_the_same_weights(tables, tmp_path):
    whole, weights = trained(tmp_path / "whole", tables)
    broken, again = trained(tmp_path / "broken", tables, stops=(7,))
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    assert whole.model_id == broken.model_id
    assert whole.kind == "nnue-policy"
    assert whole.facts["policy"]["loss"] == "kl"
    assert whole.facts["policy"]["coverage"] == 1.0
    losses = [epoch.validation["loss"] for epoch in whole.epochs]
    assert len(losses) == 5
    assert losses[-1] < losses[0]
    parts = whole.epochs[-1].losses
    assert set(parts) >= {"policy", "policy_entropy", "value", "value_entropy"}
    assert whole.epochs[-1].validation["policy_top1"] <= 1


@pytest.mark.gpu
def test_losses_and_gradients_are_those_of_the_cpu(tables):
    found = []
    for device in ("cpu", "cuda"):
        task = task_for(*tables, net=net_for(SPEC, hidden=64))
        task.net.to(device)
        batch = next(task.val_feed.in_order(40))
        batch = type(batch)(*(tensor.to(device) for tensor in batch))
        loss = task.loss(batch)
        loss.objective.backward()
        gradients = {name: p.grad.cpu() for name, p in task.net.named_parameters()}
        found.append((float(loss.objective.detach()), gradients, task.validate()))
    (a, of_a, seen_a), (b, of_b, seen_b) = found
    assert a == pytest.approx(b, rel=1e-4)
    assert seen_a == pytest.approx(seen_b, rel=1e-4)
    for name, gradient in of_a.items():
        assert torch.allclose(gradient, of_b[name], rtol=1e-3, atol=1e-5), name
