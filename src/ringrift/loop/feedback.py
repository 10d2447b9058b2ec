"""What the facts say about the next steps: signals, and the numbers that they move (`loop.md` 10).

A signal holds as long as its condition does and moves a named value inside bounds. An unknown number
gives no signal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.ids import short
from ringrift.loop.plan import Signal, SignalKind
from ringrift.loop.plateau import judged, plateaus
from ringrift.loop.regression import regression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts, ModelFacts

LAST_CANDIDATES = 3
WEAK_SCORE, STRONG_SCORE = 0.45, 0.60
FLAT_EPOCHS, FLAT_CHANGE = 10, 0.01
FALLING_SHARE = 0.02
MOVE_LIMIT_SHARE = 0.05
CALIBRATION_ERROR = 0.10
TEMPERATURES = (0.5, 2.0)
PLATEAUS_FOR_SEARCH = 4
REJECTIONS_IN_ROW = 3
HOUR_S = 3600.0

MORE_DATA, LESS_DATA, TRIGGER_BOUNDS = 1.5, 0.75, (0.5, 4.0)
FEWER_PASSES, MORE_PASSES, PASSES_BOUNDS = 0.75, 1.5, (0.5, 2.0)
WEIGHT_STEP = 0.2
WINDOW_STEPS = (1.0, 1.0, 1.5, 2.0)
"""By the number of plateaus: the answer that follows simulations and exploration."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What signals move.

    Factors of the trigger, of a training's passes and of its window; what is added to the weight;
    whether the least time between two trainings is skipped.
    """

    trigger: float = 1.0
    passes: float = 1.0
    window: float = 1.0
    weight: float = 0.0
    urgent: bool = False


def signals(
    facts: ConfigFacts, settings: Settings, now: float, *, games_per_hour: int | None = None
) -> tuple[Signal, ...]:
    """Return the signals of a configuration, in the order of the table in `loop.md` 10.

    `games_per_hour` are those of all configurations in the last hour, None to judge no pace.
    """
    found = [
        *_of_candidates(facts),
        *_of_verification(facts, settings),
        *_of_training(facts, settings),
        *_of_play(facts),
        *_of_history(facts, settings),
        *_of_pace(facts, settings, now, games_per_hour),
    ]
    return tuple(
        Signal(kind=kind, config=facts.config, value=value, reason=reason)
        for kind, value, reason in found
    )


def effects(found: Sequence[Signal], plateau_count: int) -> Effects:
    """Return what signals come to together, each value inside its bounds."""
    kinds = [signal.kind for signal in found]
    trigger = MORE_DATA ** kinds.count("INCREASE_DATA") * LESS_DATA ** kinds.count("DECREASE_DATA")
    passes = FEWER_PASSES ** kinds.count("REDUCE_TRAINING") * MORE_PASSES ** kinds.count(
        "EXTEND_TRAINING"
    )
    ups, downs = kinds.count("CURRICULUM_WEIGHT_UP"), kinds.count("CURRICULUM_WEIGHT_DOWN")
    return Effects(
        trigger=_within(trigger, TRIGGER_BOUNDS),
        passes=_within(passes, PASSES_BOUNDS),
        window=WINDOW_STEPS[min(plateau_count, len(WINDOW_STEPS) - 1)],
        weight=WEIGHT_STEP * (ups - downs),
        urgent="URGENT_RETRAINING" in kinds,
    )


def scaled_trigger(games: int, factor: float) -> int:
    """Return how many new games make a training."""
    return max(1, math.ceil(games * factor))


def newest_trained(facts: ConfigFacts) -> ModelFacts | None:
    """Return the newest model that was trained, of the champion's kind."""
    champion = facts.model(facts.champion)
    return next(
        (
            model
            for model in reversed(facts.models)
            if not (model.random or model.unfinished)
            and (champion is None or model.kind == champion.kind)
        ),
        None,
    )


def rejections_in_row(facts: ConfigFacts) -> int:
    """Count the newest decisions about measured candidates that are rejections."""
    count = 0
    for decision in reversed(facts.decisions):
        if decision.kind == "rejected":
            count += 1
        elif decision.kind != "superseded":
            break
    return count


