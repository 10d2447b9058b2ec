"""One study from its trials to the file: search, confirm with other seeds, play, write a winner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    from ringrift.tuning.hp.contest import Contest

METHOD = "optuna tpe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a study came to; `entry` is what was written, None where nothing was.

    `confirmation` is None for a study that was interrupted, and where the present set is the best;
    `contest` where no games were to be played, or a lower loss was not confirmed.
    """

    study: StudyResult
    confirmation: Confirmation | None = None
    contest: Contest | None = None
    entry: ConfigurationEntry | None = None
    interrupted: bool = False


def tune(
    order: StudyOrder,
    objective: Objective,
    measure: Measure,
    present: Mapping[str, Any],
    *,
    config: str,
    study: Path,
    file: Path,
    play: Callable[[Confirmation], Contest] | None = None,
    resume: bool = True,
    on_trial: Callable[[TrialOutcome], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Search, confirm, and write the best set into the hyper-parameter file `file`.

    Only a set is written whose mean loss over three fresh seeds is lower than that of the `present`
    one by more than seeds differ, and whose nets pass the games that `play` has both sides play.
    Where the present set is the best and tuned, its confidence grows with the trials.
    Raises `NegativeResult` where no trial came to its end.
    """
    found = run_study(objective, order, study, resume=resume, on_trial=on_trial, stop=stop)
    if stop():
        return Tuned(study=found, interrupted=True)
    best = best_of(found)
    if best.values == dict(present):
        entry = _more_confident(file, config, best.values, trials=len(found.trials))
        return Tuned(study=found, entry=entry)
    try:
        sides = confirm(measure, best.values, present, seed=order.seed)
    except StudyInterrupted:
        return Tuned(study=found, interrupted=True)
    if not sides.wins:
        return Tuned(study=found, confirmation=sides)
    games = None if play is None else play(sides)
    tuned = Tuned(study=found, confirmation=sides, contest=games)
    if games is not None and not games.complete:
        return replace(tuned, interrupted=True)
    if games is not None and not games.passes:
        return tuned
    elo = None if games is None else games.elo
    entry = _write(file, config, best.values, sides, elo=elo, trials=len(found.trials))
    return replace(tuned, entry=entry)


def _more_confident(
    file: Path, config: str, values: Mapping[str, Any], *, trials: int
) -> ConfigurationEntry | None:
    """Write that the tuned set of the file is the best of more trials; None where it is not so."""
    entry = load_hyperparameters(file).content.configs.get(config) if file.is_file() else None
    if entry is None or entry.hyperparameters is None or entry.tuning_trials >= trials:
        return None
    if any(getattr(entry.hyperparameters, name) != value for name, value in values.items()):
        return None
    return save_tuned(
        file,
        config,
        entry.hyperparameters,
        method=METHOD,
        trials=trials,
        best_val_loss=entry.best_val_loss,
        best_elo_score=entry.best_elo_score,
    )


def _write(
    file: Path,
    config: str,
    values: Mapping[str, Any],
    sides: Confirmation,
    *,
    elo: float | None,
    trials: int,
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
        best_val_loss=sum(one.loss for one in sides.best) / len(sides.best),
        best_elo_score=elo,
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
