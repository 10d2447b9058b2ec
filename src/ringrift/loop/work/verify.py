"""The hold-out numbers of a model, written beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import NegativeResult
from ringrift.core.paths import Paths
from ringrift.loop.job_specs import checked
from ringrift.loop.work.playing import Clock

if TYPE_CHECKING:
    from ringrift.cluster.job_child import JobContext
    from ringrift.loop.job_specs import VerifySpec
    from ringrift.training.holdout_evaluation import Options
    from ringrift.training.holdout_evaluation.evaluate import Model

MOST_GAMES = 400
"""Hold-out games measured, and as many of those learned from: 2.5 s of a core."""
CALIBRATED_GAMES = 100
BINS = 10
NUMBERS = (
    *("value_error", "overfit_gap", "ece", "brier", "positions", "holdout"),
    *("temperature", "calibration"),
)


def run(context: JobContext) -> Outcome:
    """Measure the model of a `VerifySpec`; numbers are those of `holdout_numbers` and `seconds`.

    Raises `DataError` for a model that is not here.
    """
    clock = Clock()
    asked = cast("VerifySpec", checked("verify", context.job.spec))
    paths = Paths(context.root)
    return Outcome(
        numbers={**holdout_numbers(paths, asked.model, context, upto=asked.upto), **clock.numbers()}
    )


def holdout_numbers(
    paths: Paths, model_id: str, context: JobContext, *, upto: int | None = None
) -> dict[str, Any]:
    """Measure a model on hold-out games, write what was found beside it, and return the numbers.

    `value_error`, `overfit_gap`, `ece`, `brier`, `positions`, `holdout` (the hash of the games),
    `temperature` (what divides the value logits for the least loss) and `calibration` (the same by
    phase of the game and by seat); with too few games all are None and `unknown` says why.
    """
    from ringrift.models.registry import find_model
    from ringrift.models.seen import seen_games
    from ringrift.nets.loading import open_described
    from ringrift.training.holdout_evaluation import Options, evaluate, write_result

    path = find_model(paths.model_objects, model_id)
    loaded = open_described(path)
    options = Options(
        stores=(paths.game_store,) if paths.game_store.is_file() else (),
        seen=seen_games(loaded, paths.models, paths.npz),
        most_games=MOST_GAMES,
        upto=upto,
        on_games=lambda done, total: context.report(done=done, total=total),
    )
    try:
        found = evaluate(loaded, options)
        calibrated = _calibration(loaded, options)
    except NegativeResult as error:
        return {**dict.fromkeys(NUMBERS), "unknown": error.message}
    write_result(path, found)
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


def _calibration(model: Model, options: Options) -> dict[str, Any]:
    """Return the best temperature on hold-out games, and calibration by phase and seat."""
    from ringrift.training.calibration.measured import PHASES, calibrate
    from ringrift.training.calibration.sampling import sample
    from ringrift.training.holdout_evaluation.games import held_out

    lineage = options.seen.lineage
    games = held_out(
        options.stores, model.spec, lineage, most=CALIBRATED_GAMES, upto=options.upto
    ).side
    sampled = sample(model.evaluator(), games.positions())
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
