"""A match of few games ends as soon as its outcome is fixed."""

from fractions import Fraction
from itertools import product

import pytest

from ringrift.core.errors import DataError
from ringrift.evaluation.plans import test_of_tree as read_test
from ringrift.evaluation.rate_test import RateTest


def run(scores, players=2, **values):
    running = RateTest(**values).start(players)
    for score in scores:
        running.add(score)
    return running.standing


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_verdict_is_that_of_the_whole_match_and_comes_as_soon_as_it_is_fixed(players):
    test = RateTest(max_games=10)
    blocks = -(-10 // players)
    need = test.share(players) * blocks * players
    for points in product(range(players + 1), repeat=blocks):
        standing = run([Fraction(p, players) for p in points], players)
        assert standing.verdict == ("accept" if sum(points) >= need else "reject")
        played = standing.blocks
        before = sum(points[: played - 1])
        left = (blocks - played + 1) * players
        assert before < need <= before + left  # one block earlier it was open
        assert str(standing.games) in standing.reason


def test_ten_games_of_0_40_are_enough_and_a_point_less_is_not():
    half = Fraction(1, 2)
    assert run([half] * 4).verdict == "accept"
    assert run([half] * 4).games == 8
    assert run([half] * 3 + [0, half]).verdict == "accept"
    assert run([half] * 3 + [0, Fraction(1, 4)]).verdict == "reject"
    assert run([0, 0, 0, 0]).games == 8  # 2 of 10 are left
    assert run([0, 0, 0]).verdict is None


def test_a_capped_game_counts_its_share_and_an_odd_cap_is_a_whole_block():
    assert run([Fraction(1, 4)] * 8, 4, threshold=0.5, max_games=30).verdict == "accept"
    assert run([1], max_games=1).verdict == "accept"
    assert run([1], max_games=3).verdict == "accept"
    assert run([Fraction(1, 2)], max_games=3).verdict is None


def test_it_is_kept_in_plans_by_name():
    test = RateTest(threshold=0.3, max_games=12)
    assert read_test(test.as_tree()) == test
    with pytest.raises(DataError, match="threshold"):
        read_test({"kind": "rate", "threshold": 2.0, "max_games": 4})
    with pytest.raises(ValueError, match="max_games"):
        RateTest(max_games=0)
