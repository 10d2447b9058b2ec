"""Statistics of counts alone are those of the blocks that were counted."""

import random
from fractions import Fraction

import pytest

from ringrift.core.errors import UsageError
from ringrift.evaluation.block_statistics import describe
from ringrift.evaluation.intervals import confidence_sequence, wilson_of_blocks
from ringrift.evaluation.sprt import SequentialTest, judge


def test_counts_say_what_their_blocks_say():
    counts = (3, 14, 41, 29, 6)
    scores = [k / 4 for k, count in enumerate(counts) for _ in range(count)]
    random.Random(1).shuffle(scores)
    found = describe(counts, 2, SequentialTest())
    assert (found.blocks, found.games) == (93, 186)
    assert found.score == pytest.approx(sum(scores) / 93)
    wilson = wilson_of_blocks(scores, 2)
    assert (found.interval.low, found.interval.high) == pytest.approx((wilson.low, wilson.high))
    test = SequentialTest(min_games=186)
    assert found.standing.llr == pytest.approx(judge(test, scores).llr)
    shuffled = confidence_sequence(scores)
    assert found.sequence.low == pytest.approx(shuffled.low, abs=0.02)
    assert found.sequence.high == pytest.approx(shuffled.high, abs=0.02)
    assert found.nelo == pytest.approx(61.7, abs=0.1)


def test_a_sweep_has_no_upper_end():
    tree = describe((0, 0, 0, 40), 3, SequentialTest(elo1=50)).as_tree()
    assert tree["elo"] is None
    assert tree["elo_ci95"][1] is None
    assert tree["elo_ci95"][0] > 300
    assert (tree["nelo"], tree["verdict"]) == (None, "accept")


def test_nothing_counted_is_unknown():
    found = describe((0,) * 5, 2, SequentialTest())
    assert (found.score, found.interval, found.sequence, found.elo, found.los) == (None,) * 5
    assert found.standing.verdict is None
    assert found.counts[Fraction(1, 2)] == 0


@pytest.mark.parametrize(("counts", "players"), [((1, 2), 2), ((1,) * 5, 3), ((1, 1, -1, 0, 0), 2)])
def test_counts_that_fit_no_cells_are_refused(counts, players):
    with pytest.raises(UsageError, match="counts"):
        describe(counts, players, SequentialTest())
