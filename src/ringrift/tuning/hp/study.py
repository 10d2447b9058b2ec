"""Propose sets of hyper-parameters, measure them, and remember every trial on disk.

Each trial's proposal follows from the seed, its number and the trials before it, so a study that was
killed goes on as if it had not been: the trial it was in is made again. Sampling: TPE [Bergstra et
al. 2011]; a trial that is worse than the median of the others after three epochs is ended.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import lock
from ringrift.core.ids import canonical_json, content_id
from ringrift.tuning.hp.space import Distributions, as_values

MOST_SEED = 1 << 32
WARMUP_EPOCHS = 3
STARTUP_TRIALS = 5
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
DIVERGED = "diverged"
"""User attribute of a trial without a value, and why; a failed one that lacks it died with its
process."""


class Pruned(Exception):
    """The objective is told to stop: the trial is worse than most."""


class TrialFailed(Exception):
    """A trial has no value, as when its training diverged; the study goes on."""


class StudyInterrupted(Exception):
    """Somebody wants the study to end; the trial it is in will be made again."""


Report = Callable[[int, float], None]
"""`report(epoch, loss)` after each epoch from 1; raises `Pruned`."""
Objective = Callable[[int, Mapping[str, Any], Report], float]
"""`objective(number, hyperparameters, report)` returns the loss; lower is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """One finished trial, numbered from 1; `loss` is None unless `state` is `complete`.

    `losses` are the validation losses of its epochs as far as they were reported, `error` says why a
    failed one has none.
    """

    number: int
    values: dict[str, Any]
    state: str
    loss: float | None
    losses: tuple[float, ...] = ()
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """What a study found so far; `best` is None without a complete trial."""

    name: str
    trials: tuple[TrialOutcome, ...]
    complete: bool

    @property
    def best(self) -> TrialOutcome | None:
        """The trial with the lowest loss; the first of equals."""
        measured = [one for one in self.trials if one.loss is not None]
        return min(measured, key=lambda one: (one.loss or 0.0, one.number), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOrder:
    """What is to be studied: `trials` in all, those of earlier runs included.

    `key` is what decides the outcome of a trial beside its values. `first` is tried first: the set
    in use now.
    """

    space: Distributions
    key: Mapping[str, Any]
    trials: int
    seed: int
    first: Mapping[str, Any] | None = None
    timeout_s: float | None = None

    @property
    def name(self) -> str:
        """Name of all studies of the same thing; the number of trials may grow."""
        space = {name: repr(value) for name, value in self.space.items()}
        tree = {"space": space, "key": dict(self.key), "seed": self.seed}
        return content_id("hp-study", canonical_json(tree))[:12]


def run_study(
    objective: Objective,
    order: StudyOrder,
    path: Path,
    *,
    resume: bool = True,
    on_trial: Callable[[TrialOutcome], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> StudyResult:
    """Make trials until there are enough, the time is over or `stop` says so.

    `path` is the SQLite file of the study. Without `resume` earlier trials are a `UsageError`;
    somebody else at work in it is a `BusyError`.
    """
    if order.trials < 1:
        raise UsageError(f"found {order.trials} trials; expected at least 1", where="--trials")
    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with lock(path.with_name(f".{path.name}.lock"), what="study"):
        study = _open(order, path)
        if study.trials and not resume:
            raise UsageError(
                f"the study has {len(study.trials)} trials",
                where=str(path),
                hint="--resume to go on with it",
            )
        _bury_the_dead(study)
        began_s = time.monotonic()
        while (made := _finished(study)) < order.trials and not stop():
            if order.timeout_s is not None and time.monotonic() - began_s >= order.timeout_s:
                break
            try:
                on_trial(_one(study, objective, order, made))
            except StudyInterrupted:
                break
        return _result(study, order)


def _open(order: StudyOrder, path: Path) -> optuna.Study:
    return optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=order.name,
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_EPOCHS
        ),
    )


def _bury_the_dead(study: optuna.Study) -> None:
    """Let trials whose process died be made again."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _counted(study: optuna.Study) -> list[FrozenTrial]:
    finished = study.get_trials(deepcopy=False, states=FINISHED)
    return [t for t in finished if t.state != TrialState.FAIL or DIVERGED in t.user_attrs]


def _finished(study: optuna.Study) -> int:
    return len(_counted(study))


def _one(study: optuna.Study, objective: Objective, order: StudyOrder, made: int) -> TrialOutcome:
    # A sampler of its own for each trial: what it draws does not depend on earlier processes.
    seed = int(content_id("hp-trial", f"{order.seed}:{made}".encode())[:8], 16) % MOST_SEED
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if made == 0 and order.first is not None and not waiting:
        study.enqueue_trial(dict(order.first))
    trial = study.ask(order.space)

    def report(epoch: int, loss: float) -> None:
        trial.report(loss, epoch)
        if trial.should_prune():
            raise Pruned

    try:
        loss = objective(made + 1, as_values(trial.params), report)
    except Pruned:
        study.tell(trial, state=TrialState.PRUNED)
    except TrialFailed as error:
        _fail(study, trial, str(error))
    else:
        if math.isfinite(loss):
            study.tell(trial, loss)
        else:
            _fail(study, trial, f"loss {loss}")
    return _outcome(made + 1, study.trials[trial.number])


def _fail(study: optuna.Study, trial: Trial, why: str) -> None:
    trial.set_user_attr(DIVERGED, why)
    study.tell(trial, state=TrialState.FAIL)


def _outcome(number: int, trial: FrozenTrial) -> TrialOutcome:
    complete = trial.state == TrialState.COMPLETE
    return TrialOutcome(
        number=number,
        values=as_values(trial.params),
        state="failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
        loss=trial.value if complete else None,
        losses=tuple(
            loss for _, loss in sorted(trial.intermediate_values.items()) if math.isfinite(loss)
        ),
        seconds=None if trial.duration is None else trial.duration.total_seconds(),
        error=trial.user_attrs.get(DIVERGED),
    )


def _result(study: optuna.Study, order: StudyOrder) -> StudyResult:
    trials = tuple(_outcome(n, trial) for n, trial in enumerate(_counted(study), 1))
    return StudyResult(name=order.name, trials=trials, complete=len(trials) >= order.trials)


def best_of(result: StudyResult) -> TrialOutcome:
    """Return the best trial; raises `NegativeResult` where none was measured to its end."""
    best = result.best
    if best is None:
        raise NegativeResult(
            f"none of {len(result.trials)} trials was measured to its end",
            where=f"study {result.name}",
            hint="more --trials",
        )
    return best
