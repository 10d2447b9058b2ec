"""What the facts of a configuration signal, and which numbers that moves."""

from dataclasses import replace

import pytest

from ringrift.core.settings import Settings
from ringrift.loop.facts import GateFacts, PlayFacts
from ringrift.loop.feedback import Effects, effects, scaled_trigger, signals
from ringrift.loop.plan import Signal

from .rules_scene import (
    CONFIG,
    FIRST,
    GOOD,
    NOW,
    SECOND,
    begun,
    decision,
    facts,
    model,
    rated,
    run,
    tournament,
)

TUNED = {"cmaes": {"enabled": True}, "tuning": {"auto": True}}
WEAK = ["INCREASE_DATA", "CURRICULUM_WEIGHT_UP"]
STRONG = ["CURRICULUM_WEIGHT_DOWN", "DECREASE_DATA"]


def scored(*scores, kind="inconclusive"):
    return facts(decisions=(begun(), *(decision(kind, SECOND, score=score) for score in scores)))


def trained(**numbers):
    return facts(models=(model(FIRST, random=True), model(SECOND, **numbers)))


def stuck(plateaus):
    """Five inconclusive decisions for each plateau."""
    made = (decision("inconclusive", SECOND, ago=900 - i) for i in range(5 * plateaus))
    return facts(decisions=(begun(), *made))


def weaker(drops, **more):
    rounds = tuple(
        tournament(
            SECOND, FIRST, ago=100 - 40 * at, champion_elo=600 - drop, before_elo=600, **more
        )
        for at, drop in enumerate(drops)
    )
    return facts(
        champion=SECOND,
        decisions=(begun(), decision("promoted", SECOND, ago=200)),
        ratings=(rated(FIRST, 600.0), rated(SECOND, 500.0)),
        tournaments=rounds,
    )


PLAIN = facts()
OLD = [3.0 - 0.0005 * i for i in range(11)]

# facts, settings, games of all configurations in the last hour -> kinds of signals
STATES = {
    "nothing to say": (PLAIN, {}, None, []),
    "two weak candidates": (scored(0.3, 0.3), {}, None, []),
    "three weak candidates": (scored(0.44, 0.44, 0.44), {}, None, WEAK),
    "three at the limit": (scored(0.45, 0.45, 0.45), {}, None, []),
    "weak long ago": (scored(0.1, 0.1, 0.5, 0.5, 0.5), {}, None, []),
    "three strong candidates": (scored(0.6, 0.6, 0.6, kind="promoted"), {}, None, STRONG),
    "just not strong": (scored(0.59, 0.6, 0.6), {}, None, []),
    "one without a score does not count": (scored(0.3, None, 0.3), {}, None, []),
    "three rejections in a row": (
        facts(decisions=(begun(), *(decision("rejected", SECOND) for _ in range(3)))),
        {},
        None,
        ["INCREASE_DATA"],
    ),
    "three weak rejections": (
        scored(0.3, 0.3, 0.3, kind="rejected"),
        {},
        None,
        [*WEAK, "INCREASE_DATA"],
    ),
    "two rejections and a promotion between": (
        facts(
            decisions=(
                begun(),
                *(decision(kind, SECOND) for kind in ("rejected", "promoted", "rejected")),
            )
        ),
        {},
        None,
        [],
    ),
    "failures above the limit": (
        facts(gates=replace(GOOD, failure_rate=0.11)),
        {},
        None,
        ["QUARANTINE"],
    ),
    "failures at the limit": (facts(gates=replace(GOOD, failure_rate=0.10)), {}, None, []),
    "failures unknown": (facts(gates=GateFacts()), {}, None, []),
    "flat loss": (trained(losses=tuple(OLD)), {}, None, ["REDUCE_TRAINING"]),
    "flat loss of too few epochs": (trained(losses=tuple(OLD[:10])), {}, None, []),
    "loss moves": (trained(losses=tuple(3.0 - 0.002 * i for i in range(11))), {}, None, []),
    "loss still falls": (trained(losses=(2.0, 1.95)), {}, None, ["EXTEND_TRAINING"]),
    "loss falls by little": (trained(losses=(2.0, 1.961)), {}, None, []),
    "loss rises": (trained(losses=(2.0, 2.1)), {}, None, []),
    "overfit": (trained(overfit_gap=0.11), {}, None, ["INCREASE_DATA"]),
    "overfit at the limit": (trained(overfit_gap=0.10), {}, None, []),
    "badly calibrated": (trained(ece=0.11), {}, None, ["CALIBRATION"]),
    "temperature far off": (trained(temperature=2.1), {}, None, ["CALIBRATION"]),
    "both": (trained(ece=0.2, temperature=0.4), {}, None, ["CALIBRATION"] * 2),
    "the random model's losses do not count": (
        facts(models=(model(FIRST, random=True, overfit_gap=0.5),)),
        {},
        None,
        [],
    ),
    "games too long": (
        facts(play=PlayFacts(move_limit_share=0.06)),
        {},
        None,
        ["ADJUST_TEMPERATURE"],
    ),
    "games long enough": (facts(play=PlayFacts(move_limit_share=0.05)), {}, None, []),
    "a drop in two tournaments": (
        weaker((100, 100)),
        {},
        None,
        ["URGENT_RETRAINING", "PROMOTION_HOLD"],
    ),
    "a drop in one tournament": (weaker((100,)), {}, None, []),
    "a drop, then none": (weaker((100, 40)), {}, None, []),
    "a drop of too few games": (weaker((100, 100), games=19), {}, None, []),
    "a drop within its error": (weaker((100, 100), ci95=(-210.0, 10.0)), {}, None, []),
    "one plateau": (stuck(1), TUNED, None, []),
    "two plateaus": (stuck(2), TUNED, None, ["TRIGGER_CMAES"]),
    "two plateaus, studies off": (stuck(2), {}, None, []),
    "four plateaus": (stuck(4), TUNED, None, ["TRIGGER_CMAES", "TRIGGER_HP_SEARCH"]),
    "four plateaus, one kind of study": (
        stuck(4),
        {"tuning": {"auto": True}},
        None,
        ["TRIGGER_HP_SEARCH"],
    ),
    "slow": (PLAIN, {}, 499, ["SCALE_UP"]),
    "fast": (PLAIN, {}, 2001, ["SCALE_DOWN"]),
    "at the pace": (PLAIN, {}, 1000, []),
    "too young to have a pace": (facts(models=(model(FIRST, ago=3000),)), {}, 0, []),
}


