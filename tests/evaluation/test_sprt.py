"""The sequential test: its formula, its bounds, its error rates."""

import math
import time
from fractions import Fraction

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize

from ringrift.evaluation.elo import score_from_elo
from ringrift.evaluation.sprt import (
    EMPTY_CELL,
    SequentialTest,
    cells,
    judge,
    log_likelihood_ratio,
    tally,
)


def independent_log_likelihood(weights, values, mean):
    """Maximise sum n_i ln p_i over distributions with a given mean, by a general optimiser.

    The two linear constraints are eliminated, the rest is left to a trust-region Newton method.
    Nothing of the closed form of the module is used.
    """
    weights, values = np.asarray(weights), np.asarray(values)
    count = len(values)
    free = null_space(np.stack([np.ones(count), values]))
    centred = values - values.mean()
    start = 1 / count + centred * (mean - values.mean()) / np.dot(centred, centred)
    assert (start > 0).all()

    def point(y):
        return start + free @ y

    def loss(y):
        p = point(y)
        return -np.dot(weights, np.log(p)) if (p > 0).all() else math.inf

    def gradient(y):
        return -free.T @ (weights / point(y))

    def hessian(y):
        return free.T @ np.diag(weights / point(y) ** 2) @ free

    found = minimize(
        loss,
        np.zeros(free.shape[1]),
        jac=gradient,
        hess=hessian,
        method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 5000},
    )
    return -float(found.fun)


@pytest.mark.parametrize("tables", [40, pytest.param(1000, marks=pytest.mark.acceptance)], ids=str)
def test_llr_equals_constrained_optimisation(tables):
    rng = np.random.default_rng(20)
    for _ in range(tables):
        counts = rng.integers(0, rng.choice([3, 30, 400]), 5) * (rng.random(5) < 0.8)
        if not counts.any():
            counts[2] = 1
        elo0 = float(rng.uniform(-30, 20))
        elo1 = elo0 + float(rng.uniform(5, 60))
        table = dict(zip(cells(2), counts.tolist(), strict=True))
        weights = [max(float(n), EMPTY_CELL) for n in counts]
        values = [float(a) for a in cells(2)]
        wanted = independent_log_likelihood(
            weights, values, score_from_elo(elo1)
        ) - independent_log_likelihood(weights, values, score_from_elo(elo0))
        assert log_likelihood_ratio(table, elo0, elo1) == pytest.approx(wanted, abs=1e-6), counts


def test_llr_of_three_players_equals_constrained_optimisation():
    rng = np.random.default_rng(3)
    for _ in range(50):
        counts = rng.integers(0, 40, 4)
        table = dict(zip(cells(3), counts.tolist(), strict=True))
        weights = [max(float(n), EMPTY_CELL) for n in counts]
        values = [float(a) for a in cells(3)]
        wanted = independent_log_likelihood(
            weights, values, score_from_elo(20, 3)
        ) - independent_log_likelihood(weights, values, score_from_elo(0, 3))
        assert log_likelihood_ratio(table, 0, 20, 3) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("elo1", "wins", "losses"), [(20.0, 53, 50), (50.0, 23, 20)], ids=["0-20", "0-50"]
)
def test_one_sided_streams_stop(elo1, wins, losses):
    test = SequentialTest(elo0=0, elo1=elo1, min_games=2, max_games=400)
    won = judge(test, [1.0] * 200)
    lost = judge(test, [0.0] * 200)
    assert (won.verdict, won.blocks) == ("accept", wins)
    assert (lost.verdict, lost.blocks) == ("reject", losses)


def test_bounds_and_minimum_and_cap():
    test = SequentialTest(elo0=0, elo1=50, min_games=40, max_games=80)
    assert test.bounds == pytest.approx((-math.log(19), math.log(19)))
    assert judge(test, []).verdict is None
    assert judge(test, []).llr == 0.0
    assert judge(test, [1.0] * 19).verdict is None
    capped = judge(test, [0.75, 0.25] * 100)
    assert (capped.verdict, capped.games) == ("inconclusive", 80)


def test_blocks_after_the_verdict_do_not_count():
    test = SequentialTest(elo0=0, elo1=50, min_games=2, max_games=400)
    first = judge(test, [1.0] * 23)
    assert judge(test, [1.0] * 23 + [0.0] * 100) == first


def test_an_undecided_stream_says_so():
    test = SequentialTest(elo0=0, elo1=50)
    state = judge(test, [1.0, 0.0, 0.5, 0.5, 1.0] * 5)
    assert state.verdict is None
    assert "after 50 games" in state.reason


def test_a_running_test_is_judged_block_by_block_as_the_whole_stream():
    rng = np.random.default_rng(8)
    test = SequentialTest(elo0=0, elo1=50, min_games=40, max_games=200)
    scores = [Fraction(int(k), 4) for k in rng.choice([0, 2, 4, 4, 4], 100)]
    running = test.start(2)
    for number, score in enumerate(scores, start=1):
        standing = running.add(score)
        if standing.verdict is None:
            counts = tally(scores[:number], 2)
            assert standing.llr == pytest.approx(log_likelihood_ratio(counts, 0, 50), abs=1e-12)
            assert standing.games == 2 * number
    assert running.standing == judge(test, [float(score) for score in scores])
    assert running.standing.verdict == "accept"


def test_a_smaller_plan_caps_the_test():
    running = SequentialTest(min_games=40, max_games=800).start(3, 32)
    for _ in range(10):
        assert running.add(Fraction(1, 3)).verdict is None
    assert (running.add(Fraction(1, 3)).verdict, running.standing.games) == ("inconclusive", 33)


def test_a_score_of_capped_games_has_a_cell_of_its_own_in_a_running_test():
    scores = [Fraction(2, 3), Fraction(4, 9), Fraction(4, 9), Fraction(1, 3)]
    standing = judge(SequentialTest(), scores, 3)
    weights = [EMPTY_CELL, 1, 2, 1, EMPTY_CELL]
    values = [0, 1 / 3, 4 / 9, 2 / 3, 1]
    wanted = independent_log_likelihood(
        weights, values, score_from_elo(20, 3)
    ) - independent_log_likelihood(weights, values, score_from_elo(0, 3))
    assert standing.llr == pytest.approx(wanted, abs=1e-6)


def test_capped_games_get_their_own_cell():
    counts = tally([0.5, 0.25, 1 / 3 / 3 + 1 / 3], 3)
    assert counts[Fraction(4, 9)] == 1
    assert len(counts) == 4 + 3


@pytest.mark.timed
def test_llr_is_quick():
    table = dict(zip(cells(2), [12, 40, 90, 44, 10], strict=True))
    log_likelihood_ratio(table, 0, 20)
    begun = time.perf_counter()
    for _ in range(100):
        log_likelihood_ratio(table, 0, 20)
    assert (time.perf_counter() - begun) / 100 < 1e-3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"elo0": 20.0, "elo1": 20.0}, "elo0"),
        ({"alpha": 0.0}, "alpha"),
        ({"min_games": 50, "max_games": 40}, "min_games"),
    ],
)
def test_impossible_tests_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        SequentialTest(**options)
