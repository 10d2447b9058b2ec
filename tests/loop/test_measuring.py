"""What a candidate is asked next, from what is known of it; what weak and strong ones come to."""

import pytest

from ringrift.evaluation.plans import plan_of_text
from ringrift.loop.facts import MOST_MISSING
from ringrift.loop.holdouts import NOBODY, Pair
from ringrift.loop.measuring import Measuring
from ringrift.loop.tallies import Tallies
from ringrift.models.decisions import Chain, Decision
from ringrift.models.judging import HoldOut
from ringrift.records.store import GameStore

from .made_matches import CONFIG, Simulated, settings, store_games

MODELS = dict(zip(("first", "second", "third", "champion"), "1234", strict=True))
IDS = {name: digit * 64 for name, digit in MODELS.items()} | {"candidate": "c" * 64}
SET = "f" * 64
FLOORS = ["candidate_random", "champion_random", "candidate_heuristic", "champion_heuristic"]
GOOD = {
    ("candidate", "random"): 1.0,
    ("champion", "random"): 1.0,
    ("candidate", "heuristic"): 0.6,
    ("champion", "heuristic"): 0.6,
}
FORMER = {("candidate", name): 0.7 for name in ("first", "second", "third")}
ACCEPTED = GOOD | {("candidate", "champion"): 0.8}
ALL = ACCEPTED | FORMER


def chain(*champions):
    made, before = [], None
    for number, name in enumerate(champions, 1):
        made.append(
            Decision(
                config=CONFIG,
                sequence=number,
                previous=made[-1].hash if made else None,
                kind="promoted",
                candidate=IDS[name],
                champion_before=before,
                champion=IDS[name],
                reason="a test",
                at="2025-10-09T00:00:00Z",
            )
        )
        before = IDS[name]
    return Chain(CONFIG, tuple(made))


LINE = chain(*MODELS)


def of_ids(values):
    return {tuple(IDS.get(name, name) for name in pair): value for pair, value in values.items()}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with GameStore.open(tmp_path_factory.mktemp("store") / "games.db", writer=True) as store:
        yield store


def ask(empty, rates, *, until=None, seed=0, holdout=(), line=LINE, **sections):
    tallies = Simulated(empty, of_ids(rates), until=of_ids(until or {}), seed=seed)
    measured = {IDS[name]: value for name, value in dict(holdout).items()}

    def numbers(*models):
        errors = map(measured.get, models)
        return Pair(
            *(e and HoldOut(value_error=e, gap=0.01, positions=500, set_hash=SET) for e in errors)
        )

    found = Measuring(tallies, CONFIG, settings(**sections), seed=3)
    return found.needs(line, IDS["candidate"], simulations=16, holdout=numbers)


def wanted(needs):
    return [match.key for match in needs.matches if not match.complete]


BEGUN = dict.fromkeys(GOOD, 32)

ROWS = [
    # what is known, at most so many games of it, what is asked next, the verdict
    ("nothing", {}, {}, FLOORS, None),
    ("one floor", {("candidate", "random"): 1.0}, {}, FLOORS[1:], None),
    ("floors nearly done", GOOD, BEGUN, [*FLOORS, "against_champion"], None),
    ("floors half done", GOOD, dict.fromkeys(GOOD, 20), FLOORS, None),
    ("floors done", GOOD, {}, ["against_champion"], None),
    (
        "below the floor against random",
        GOOD | {("candidate", "random"): 0.5},
        {("candidate", "heuristic"): 0, ("champion", "heuristic"): 0},
        [],
        "rejected",
    ),
    (
        "cannot reach the floor any more",
        GOOD | {("candidate", "random"): 0.2},
        {("candidate", "random"): 10, ("candidate", "heuristic"): 0},
        [],
        "rejected",
    ),
    (
        "cannot reach it, and the champion's is open",
        GOOD | {("candidate", "random"): 0.2},
        {("candidate", "random"): 10, ("champion", "random"): 20},
        ["candidate_random", "champion_random"],
        None,
    ),
    (
        "below it, as the champion is",
        GOOD | {("candidate", "random"): 0.85, ("champion", "random"): 0.3},
        {},
        ["against_champion"],
        None,
    ),
    (
        "far below the champion against heuristic",
        GOOD | {("candidate", "heuristic"): 0.1, ("champion", "heuristic"): 0.9},
        {},
        [],
        "rejected",
    ),
    ("a test that goes on", ACCEPTED, {("candidate", "champion"): 30}, ["against_champion"], None),
    ("H0", GOOD | {("candidate", "champion"): 0.3}, {}, [], "rejected"),
    ("the cap", GOOD | {("candidate", "champion"): 0.51}, {}, [], "inconclusive"),
    ("H1", ACCEPTED, {}, ["regression"] * 3, None),
    (
        "one of three former champions",
        ACCEPTED | {("candidate", "third"): 0.6},
        {},
        ["regression"] * 2,
        None,
    ),
    ("lost to a former champion", ALL | {("candidate", "first"): 0.1}, {}, [], "rejected"),
    ("former champions beaten", ALL, {}, [], None),
]