@pytest.mark.parametrize("name", STATES)
def test_signals(name):
    given, changes, pace, expected = STATES[name]
    chosen = Settings.model_validate(changes)
    found = signals(given, chosen, NOW, games_per_hour=pace)
    assert [signal.kind for signal in found] == expected
    assert all(signal.config == CONFIG and signal.reason for signal in found)
    # Nothing is remembered: the same facts say the same after a restart.
    assert signals(given, chosen, NOW, games_per_hour=pace) == found


def test_the_table_is_long_enough():
    assert len(STATES) >= 25


def test_a_replayed_history_gives_the_same_signals():
    scores = [0.3, 0.4, 0.35, 0.7, 0.65, 0.62, 0.4, 0.3, 0.2]
    whole = scored(*scores)
    live = [
        signals(replace(whole, decisions=whole.decisions[: n + 1]), Settings(), NOW)
        for n in range(len(scores) + 1)
    ]
    again = [signals(scored(*scores[:n]), Settings(), NOW) for n in range(len(scores) + 1)]
    assert live == again
    assert any(live)


def made(*kinds):
    return [Signal(kind=kind, config=CONFIG, value=None, reason="") for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "plateaus", "expected"),
    [
        ([], 0, Effects()),
        (["INCREASE_DATA"], 0, Effects(trigger=1.5)),
        (["INCREASE_DATA"] * 2, 0, Effects(trigger=2.25)),
        (["INCREASE_DATA"] * 4, 0, Effects(trigger=4.0)),
        (["DECREASE_DATA"], 0, Effects(trigger=0.75)),
        (["DECREASE_DATA"] * 3, 0, Effects(trigger=0.5)),
        (["REDUCE_TRAINING"], 0, Effects(passes=0.75)),
        (["REDUCE_TRAINING"] * 3, 0, Effects(passes=0.5)),
        (["EXTEND_TRAINING"], 0, Effects(passes=1.5)),
        (["EXTEND_TRAINING"] * 2, 0, Effects(passes=2.0)),
        (["CURRICULUM_WEIGHT_UP"], 0, Effects(weight=0.2)),
        (["CURRICULUM_WEIGHT_DOWN"], 0, Effects(weight=-0.2)),
        (["URGENT_RETRAINING"], 0, Effects(urgent=True)),
        ([], 1, Effects()),
        ([], 2, Effects(window=1.5)),
        ([], 9, Effects(window=2.0)),
    ],
)
def test_effects_stay_inside_their_bounds(kinds, plateaus, expected):
    assert effects(made(*kinds), plateaus) == expected


def test_the_trigger_is_whole():
    assert [scaled_trigger(3, factor) for factor in (1.0, 1.5, 0.5, 0.01)] == [3, 5, 2, 1]


def test_signals_move_the_plan():
    known = (rated(FIRST, 500.0),)
    weak = run(replace(scored(0.3, 0.3, 0.3), ratings=known)).configs[0]
    assert (weak.trigger, weak.weight) == (300, 1.2)
    strong = run(replace(scored(0.7, 0.7, 0.7), ratings=known)).configs[0]
    assert (strong.trigger, strong.weight) == (150, 0.8)
    plan = run(replace(trained(losses=(2.0, 1.0)), new_games=400))
    assert plan.jobs[0].spec["values"]["passes_factor"] == 1.5
    assert run(replace(stuck(2), new_games=400)).jobs[0].spec["values"]["window_factor"] == 1.5
