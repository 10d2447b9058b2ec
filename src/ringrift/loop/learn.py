"""Make models: random weights, and candidates trained from the store, in a child process.

The functions named `*_here` run in the child and are the only ones that load torch.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.files import remove_partial
from ringrift.loop.child import Report, run_child
from ringrift.loop.plan import TrainingPlan, spec_of
from ringrift.loop.runs import read_json, write_json
from ringrift.models.registry import model_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ringrift.training.engine.report import Progress, TrainReport
    from ringrift.training.run import Job

REPORT = "candidate.json"
KEPT_DATASETS = 3
"""Newest datasets of a run whose samples stay on disk; of others the manifests do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """One training: the newest games of the store, from the model `parent`.

    `games_run` names the generation's own games; they set the number of steps. `folder` is that of
    the training; datasets are made below `npz`.
    """

    config: str
    store: Path
    objects: Path
    parent: str
    plan: TrainingPlan
    seed: int
    folder: Path
    games_run: str
    npz: Path
    cache: Path
    threads: int


class ChildLearner:
    """Makes models in child processes, one at a time."""

    def random_model(
        self,
        *,
        config: str,
        size: str,
        encoder: str,
        seed: int,
        objects: Path,
        stop: Callable[[], bool],
    ) -> str:
        """Write a model of random weights and return its id."""
        arguments = {
            "config": config,
            "size": size,
            "encoder": encoder,
            "seed": seed,
            "objects": objects,
        }
        made: str = run_child(random_model_here, arguments, what="model init", stop=stop)
        return made

    def candidate(
        self, order: TrainingOrder, *, on_report: Report, stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Train a candidate; its report appears in the folder after the model file is there."""
        order.folder.mkdir(parents=True, exist_ok=True)
        remove_partial(order.folder)
        run_child(
            train_here,
            {"order": order},
            what="training",
            on_report=on_report,
            stop=stop,
            threads=order.threads,
        )
        report: dict[str, Any] = read_json(order.folder / REPORT)
        return report


def random_model_here(
    report: Report, *, config: str, size: str, encoder: str, seed: int, objects: Path
) -> str:
    """Write a model of random weights; in the child."""
    del report
    from ringrift.nets.model_file import init_model

    return init_model(spec_of(config), size=size, encoder=encoder, seed=seed, folder=objects).stem


def train_here(report: Report, *, order: TrainingOrder) -> None:
    """Train, going on where a killed training of the same games was; in the child."""
    from ringrift.training.run import run_training

    def show(progress: Progress) -> None:
        losses = [progress.losses.get(name) or 0.0 for name in ("policy", "value")]
        report(
            {
                "step": progress.step,
                "steps": progress.steps,
                "loss": sum(losses),
                "samples_per_s": progress.samples_per_s,
            }
        )

    made = run_training(job_of(order), on_progress=show)
    write_json(order.folder / REPORT, summary(made, order))
    drop_old_samples(order)


def job_of(order: TrainingOrder) -> Job:
    """Return the training that an order asks for."""
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.request import Request, Shape
    from ringrift.training.run import Job
    from ringrift.training.sources import Places, Selection, Source

    plan = order.plan
    steps = max(1, math.ceil(new_samples(order) * plan.epochs / plan.batch_size))
    return Job(
        request=Request(
            kind="cnn",
            config=order.config,
            settings=TrainSettings(
                epochs=steps,  # an epoch has a step at least
                steps=steps,
                seed=order.seed,
                batch_size=plan.batch_size,
                learning_rate=plan.learning_rate,
                weight_decay=plan.weight_decay,
                policy_weight=plan.policy_weight,
                value_weight=plan.value_weight,
                sampling_weights=plan.sampling_weights,
                use_ema=plan.ema_decay > 0,
                ema_decay=plan.ema_decay,
                early_stopping_patience=0,
                threads=order.threads,
            ),
            selection=Selection(min_game_length=0, max_games=plan.window_games, max_reuse=None),
            shape=Shape(size=plan.size, encoder=plan.encoder),
        ),
        source=Source(stores=(order.store,)),
        places=Places(npz=order.npz, cache=order.cache),
        objects=order.objects,
        runs=order.folder.parent,
        run=order.folder,
        name=order.games_run,
        mode="renew",
        parent=model_path(order.objects, order.parent),
    )


def new_samples(order: TrainingOrder) -> int:
    """Count the searched plies of the generation's own games."""
    from ringrift.records.store import GameStore

    with GameStore.open(order.store) as store:
        games = store.records(order.config, purpose="selfplay", run=order.games_run)
        return sum(len(analysis.plies) for _, _, analysis in games if analysis is not None)


def summary(made: TrainReport, order: TrainingOrder) -> dict[str, Any]:
    """Return what the loop tells of a training: losses on its batches and on validation samples."""
    facts = read_json(order.folder / "dataset.json")
    last = made.epochs[-1]
    return {
        "model_id": made.model_id,
        "parent_id": order.parent,
        "dataset_id": made.dataset,
        "games": facts["games"] - facts["val_games"],
        "samples": facts["samples"] - facts["val_samples"],
        "steps": made.steps,
        "train": _losses(last.losses, "policy", "value"),
        "validation": _losses(made.best, "policy_loss", "value_loss") if made.best else None,
        "seconds": made.seconds,
        "samples_per_s": made.samples_per_s,
    }


def _losses(found: Mapping[str, float | None], policy: str, value: str) -> dict[str, float | None]:
    return {"policy_loss": found.get(policy), "value_loss": found.get(value)}


def drop_old_samples(order: TrainingOrder) -> None:
    """Remove the samples of all but the run's newest datasets; their manifests stay."""
    generations = order.folder.parent.parent
    used = sorted(generations.glob(f"*/{order.folder.name}/dataset.json"))
    ids = [json.loads(path.read_bytes())["id"] for path in used]
    for identity in set(ids) - set(ids[-KEPT_DATASETS:]):
        for part in (order.npz / order.config / identity).glob("part-*.npz"):
            part.unlink()