@pytest.mark.parametrize(
    ("name", "rates", "until", "asked", "verdict"), ROWS, ids=lambda v: str(v)[:40]
)
def test_what_is_known_says_what_is_asked_next(empty, name, rates, until, asked, verdict):
    most = {"max_games": 120} if verdict == "inconclusive" else {}
    needs = ask(empty, rates, until=until, promotion=most)
    assert wanted(needs) == asked
    assert (needs.verdict and needs.verdict.outcome) == verdict
    assert needs.ready == (verdict is not None)
    assert needs.holdout_missing == (
        () if name != ROWS[-1][0] else (IDS["candidate"], IDS["champion"])
    )


@pytest.mark.parametrize(
    ("numbers", "missing", "verdict"),
    [
        ({"candidate": 0.3}, ["champion"], None),
        ({"champion": 0.3}, ["candidate"], None),
        ({"champion": 0.3, "candidate": 0.34}, [], "promoted"),
        ({"champion": 0.3, "candidate": 0.36}, [], "rejected"),
    ],
)
def test_the_hold_out_comes_last(empty, numbers, missing, verdict):
    needs = ask(empty, ALL, holdout=numbers)
    assert needs.holdout_missing == tuple(IDS[name] for name in missing)
    assert (needs.verdict and needs.verdict.outcome) == verdict


def test_nobody_is_asked_for_hold_out_numbers_before_the_test_accepts(empty):
    def numbers(*models):
        pytest.fail("asked")

    for rates in ({}, GOOD, GOOD | {("candidate", "champion"): 0.3}):
        tallies = Simulated(empty, of_ids(rates), seed=0)
        found = Measuring(tallies, CONFIG, settings(), seed=3)
        needs = found.needs(LINE, IDS["candidate"], simulations=16, holdout=numbers)
        assert needs.holdout_missing == ()


def test_a_candidate_without_games_is_never_decided(empty):
    for seed in range(20):
        numbers = {"champion": 0.3, "candidate": 0.3}
        assert not ask(empty, {}, seed=seed, holdout=numbers).ready
        assert not ask(empty, ALL, until=dict.fromkeys(ALL, 0), holdout=numbers).ready
    assert ask(empty, ALL, line=Chain(CONFIG, ())).matches == ()


def test_without_former_champions_the_hold_out_follows_the_test(empty):
    needs = ask(empty, ACCEPTED, line=chain("champion"))
    assert needs.holdout_missing == (IDS["candidate"], IDS["champion"])
    needs = ask(empty, ACCEPTED, promotion={"regression_test": False})
    assert needs.holdout_missing == (IDS["candidate"], IDS["champion"])


def test_the_pool_of_former_champions_is_that_of_the_settings(empty):
    def asked(**promotion):
        found = ask(empty, ACCEPTED, promotion=promotion).matches
        return [(m.opponent, m.games) for m in found if m.key == "regression"]

    line = [IDS[name] for name in ("third", "second", "first")]
    assert asked() == [(model, 20) for model in line]
    assert asked(pool_size=2) == [(model, 20) for model in line[:2]]
    assert asked(pool_size=0) == []
    assert asked(pool_size=1, pool_games_per_opponent=8) == [(line[0], 8)]


