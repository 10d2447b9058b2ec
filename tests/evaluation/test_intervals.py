"""Intervals: known values, coverage, and silence where nothing was measured."""

import numpy as np
import pytest
from scipy.stats import binomtest

from ringrift.core.intervals import wilson
from ringrift.evaluation.elo import normalised_elo
from ringrift.evaluation.intervals import (
    confidence_sequence,
    design_effect,
    wilson_of_blocks,
)


@pytest.mark.parametrize(
    ("wins", "games"), [(0, 1), (1, 1), (5, 10), (180, 200), (200, 200), (0, 200), (37, 41)]
)
def test_wilson_equals_scipys(wins, games):
    wanted = binomtest(wins, games).proportion_ci(method="wilson")
    got = wilson(wins / games, games)
    assert (got.low, got.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_nothing_played_is_unknown():
    assert wilson(None, 0) is None
    assert wilson(0.5, 0) is None
    assert wilson_of_blocks([], 2) is None
    assert confidence_sequence([]) is None


def test_a_share_outside_is_refused():
    with pytest.raises(ValueError, match="win share"):
        wilson(1.5, 10)


def test_design_effect_widens_only_when_openings_decide():
    paired = [0.5] * 40  # each opening wins for the same seat: pairs hold no variance
    assert design_effect(paired, 2) == 1.0
    clustered = [1.0, 0.0] * 20
    assert design_effect(clustered, 2) == pytest.approx(2.0, rel=0.05)
    assert design_effect(clustered[:10], 2) == 1.0
    wide, narrow = wilson_of_blocks(clustered, 2), wilson(0.5, 80)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_confidence_sequence_narrows_and_contains_the_mean():
    rng = np.random.default_rng(1)
    scores = (rng.binomial(2, 0.7, 400) / 2).tolist()
    early, late = confidence_sequence(scores[:30]), confidence_sequence(scores)
    assert late.high - late.low < early.high - early.low
    assert 0.7 in late
    assert late.low > 0.5


def test_confidence_sequence_of_all_wins_reaches_one():
    got = confidence_sequence([1.0] * 50)
    assert got.high == 1.0
    assert got.low > 0.8


@pytest.mark.slow
def test_confidence_sequence_covers_at_every_time():
    rng = np.random.default_rng(5)
    missed = 0
    runs = 150
    for _ in range(runs):
        scores = (rng.binomial(2, 0.55, 200) / 2).tolist()
        missed += any(0.55 not in confidence_sequence(scores[:t]) for t in range(5, 201, 15))
    assert missed / runs <= 0.05


def test_normalised_elo_is_elo_to_first_order():
    deviation = 0.5 / 2**0.5  # independent games without draws
    mean = 1 / (1 + 10 ** (-10 / 400))
    assert normalised_elo(mean, deviation) == pytest.approx(10.0, abs=0.1)
    assert normalised_elo(1.0, 0.0) is None
