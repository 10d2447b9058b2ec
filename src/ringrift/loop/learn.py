"""Make models: random weights, and candidates trained from the store, in a child process.

The functions named `*_here` run in the child and are the only ones that load torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.files import remove_partial
from ringrift.loop.child import Report, run_child
from ringrift.loop.plan import TrainingPlan, spec_of
from ringrift.loop.runs import read_json
from ringrift.models.registry import model_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrder:
    """One training: the newest games of the store up to `up_to_seq`, from the model `parent`.

    `games_run` names the generation's own games; they set the number of steps.
    """

    config: str
    store: Path
    objects: Path
    parent: str
    plan: TrainingPlan
    seed: int
    folder: Path
    games_run: str
    up_to_seq: int
    threads: int


class ChildLearner:
    """Makes models in child processes, one at a time."""

    def random_model(
        self, *, config: str, size: str, seed: int, objects: Path, stop: Callable[[], bool]
    ) -> str:
        """Write a model of random weights and return its id."""
        arguments = {"config": config, "size": size, "seed": seed, "objects": objects}
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


def random_model_here(report: Report, *, config: str, size: str, seed: int, objects: Path) -> str:
    """Write a model of random weights; in the child."""
    del report
    from ringrift.nets.model_file import init_model

    return init_model(spec_of(config), size=size, seed=seed, folder=objects).stem


def train_here(report: Report, *, order: TrainingOrder) -> None:
    """Train; in the child."""
    from ringrift.records.store import GameStore
    from ringrift.training.trainer import Progress, TrainOptions, train

    def show(progress: Progress) -> None:
        report(
            {
                "step": progress.step,
                "steps": progress.steps,
                "loss": progress.policy_loss + progress.value_loss,
                "samples_per_s": progress.samples_per_s,
            }
        )

    plan = order.plan
    with GameStore.open(order.store) as store:
        new = new_samples(store, order)
        train(
            store,
            spec_of(order.config),
            options=TrainOptions(
                steps=max(1, math.ceil(new * plan.epochs / plan.batch_size)),
                seed=order.seed,
                batch_size=plan.batch_size,
                learning_rate=plan.learning_rate,
                ema_decay=plan.ema_decay,
                threads=order.threads,
            ),
            models=order.objects,
            run_folder=order.folder,
            parent=model_path(order.objects, order.parent),
            games=plan.window_games,
            up_to_seq=order.up_to_seq,
            on_progress=show,
        )


def new_samples(store: Any, order: TrainingOrder) -> int:
    """Count the searched plies of the generation's own games."""
    games = store.records(order.config, purpose="selfplay", run=order.games_run)
    return sum(len(analysis.plies) for _, _, analysis in games if analysis is not None)
