"""A study of one training: what it learns from, what is searched, who plays, what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.tuning.hp.contest import ContestRules, contest
from ringrift.tuning.hp.report import report_of, write_report
from ringrift.tuning.hp.space import distributions
from ringrift.tuning.hp.trials import TrainingTrials
from ringrift.tuning.hp.tune import Tuned, order_of, tune

if TYPE_CHECKING:
    from ringrift.core.hyperparameters import SearchSpace
    from ringrift.training.run import Job
    from ringrift.tuning.hp.study import TrialOutcome

Count = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a study.

    `kind` is that of the trainer (`tune hp --kind`), `names` what is searched within `space`. `trials`
    are those in all, earlier ones included; none begins after `timeout_s`. Without `rules` no games
    are played. `extra` is told in the report.
    """

    kind: str
    names: tuple[str, ...]
    space: SearchSpace
    trials: int
    epochs: int
    seed: int
    timeout_s: float | None = None
    rules: ContestRules | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told of a study's trials and games, and says when it shall stop."""

    on_export: Count = lambda done, total: None
    on_trial: Callable[[TrialOutcome], None] = lambda one: None
    on_game: Count = lambda done, total: None
    stop: Callable[[], bool] = lambda: False


def make_study(
    job: Job, wanted: Wanted, *, folder: Path, file: Path, resume: bool = True, watching: Watching
) -> tuple[Tuned, dict[str, Any]]:
    """Make a study of a training and return what came of it, and its report.

    `folder` keeps trials, models and games, `file` is the hyper-parameter file. The report is written
    unless the study was interrupted. Raises as `TrainingTrials`, `run_study`, `tune` and `contest`.
    """
    request = job.request
    trials = TrainingTrials(
        job, folder, epochs=wanted.epochs, on_export=watching.on_export, stop=watching.stop
    )
    present = trials.present(wanted.names)
    shape = request.shape.as_dict()
    order = order_of(
        distributions(wanted.space, wanted.names),
        present,
        key={
            "config": request.config,
            "kind": wanted.kind,
            "dataset": trials.dataset,
            "epochs": wanted.epochs,
            "shape": {name: shape[name] for name in shape if name not in wanted.names},
        },
        trials=wanted.trials,
        seed=wanted.seed,
        timeout_s=wanted.timeout_s,
    )
    play = None
    if wanted.rules is not None:
        play = partial(
            contest,
            rules=wanted.rules,
            config=request.config,
            folder=folder,
            seed=wanted.seed,
            workers=max(1, job.workers),
            device=request.settings.device,
            on_progress=watching.on_game,
            stop=watching.stop,
        )
    found = tune(
        order,
        trials.objective,
        trials.measure,
        present,
        config=request.config,
        study=folder / "study.db",
        file=file,
        play=play,
        resume=resume,
        on_trial=watching.on_trial,
        stop=watching.stop,
    )
    report = report_of(
        found,
        present,
        config=request.config,
        kind=wanted.kind,
        folder=folder,
        dataset=trials.dataset,
    )
    report |= {"ended_at": time.time(), **wanted.extra}
    if not found.interrupted:
        write_report(folder, report)
    return found, report
