"""Intervals: known values, coverage, and silence where nothing was measured."""

import time

import numpy as np
import pytest
from scipy.stats import binomtest

from ringrift.core.intervals import wilson
from ringrift.evaluation.intervals import (
    ConfidenceSequence,
    confidence_sequence,
    design_effect,
    superiority,
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


def direct_sequence(scores, level=0.05, grid=1001):
    """The confidence sequence from its formulas, all bets at once."""
    x = np.asarray(scores)
    t = np.arange(1, len(x) + 1)
    mu = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mu) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    bets = np.sqrt(2 * np.log(2 / level) / (before * t * np.log(t + 1)))[:, None]
    means = np.linspace(0, 1, grid)
    with np.errstate(divide="ignore"):
        up = np.prod(1 + np.minimum(bets, 1 / (2 * means)) * (x[:, None] - means), axis=0)
        down = np.prod(1 - np.minimum(bets, 1 / (2 * (1 - means))) * (x[:, None] - means), axis=0)
    kept = means[np.maximum(up, down) / 2 < 1 / level]
    return kept[0], kept[-1]


@pytest.mark.parametrize("players", [2, 3, 4])
def test_the_confidence_sequence_follows_its_formulas_score_by_score(players):
    rng = np.random.default_rng(players)
    scores = (rng.binomial(players, 0.6, 150) / players).tolist()
    running = ConfidenceSequence()
    for t, score in enumerate(scores, start=1):
        running.add(score)
        if t % 10 == 1:
            got = running.interval
            assert (got.low, got.high) == pytest.approx(direct_sequence(scores[:t]), abs=1e-12)
    assert confidence_sequence(scores) == running.interval


def test_a_score_outside_is_refused():
    with pytest.raises(ValueError, match="block score"):
        ConfidenceSequence().add(1.01)


def test_a_set_between_two_means_of_the_grid_is_their_cell():
    got = confidence_sequence([0.3335] * 20_000)
    assert got.low <= 0.3335 <= got.high
    assert got.high - got.low <= 0.003


def test_a_score_costs_the_same_however_many_there_were():
    running = ConfidenceSequence()
    begun = time.perf_counter()
    for _ in range(2000):
        running.add(0.5)
        assert running.interval is not None
    assert time.perf_counter() - begun < 4  # anew each time it would be minutes


def test_superiority_is_even_at_the_null_and_sure_of_a_sweep():
    assert superiority([], 2) is None
    assert superiority([0.5, 0.0, 1.0], 2) == pytest.approx(0.5)
    assert superiority([1.0] * 20, 2) > 0.999
    assert superiority([0.0] * 20, 3) < 0.01
    assert superiority([1 / 3] * 20, 3) == pytest.approx(0.5)
    ahead, behind = superiority([1.0, 0.5, 0.5], 2), superiority([0.0, 0.5, 0.5], 2)
    assert ahead == pytest.approx(1 - behind)
