"""One study from its trials to the file: search, confirm with other seeds, write a clear winner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.hyperparameters import Hyperparameters, load_hyperparameters, save_tuned
from ringrift.tuning.hp.confirm import Confirmation, Measure, confirm
from ringrift.tuning.hp.space import as_params
from ringrift.tuning.hp.study import (
    Objective,
    StudyInterrupted,
    StudyOrder,
    StudyResult,
    TrialOutcome,
    best_of,
    run_study,
)

if TYPE_CHECKING:
    from ringrift.core.hyperparameters import ConfigurationEntry

METHOD = "optuna tpe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a study came to; `entry` is what was written, None where nothing was.

    `confirmation` is None for a study that was interrupted, and where the present set is the best.
    """

    study: StudyResult
    confirmation: Confirmation | None
    entry: ConfigurationEntry | None
    interrupted: bool


def tune(
    order: StudyOrder,
    objective: Objective,
    measure: Measure,
    present: Mapping[str, Any],
    *,
    config: str,
    study: Path,
    file: Path,
    resume: bool = True,
    on_trial: Callable[[TrialOutcome], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Search, confirm, and write the best set into the hyper-parameter file `file`.

    Only a set whose mean loss over three fresh seeds is lower than that of the `present` one by more
    than seeds differ is written. Raises `NegativeResult` where no trial came to its end.
    """
    found = run_study(objective, order, study, resume=resume, on_trial=on_trial, stop=stop)
    if stop():
        return Tuned(study=found, confirmation=None, entry=None, interrupted=True)
    best = best_of(found)
    if best.values == dict(present):
        return Tuned(study=found, confirmation=None, entry=None, interrupted=False)
    try:
        sides = confirm(measure, best.values, present, seed=order.seed)
    except StudyInterrupted:
        return Tuned(study=found, confirmation=None, entry=None, interrupted=True)
    entry = _write(file, config, best.values, sides, len(found.trials)) if sides.wins else None
    return Tuned(study=found, confirmation=sides, entry=entry, interrupted=False)


def _write(
    file: Path, config: str, values: Mapping[str, Any], sides: Confirmation, trials: int
) -> ConfigurationEntry:
    known: dict[str, Any] = {}
    if file.is_file():
        entry = load_hyperparameters(file).content.configs.get(config)
        if entry is not None and entry.hyperparameters is not None:
            known = entry.hyperparameters.given()
    return save_tuned(
        file,
        config,
        Hyperparameters(**{**known, **values}),
        method=METHOD,
        trials=trials,
        best_val_loss=sum(sides.best) / len(sides.best),
    )


def order_of(
    space: Mapping[str, Any],
    present: Mapping[str, Any],
    *,
    key: Mapping[str, Any],
    trials: int,
    seed: int,
    timeout_s: float | None,
) -> StudyOrder:
    """Return the order whose first trial is the present set, if the space holds it."""
    distributions = dict(space)
    return StudyOrder(
        space=distributions,
        key=key,
        trials=trials,
        seed=seed,
        first=as_params(present, distributions),
        timeout_s=timeout_s,
    )
