"""A study of hyper-parameters: many short trainings, and games between their nets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import NegativeResult
from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE, load_hyperparameters
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock
from ringrift.loop.work.training_request import request_of, selection_of

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.cluster.job_child import JobContext
    from ringrift.loop.job_specs import NetKind, TuneSpec
    from ringrift.tuning.hp.study import TrialOutcome
    from ringrift.tuning.hp.studying import Wanted

NAMES: dict[NetKind, str] = {"cnn": "nn", "nnue": "nnue", "nnue-policy": "nnue-policy"}
"""Kinds of nets as `ringrift tune hp --kind` calls them."""
OF_LINEAGE = ("hidden_dim",)
"""Not searched: a training goes on with its parent's net, whose size stays."""
BETTER_ELO, TEST_ERROR, TEST_LEAST = 20.0, 0.05, 40


class _Stopped(Exception):
    """The job was stopped while it made its samples."""


def run(context: JobContext) -> Outcome:
    """Make the study of a `TuneSpec` in `runs/hp`; one that was killed goes on there.

    Numbers: `study`, `dataset`, `trials`, `written`, `confidence`, `outcome` in words, `best` (the
    set), `gain` and `spread` of its loss, `contest` (its games, None where none were played),
    `seconds`, `cpu_seconds`. Without a result, as where no trial came to its end, `outcome` says why.
    """
    clock = Clock()
    asked = cast("TuneSpec", checked("tune", context.job.spec))
    paths = Paths(context.root)
    try:
        numbers = _studied(paths, asked, context)
    except NegativeResult as error:
        numbers = {"trials": 0, "written": False, "confidence": None, "outcome": str(error)}
    except _Stopped:
        numbers = None
    if numbers is None:
        return Outcome(complete=False)
    return Outcome(numbers={**numbers, **clock.numbers()})


def _studied(paths: Paths, asked: TuneSpec, context: JobContext) -> dict[str, Any] | None:
    """Return what the study came to, None where it was stopped."""
    from ringrift.training.run import Job
    from ringrift.training.sources import Places, Source
    from ringrift.tuning.hp.report import study_folder
    from ringrift.tuning.hp.studying import Watching, make_study

    def on_trial(one: TrialOutcome) -> None:
        context.report(done=one.number, total=asked.trials, loss=one.loss)

    stores = (paths.game_store,)
    job = Job(
        request=request_of(
            asked.kind, asked.config, asked.values, seed=asked.seed, threads=context.threads
        ),
        source=Source(data_path=_samples(paths, asked, context)),
        places=Places(npz=paths.npz, cache=paths.cache),
        objects=paths.model_objects,
        runs=paths.runs,
        workers=context.threads,
        stores=stores,
        curves=False,
        extra={"job": context.job.id},
    )
    name = NAMES[asked.kind]
    found, report = make_study(
        job,
        wanted_of(paths, asked, context),
        folder=study_folder(paths.runs, asked.config, name),
        file=paths.root / HYPERPARAMETERS_FILE,
        watching=Watching(on_trial=on_trial, stop=context.stop),
    )
    if found.interrupted:
        return None
    sides = found.confirmation
    best = found.study.best
    return {
        **{name: report[name] for name in ("study", "dataset", "written", "confidence", "outcome")},
        "trials": len(found.study.trials),
        "best": None if best is None else best.values,
        "gain": None if sides is None else sides.gain,
        "spread": None if sides is None else sides.spread,
        "contest": report["contest"],
    }


def wanted_of(paths: Paths, asked: TuneSpec, context: JobContext) -> Wanted:
    """Return what is asked of the study: nobody looks at it, so a test decides about its games."""
    from ringrift.evaluation.contenders import Search
    from ringrift.evaluation.sprt import SequentialTest
    from ringrift.tuning.hp.contest import ContestRules
    from ringrift.tuning.hp.space import searched_of
    from ringrift.tuning.hp.studying import Wanted

    kind = NAMES[asked.kind]
    test = SequentialTest(
        elo0=0.0,
        elo1=BETTER_ELO,
        alpha=TEST_ERROR,
        beta=TEST_ERROR,
        min_games=min(TEST_LEAST, asked.test_games),
        max_games=asked.test_games,
    )
    search = Search(sims=asked.sims, considered=asked.considered, c_scale=asked.c_scale)
    return Wanted(
        kind=kind,
        names=tuple(name for name in searched_of(kind) if name not in OF_LINEAGE),
        space=load_hyperparameters(root=paths.root).content.tuning_config.search_space,
        trials=asked.trials,
        epochs=asked.epochs,
        seed=asked.seed % (1 << 31),
        timeout_s=asked.timeout_s,
        rules=ContestRules(search=search, games=asked.test_games, test=test),
        extra={"job": context.job.id, "upto": asked.upto},
    )


def _samples(paths: Paths, asked: TuneSpec, context: JobContext) -> Path:
    """Return the dataset that all trials learn from, exported where it is not there."""
    from ringrift.training.sources import Places, Source, find_samples

    def on_progress(done: int, total: int) -> None:
        context.report(done=done, total=total)
        if context.stop():
            raise _Stopped

    return find_samples(
        Source(stores=(paths.game_store,)),
        asked.config,
        selection_of(asked.kind, asked.values),
        Places(npz=paths.npz, cache=paths.cache),
        upto=asked.upto,
        on_progress=on_progress,
    ).dataset.path
