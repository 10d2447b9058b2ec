"""A model: of random weights, or trained over a dataset from the weights of another."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, cast

from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import UsageError
from ringrift.core.ids import short
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock
from ringrift.loop.work.training_request import request_of, shape_of, steps_of
from ringrift.loop.work.verify import holdout_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.cluster.job_child import JobContext
    from ringrift.loop.job_specs import TrainSpec
    from ringrift.training.engine.report import Progress, TrainReport
    from ringrift.training.run import Job

KEPT_CHECKPOINTS = 2
"""Newest finished trainings of a configuration whose checkpoints stay."""


def run(context: JobContext) -> Outcome:
    """Make the model of a `TrainSpec`; it lies in the registry when this returns.

    A training that was killed goes on from its newest checkpoint in `runs/<config>/loop/<job id>`
    and gives the same model. Numbers: `model_id`, `kind`, `seconds`, `cpu_seconds`; of random
    weights `init`; of a training `parent` and those of `numbers_of` and `verify.holdout_numbers`.
    """
    clock = Clock()
    asked = cast("TrainSpec", checked(context.job.kind, context.job.spec))
    paths = Paths(context.root)
    if asked.init == "random":
        made = {"model_id": random_model(paths, asked), "init": asked.init}
        return Outcome(numbers={**made, "kind": asked.kind, **clock.numbers()})
    report, before = _trained(paths, asked, context)
    if report.model_id is None:
        return Outcome(complete=False)
    numbers = {
        **numbers_of(report),
        "parent": asked.parent,
        **holdout_numbers(paths, report.model_id, context),
    }
    drop_checkpoints(before.parent, keep=before.name)
    return Outcome(numbers={**numbers, **clock.numbers()})


def random_model(paths: Paths, asked: TrainSpec) -> str:
    """Write the model of random weights of a spec and return its id; its card says that it is."""
    from ringrift.rules import BoardSpec, parse_config

    if asked.parent is not None or asked.dataset is not None:
        raise UsageError("random weights have no parent and no dataset", where="spec.init")
    spec = BoardSpec.create(*parse_config(asked.config))
    shape = shape_of(asked.kind, asked.config, asked.values)
    if asked.kind == "cnn":
        from ringrift.nets.model_file import init_model

        assert shape.size is not None
        assert shape.encoder is not None
        return init_model(
            spec,
            size=shape.size,
            encoder=shape.encoder,
            seed=asked.seed,
            folder=paths.model_objects,
        ).stem
    from ringrift.nets.nnue.file import init_nnue

    assert shape.hidden is not None
    assert shape.layers is not None
    return init_nnue(
        spec,
        folder=paths.model_objects,
        seed=asked.seed,
        hidden=shape.hidden,
        layers=shape.layers,
        policy=asked.kind == "nnue-policy",
    ).stem


def _trained(paths: Paths, asked: TrainSpec, context: JobContext) -> tuple[TrainReport, Path]:
    """Train until the end or until stopped; return the report and the folder of the run."""
    from ringrift.training.run import run_training

    job = training_job(paths, asked, context)
    assert job.run is not None

    def on_progress(found: Progress) -> None:
        context.report(
            done=found.step,
            total=found.steps,
            epoch=found.epoch,
            loss=_total(found.losses),
            samples_per_s=found.samples_per_s,
            eta_s=found.eta_s,
        )

    return run_training(job, on_progress=on_progress, stop=context.stop), job.run


def training_job(paths: Paths, asked: TrainSpec, context: JobContext) -> Job:
    """Return the training that a spec asks for.

    Raises `UsageError` without a dataset and for a value that the trainer does not take,
    `DataError` where the dataset or the parent is not here.
    """
    from ringrift.models.registry import find_model
    from ringrift.nets.container import read_card
    from ringrift.training.reuse import passes_over_games
    from ringrift.training.run import Job
    from ringrift.training.sources import Places, Source

    if asked.dataset is None:
        raise UsageError("a training needs a dataset, or init: random", where="spec.dataset")
    folder = paths.npz / asked.config / asked.dataset
    parent = None if asked.parent is None else find_model(paths.model_objects, asked.parent)
    uses = {} if parent is None else passes_over_games(parent, paths.model_objects, paths.npz)
    options: dict[str, Any] = {
        "seed": asked.seed,
        "threads": context.threads,
        "parent": None if parent is None else read_card(parent)[1],
    }
    request = request_of(asked.kind, asked.config, asked.values, **options)
    if "steps" not in asked.values.options:
        batch = request.settings.batch_size * request.settings.gradient_accumulation_steps
        steps = steps_of(folder, uses, asked.values, batch)
        request = request_of(asked.kind, asked.config, asked.values, steps=steps, **options)
    return Job(
        request=request,
        source=Source(data_path=folder),
        places=Places(npz=paths.npz, cache=paths.cache),
        objects=paths.model_objects,
        runs=paths.runs,
        run=paths.runs / asked.config / "loop" / short(context.job.id),
        mode="renew",
        parent=parent,
        stores=(paths.game_store,) if paths.game_store.is_file() else (),
        holdout=False,
        curves=False,
        snapshot_s=asked.snapshot_s,
        extra={"job": context.job.id},
    )


def numbers_of(report: TrainReport) -> dict[str, Any]:
    """Return what the loop tells of a training.

    `losses` are the mean training losses by epoch and `validation` the validation losses, nats;
    `coverage` and `policy_loss` say which policy loss was used and why it could be;
    `validation_temperature` is what divides the value logits of those samples for the least loss.
    """
    policy = report.facts.get("policy") or {}
    calibration = report.calibration or {}
    return {
        "model_id": report.model_id,
        "dataset": report.dataset,
        "kind": report.kind,
        "run": report.run,
        "epochs": len(report.epochs),
        "steps": report.steps,
        "samples": report.facts.get("samples"),
        "samples_per_s": report.samples_per_s,
        "losses": [_total(epoch.losses) for epoch in report.epochs],
        "validation": [epoch.validation.get("loss") for epoch in report.epochs],
        "coverage": policy.get("coverage"),
        "policy_loss": policy.get("loss"),
        "validation_temperature": calibration.get("optimal_temperature"),
        "validation_ece": calibration.get("ece"),
        "validation_brier": calibration.get("brier_score"),
    }


def _total(losses: Any) -> float | None:
    """Return the sum of policy and value loss, None where neither is known."""
    known = [losses[name] for name in ("policy", "value") if losses.get(name) is not None]
    return sum(known) if known else None


def drop_checkpoints(runs: Path, *, keep: str) -> None:
    """Remove the checkpoints of finished trainings in `runs`, but of `keep` and the newest."""
    from ringrift.training.engine.run_folder import BEST, CHECKPOINTS, REPORT

    reports = sorted(runs.glob(f"*/{REPORT}"), key=lambda path: -path.stat().st_mtime)
    for report in reports[KEPT_CHECKPOINTS:]:
        if report.parent.name != keep:
            for name in (CHECKPOINTS, BEST):
                shutil.rmtree(report.parent / name, ignore_errors=True)
