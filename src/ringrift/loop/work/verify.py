"""Hold-out numbers, written beside the models: of a candidate and the champion, or of one model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import NegativeResult
from ringrift.core.paths import Paths
from ringrift.loop.holdouts import stored_holdout, write_common
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ringrift.cluster.job_child import JobContext
    from ringrift.loop.job_specs import VerifySpec
    from ringrift.training.holdout_evaluation import HeldOut, Options
    from ringrift.training.holdout_evaluation.evaluate import Model

    OnGames = Callable[[int, int], None]

MOST_GAMES = 400
"""Hold-out games measured, and as many of those learned from: 2.5 s of a core."""
CALIBRATED_GAMES = 100
BINS = 10
NUMBERS = (
    *("value_error", "overfit_gap", "ece", "brier", "positions", "holdout"),
    *("temperature", "calibration"),
)
COMPARED = ("value_error", "champion_value_error", "positions", "holdout")


def run(context: JobContext) -> Outcome:
    """Measure the two models of a `VerifySpec`; numbers are those of `compare` and `seconds`.

    Raises `DataError` for a model that is not here.
    """
    clock = Clock()
    asked = cast("VerifySpec", checked("verify", context.job.spec))
    paths = Paths(context.root)
    found = compare(paths, asked.model, asked.champion, on_games=_reporting(context))
    return Outcome(numbers={**found, **clock.numbers()})


def compare(
    paths: Paths, candidate: str, champion: str, *, on_games: OnGames = lambda _done, _total: None
) -> dict[str, Any]:
    """Measure two models on the same hold-out games, as far as nobody did, and keep what was found.

    They are of the age of the candidate's training and in neither lineage. `value_error`,
    `champion_value_error`, `positions`, `holdout` (the hash of the games); with too few games all are
    None and `unknown` says why. Raises `DataError` for a model that is not here.
    """
    from ringrift.training.holdout_evaluation import evaluate, write_result

    objects = paths.model_objects
    ours, theirs = (_opened(paths, model, on_games) for model in (candidate, champion))
    lineages = ours[1].seen.lineage | theirs[1].seen.lineage
    sides = [
        (model, replace(options, seen=replace(options.seen, lineage=lineages), age=ours[1].age))
        for model, options in (ours, theirs)
    ]
    held = sides[0][1].held_out(ours[0].spec)
    write_common(objects, candidate, champion, held.set_hash)
    found = []
    for model, options in sides:
        known = stored_holdout(objects, model.id, held.set_hash)
        if known is None:
            try:
                write_result(_path(paths, model.id), evaluate(model, options, held))
            except NegativeResult as error:
                return {**dict.fromkeys(COMPARED), "unknown": error.message}
            known = stored_holdout(objects, model.id, held.set_hash)
        assert known is not None
        found.append(known)
    return {
        "value_error": found[0].value_error,
        "champion_value_error": found[1].value_error,
        "positions": found[0].positions,
        "holdout": held.set_hash,
    }


def holdout_numbers(paths: Paths, model_id: str, context: JobContext) -> dict[str, Any]:
    """Measure a model on hold-out games, write what was found beside it, and return the numbers.

    The games are of the age of its training. `value_error`, `overfit_gap`, `ece`, `brier`,
    `positions`, `holdout` (the hash of the games), `temperature` (what divides the value logits for
    the least loss) and `calibration` (the same by phase of the game and by seat); with too few games
    all are None and `unknown` says why.
    """
    from ringrift.training.holdout_evaluation import evaluate, write_result

    model, options = _opened(paths, model_id, _reporting(context))
    held = options.held_out(model.spec)
    try:
        found = evaluate(model, options, held)
        calibrated = _calibration(model, held)
    except NegativeResult as error:
        return {**dict.fromkeys(NUMBERS), "unknown": error.message}
    write_result(_path(paths, model_id), found)
    told = found.holdout
    return {
        "value_error": told.value_error,
        "overfit_gap": found.gap.value,
        "ece": told.ece,
        "brier": told.brier,
        "positions": told.positions,
        "holdout": found.set_hash,
        **calibrated,
    }


def _opened(paths: Paths, model_id: str, on_games: OnGames) -> tuple[Model, Options]:
    """Return a model, and how it is measured alone."""
    from ringrift.models.seen import seen_games
    from ringrift.nets.loading import open_described
    from ringrift.training.holdout_evaluation import Options, age_of

    model = open_described(_path(paths, model_id))
    seen = seen_games(model, paths.models, paths.npz)
    stores = (paths.game_store,) if paths.game_store.is_file() else ()
    return model, Options(
        stores=stores,
        seen=seen,
        most_games=MOST_GAMES,
        age=age_of(model.card["training"] or {}, seen.own, stores),
        on_games=on_games,
    )


def _path(paths: Paths, model_id: str) -> Path:
    from ringrift.models.registry import find_model

    return find_model(paths.model_objects, model_id)


def _reporting(context: JobContext) -> OnGames:
    return lambda done, total: context.report(done=done, total=total)


def _calibration(model: Model, held: HeldOut) -> dict[str, Any]:
    """Return the best temperature on hold-out games, and calibration by phase and seat."""
    from ringrift.training.calibration.measured import PHASES, calibrate
    from ringrift.training.calibration.sampling import sample

    sampled = sample(model.evaluator(), held.side.drawn(CALIBRATED_GAMES).positions())
    found = calibrate(sampled, num_bins=BINS, by=("phase", "seat"), method="temperature")
    groups = {
        by: {
            name: {
                "positions": report.total_samples,
                "ece": report.ece,
                "brier": report.brier_score,
                "temperature": report.optimal_temperature,
            }
            for name, report in reports.items()
        }
        for by, reports in found.groups.items()
    }
    for phase, temperature in zip(PHASES, found.by_third, strict=True):
        if phase in groups["phase"]:
            groups["phase"][phase]["temperature"] = temperature
    return {"temperature": found.temperature, "calibration": groups}
