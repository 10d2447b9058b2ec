"""The promotion rule on made-up results."""

import pytest

from ringrift.core.errors import DataError
from ringrift.core.intervals import wilson
from ringrift.evaluation.matches import MatchResult
from ringrift.evaluation.sprt import Standing
from ringrift.loop.promotion import Measured, decide


def match(score, games=40, verdict=None, *, tested=False):
    standing = None
    if tested:
        standing = Standing(
            blocks=games // 2, games=games, llr=3.0, bounds=(-2.94, 2.94), verdict=verdict
        )
    wins = 0 if score is None else round(score * games)
    return MatchResult(
        title="a match",
        plan="p",
        games=games,
        wins=wins,
        losses=games - wins,
        capped=0,
        score=score,
        interval=wilson(score, games),
        by_seat=(score, score),
        plies=100.0,
        reasons={},
        standing=standing,
        complete=True,
    )


def measured(
    verdict="accept", *, candidate=(0.95, 0.60), champion=(0.93, 0.55), games=40, gate_games=60
):
    return Measured(
        against_champion=match(0.7, gate_games, verdict, tested=True),
        candidate_random=match(candidate[0], games),
        candidate_heuristic=match(candidate[1], games),
        champion_random=match(champion[0], games),
        champion_heuristic=match(champion[1], games),
    )


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [("accept", "promoted"), ("reject", "rejected"), ("inconclusive", "inconclusive")],
)
def test_the_sequential_test_decides_above_the_floors(verdict, outcome):
    found = decide(measured(verdict))
    assert found.outcome == outcome
    assert "60 games" in found.reason


def test_an_unfinished_test_is_never_decided():
    with pytest.raises(DataError, match="not finished"):
        decide(measured(None))


@pytest.mark.parametrize("field", ["candidate", "champion"])
def test_a_missing_floor_is_never_a_pass(field):
    with pytest.raises(DataError, match="has no games"):
        decide(measured(**{field: (None, 0.5)}))
    with pytest.raises(DataError, match="has no games"):
        decide(measured(**{field: (0.95, None)}))


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome"),
    [
        (0.85, 0.95, "rejected"),  # the champion is above the floor, the candidate is not
        (0.50, 0.55, "rejected"),  # both below, the candidate lower
        (0.55, 0.50, "promoted"),  # both below, the candidate higher
        (0.90, 0.99, "promoted"),  # at the floor
    ],
)
def test_the_floor_against_random(candidate, champion, outcome):
    found = decide(measured(candidate=(candidate, 0.6), champion=(champion, 0.6)))
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("candidate", "champion", "games", "outcome"),
    [
        (0.20, 0.80, 40, "rejected"),
        (0.50, 0.60, 40, "promoted"),  # forty games cannot tell
        (0.50, 0.60, 4000, "rejected"),
        (0.58, 0.60, 4000, "promoted"),  # within the margin
    ],
)
def test_the_floor_against_heuristic(candidate, champion, games, outcome):
    found = decide(measured(candidate=(0.95, candidate), champion=(0.95, champion), games=games))
    assert found.outcome == outcome


def test_floors_for_more_players_are_at_equal_odds():
    found = measured(candidate=(0.76, 0.6), champion=(0.9, 0.6))
    assert decide(found, players=2).outcome == "rejected"
    assert decide(found, players=4).outcome == "promoted"  # 0.90 becomes 0.75