Found = tuple[SignalKind, float | None, str]


def _of_candidates(facts: ConfigFacts) -> Iterator[Found]:
    scores = [d.score for d in judged(facts.decisions) if d.score is not None][-LAST_CANDIDATES:]
    if len(scores) == LAST_CANDIDATES:
        mean = sum(scores) / len(scores)
        words = f"the last {LAST_CANDIDATES} candidates scored {mean:.3f} against the champion"
        if mean < WEAK_SCORE:
            yield "INCREASE_DATA", mean, words
            yield "CURRICULUM_WEIGHT_UP", mean, words
        elif mean >= STRONG_SCORE:
            yield "CURRICULUM_WEIGHT_DOWN", mean, words
            yield "DECREASE_DATA", mean, words
    rejections = rejections_in_row(facts)
    if rejections >= REJECTIONS_IN_ROW:
        yield "INCREASE_DATA", float(rejections), f"{rejections} rejections in a row"


def _of_verification(facts: ConfigFacts, settings: Settings) -> Iterator[Found]:
    rate, limit = facts.gates.failure_rate, settings.safety.parity_failure_rate_max
    if rate is not None and rate > limit:
        yield "QUARANTINE", rate, f"{rate:.1%} of the last games failed their check"


def _of_training(facts: ConfigFacts, settings: Settings) -> Iterator[Found]:
    model = newest_trained(facts)
    if model is None:
        return
    name, losses = f"training of {short(model.id)}", model.losses
    if len(losses) > FLAT_EPOCHS:
        change = abs(losses[-1 - FLAT_EPOCHS] - losses[-1])
        if change < FLAT_CHANGE:
            words = f"{name}: the loss changed by {change:.4f} over {FLAT_EPOCHS} epochs"
            yield "REDUCE_TRAINING", change, words
    if len(losses) > 1 and losses[-2] > 0:
        fall = 1 - losses[-1] / losses[-2]
        if fall > FALLING_SHARE:
            words = f"{name}: the loss still fell by {fall:.1%} in the last epoch"
            yield "EXTEND_TRAINING", fall, words
    gap = model.overfit_gap
    if gap is not None and gap > settings.safety.overfit_threshold:
        yield "INCREASE_DATA", gap, f"{name}: overfit gap {gap:.3f}"
    if model.ece is not None and model.ece > CALIBRATION_ERROR:
        yield "CALIBRATION", model.ece, f"{name}: calibration error {model.ece:.3f}"
    best = model.temperature
    if best is not None and not TEMPERATURES[0] <= best <= TEMPERATURES[1]:
        yield "CALIBRATION", best, f"{name}: its values fit best at temperature {best:.2f}"


def _of_play(facts: ConfigFacts) -> Iterator[Found]:
    share = facts.play.move_limit_share
    if share is not None and share > MOVE_LIMIT_SHARE:
        yield "ADJUST_TEMPERATURE", share, f"{share:.1%} of the games ended at the move limit"


def _of_history(facts: ConfigFacts, settings: Settings) -> Iterator[Found]:
    weaker = regression(facts, settings)
    if weaker is not None:
        yield "URGENT_RETRAINING", weaker.drop, weaker.words
        yield "PROMOTION_HOLD", weaker.drop, weaker.words
    count = plateaus(facts, settings).standing.count
    words = f"{count} plateaus"
    if settings.cmaes.enabled and count >= settings.plateau_detection.plateau_count_for_cmaes:
        yield "TRIGGER_CMAES", float(count), words
    if settings.tuning.auto and count >= PLATEAUS_FOR_SEARCH:
        yield "TRIGGER_HP_SEARCH", float(count), words


def _of_pace(
    facts: ConfigFacts, settings: Settings, now: float, games: int | None
) -> Iterator[Found]:
    if games is None or not facts.models or now - facts.models[0].made_at < HOUR_S:
        return
    limit = settings.resource_targets
    if games < limit.throughput_min:
        yield "SCALE_UP", float(games), f"{games} games in the last hour"
    elif games > limit.throughput_max:
        yield "SCALE_DOWN", float(games), f"{games} games in the last hour"


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