@pytest.mark.parametrize(
    ("threshold", "verdict"), [(None, "promoted"), (0.5, "promoted"), (0.8, "rejected")]
)
def test_the_pool_blocks_below_the_score_of_the_settings(empty, threshold, verdict):
    rates = ACCEPTED | dict.fromkeys(FORMER, 0.5)
    numbers = {"champion": 0.3, "candidate": 0.3}
    needs = ask(empty, rates, holdout=numbers, promotion={"pool_threshold": threshold})
    assert needs.verdict.outcome == verdict
    assert ("former champion" in needs.verdict.reason) == (verdict == "rejected")


def test_a_match_is_told_with_plan_and_numbers(empty):
    rates = GOOD | {("candidate", "champion"): 0.55}
    needs = ask(empty, rates, until={("candidate", "champion"): 30})
    (match,) = (each for each in needs.matches if each.key == "against_champion")
    plan = plan_of_text(match.plan_text)
    assert (plan.hash, plan.purpose, plan.openings.part) == (match.plan, "gate", "reserved")
    assert plan.test.elo1 == 20
    assert (match.subject, match.opponent) == (IDS["candidate"], IDS["champion"])
    assert (match.games, match.played, match.block) == (800, 30, 2)
    assert match.missing == tuple(range(30, 30 + MOST_MISSING))
    assert sum(match.wins_losses_capped) == 30
    assert match.bounds[0] < match.llr < match.bounds[1]
    assert match.interval[0] < match.score < match.interval[1]
    assert match.elo_ci95[0] < match.elo < match.elo_ci95[1]


def test_games_are_missing_in_whole_blocks(tmp_path):
    floors = {"evaluation": {"floor_games": 6}}
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        tallies = Tallies(store)
        tallies.refresh()
        measuring = Measuring(tallies, CONFIG, settings(**floors), seed=0)
        plan = measuring.promotion(16).floor("candidate", IDS["candidate"], "random").plan

        def missing():
            tallies.refresh()
            needs = measuring.needs(
                LINE, IDS["candidate"], simulations=16, holdout=lambda *models: NOBODY
            )
            return needs.matches[0].missing

        assert not measuring.begun(LINE, IDS["candidate"], 16)
        store_games(store, plan, 0.5, games=[0, 1, 4])
        assert missing() == (2, 3, 4, 5)
        assert measuring.begun(LINE, IDS["candidate"], 16)
        store_games(store, plan, 0.5, games=[5, 2])
        assert missing() == (2, 3)
        store_games(store, plan, 0.5, games=[3])
        assert missing() == ()


def test_a_game_that_is_not_the_plan_s_does_not_count(tmp_path):
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        tallies = Tallies(store)
        matches = Measuring(tallies, CONFIG, settings(), seed=0).promotion(16)
        plan = matches.floor("candidate", IDS["candidate"], "random").plan
        other = matches.floor("candidate", IDS["champion"], "random").plan
        object.__setattr__(other, "hash", plan.hash)
        store_games(store, other, 0.5, games=[0])
        store_games(store, plan, 0.5, games=[2])
        tallies.refresh()
        assert set(tallies.of(plan).tally.games) == {2}
        store_games(store, plan, 0.5)
        tallies.refresh()
        assert (tallies.of(plan).complete, tallies.of(plan).result.games) == (True, 40)


def test_weak_candidates_are_rejected_and_strong_ones_promoted(empty):
    numbers = {"champion": 0.3, "candidate": 0.3}

    def outcomes(rate, floor):
        rates = GOOD | {("candidate", "heuristic"): floor}
        rates |= dict.fromkeys([("candidate", "champion"), *FORMER], rate)
        return [ask(empty, rates, seed=seed, holdout=numbers).verdict.outcome for seed in range(20)]

    assert outcomes(0.25, 0.3) == ["rejected"] * 20
    assert outcomes(0.72, 0.75).count("promoted") >= 19
