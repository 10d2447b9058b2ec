"""The fit on plain arrays: against finite differences, a plain optimiser, choix, planted strengths."""

import math
from itertools import permutations

import choix
import numpy as np
import pytest

from ringrift.core.errors import DataError
from ringrift.evaluation.ratings.fit import ELO
from ringrift.evaluation.ratings.likelihood import Rankings, stages
from ringrift.evaluation.ratings.strengths import LEAST_BLOCKS, Draws, Outcomes, maximise

from .plain_fit import plain_fit
from .rating_stores import planted

ANCHORED = np.array([0])


def outcomes_of(seats, ranks, blocks=None):
    seats, ranks = np.array(seats), np.array(ranks)
    blocks = np.arange(len(seats)) if blocks is None else np.array(blocks)
    return Outcomes(seats=seats, ranks=ranks, blocks=blocks)


def draws_of(agents, weight=1.0):
    pairs = np.stack([np.arange(1, agents), np.zeros(agents - 1, dtype=int)], axis=1)
    return Draws(pairs=pairs, weight=weight)


def random_pool(rng, *, ties=True):
    """A small pool of random games; some games have shared ranks."""
    players, agents = int(rng.integers(2, 5)), int(rng.integers(4, 8))
    games = int(rng.integers(40, 80))
    theta = rng.normal(size=agents)
    seats = np.array([rng.choice(agents, players, replace=False) for _ in range(games)])
    order = np.argsort(-(theta[seats] + rng.gumbel(size=seats.shape)), axis=1)
    ranks = np.argsort(order, axis=1) + 1
    if ties and players > 2:
        shared = rng.random(games) < 0.2
        ranks[shared] = np.minimum(ranks[shared], 2)
    return players, agents, seats, ranks


# --- the likelihood


def test_a_full_ranking_is_a_choice_per_place():
    found = [(stage.chosen, stage.remaining, stage.weight) for stage in stages((2, 1, 3))]
    assert found == [(0, (0, 2), 1.0), (1, (0, 1, 2), 1.0)]
    (only,) = stages((2, 1, 3), "winner")
    assert (only.chosen, only.remaining) == (1, (0, 1, 2))


def test_shared_ranks_are_the_mean_over_their_orders():
    eta = np.log(np.array([[1.0, 2.0, 3.0, 4.0]]))
    tied = Rankings(np.array([[2, 1, 2, 2]]), "full").value(eta)
    rest = [(0, 2, 3), (0, 3, 2), (2, 0, 3), (2, 3, 0), (3, 0, 2), (3, 2, 0)]
    alone = []
    for order in rest:
        ranks = np.ones(4, dtype=int)
        ranks[list(order)] = (2, 3, 4)
        alone.append(Rankings(ranks[None], "full").value(eta))
    assert tied == pytest.approx(sum(alone) / 6, abs=1e-14)


@pytest.mark.parametrize("ranks", [(1, 2), (2, 1, 3), (1, 2, 2), (3, 1, 2, 3), (4, 3, 2, 1)])
@pytest.mark.parametrize("places", ["full", "winner"])
def test_gradient_and_hessian_are_those_of_the_value(ranks, places):
    ranking = Rankings(np.array([ranks]), places)
    eta = np.linspace(-0.7, 0.9, len(ranks))[None]
    found = ranking.derivatives(eta)
    assert found.value == pytest.approx(ranking.value(eta))
    step = 1e-5
    for seat in range(len(ranks)):
        up, down = eta.copy(), eta.copy()
        up[0, seat] += step
        down[0, seat] -= step
        slope = (ranking.value(up) - ranking.value(down)) / (2 * step)
        assert found.gradient[0, seat] == pytest.approx(slope, abs=1e-8)
        bend = (ranking.derivatives(up).gradient - ranking.derivatives(down).gradient) / (2 * step)
        assert -found.hessian[0, seat] == pytest.approx(bend[0], abs=1e-8)


# --- the maximum


def check_against_plain(rng, places):
    players, agents, seats, ranks = random_pool(rng)
    draws = draws_of(agents, 0.7)
    found = maximise(
        outcomes_of(seats, ranks), agents=agents, fixed=ANCHORED, draws=draws, places=places
    )
    games = list(zip(seats.tolist(), ranks.tolist(), strict=True))
    theta, gamma = plain_fit(
        games, agents, players, draws=draws.pairs.tolist(), weight=0.7, places=places
    )
    assert np.abs(found.theta - theta).max() * ELO < 1e-4
    assert np.abs(found.gamma - gamma).max() * ELO < 1e-4
    assert abs(found.gamma.sum()) < 1e-12


@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_maximum_that_a_plain_optimiser_finds(seed):
    check_against_plain(np.random.default_rng(seed), ("full", "winner")[seed])


@pytest.mark.acceptance
def test_50_pools_equal_a_plain_optimiser_to_1e_4_elo():
    for seed in range(50):
        check_against_plain(np.random.default_rng(seed), ("full", "winner")[seed % 2])


@pytest.mark.parametrize("players", [2, 3, 4])
def test_without_seats_it_equals_choix(players):
    """Each game once in every arrangement of its seats: their effects vanish by symmetry."""
    rng = np.random.default_rng(players)
    agents, games = 6, 60
    theta = 0.5 * rng.normal(size=agents)
    seats = np.array([rng.choice(agents, players, replace=False) for _ in range(games)])
    order = np.argsort(-(theta[seats] + rng.gumbel(size=seats.shape)), axis=1)
    ranks = np.argsort(order, axis=1) + 1
    turns = list(permutations(range(players)))
    turned = outcomes_of(
        np.concatenate([seats[:, turn] for turn in turns]),
        np.concatenate([ranks[:, turn] for turn in turns]),
    )
    listed = [row[places].tolist() for row, places in zip(seats, order, strict=True)]
    tops = [(row[0], row[1:]) for row in listed]
    full = choix.opt_rankings(agents, listed, alpha=0.0, tol=1e-11)
    first = choix.opt_top1(agents, tops, alpha=0.0, tol=1e-11)
    for places, expected in (("full", full), ("winner", first)):
        found = maximise(turned, agents=agents, fixed=ANCHORED, draws=Draws.none(), places=places)
        assert np.abs(found.gamma).max() < 1e-10
        assert found.theta == pytest.approx(expected - expected[0], abs=1e-6)
    if players == 2:
        pairs = choix.opt_pairwise(agents, [tuple(row) for row in listed], alpha=0.0, tol=1e-11)
        assert full - full[0] == pytest.approx(pairs - pairs[0], abs=1e-6)


def test_a_clean_sweep_has_no_maximum_without_draws():
    sweep = outcomes_of([[0, 1], [1, 0]] * 10, [[2, 1], [1, 2]] * 10)
    with pytest.raises(DataError, match="leave the strength of an agent open"):
        maximise(sweep, agents=2, fixed=ANCHORED, draws=Draws.none())
    found = maximise(sweep, agents=2, fixed=ANCHORED, draws=draws_of(2))
    # 20 wins and half a win each way of the draw: odds 20.5 to 0.5
    assert found.theta[1] == pytest.approx(math.log(20.5 / 0.5), abs=1e-9)


# --- how sure it is


def test_errors_by_block_are_the_sandwich_and_few_blocks_have_the_hessian():
    rng = np.random.default_rng(4)
    _, seats, ranks, blocks = planted(rng, agents=4, players=2, blocks_each=30)
    seats = np.concatenate([seats, [[0, 4], [4, 0]]])  # the last agent has one block
    ranks = np.concatenate([ranks, [[1, 2], [1, 2]]])
    blocks = np.concatenate([blocks, [blocks.max() + 1] * 2])
    found = maximise(outcomes_of(seats, ranks, blocks), agents=5, fixed=ANCHORED, draws=draws_of(5))

    def slope(point, games):
        agents, first = np.concatenate([[0.0], point[:4]]), point[4]
        eta = agents[seats[games]] + np.array([first, -first])
        wins = ranks[games] == 1
        share = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
        left = wins - share
        made = np.zeros((len(games), 6))
        for row, pair in enumerate(seats[games]):
            made[row, pair] += left[row]
        made[:, 5] = left[:, 0] - left[:, 1]
        return made.sum(axis=0)[1:]

    def whole(point):
        gaps = point[:4]
        share = 1.0 / (1.0 + np.exp(-gaps))
        return slope(point, np.arange(len(seats))) + np.append(0.5 - share, 0.0)

    point = np.append(found.theta[1:], found.gamma[0])
    bend = np.stack([(whole(point + h) - whole(point - h)) / 2e-5 for h in 1e-5 * np.eye(5)])
    inverse = np.linalg.inv(-bend)
    scores = np.stack([slope(point, np.flatnonzero(blocks == b)) for b in np.unique(blocks)])
    sandwich = inverse @ (scores.T @ scores) @ inverse
    assert found.blocks[4] == 1 < LEAST_BLOCKS <= found.blocks[1]
    assert found.variance(1) == pytest.approx(sandwich[0, 0], rel=1e-5)
    assert found.variance(4) == pytest.approx(inverse[3, 3], rel=1e-5)
    assert found.variance_of_seat(0) == pytest.approx(sandwich[4, 4], rel=1e-5)
    both = sandwich[0, 0] + sandwich[1, 1] - 2 * sandwich[0, 1]
    assert found.variance_of_difference(1, 2) == pytest.approx(both, rel=1e-5)
    mixed = inverse[0, 0] + inverse[3, 3] - 2 * inverse[0, 3]
    assert found.variance_of_difference(1, 4) == pytest.approx(mixed, rel=1e-5)
    assert found.variance(0) == 0.0


def coverage(rng, pools, *, agents, players, blocks_each, spread=1.0):
    """Share of planted strengths inside their 95 % intervals."""
    inside = total = 0
    for _ in range(pools):
        theta, seats, ranks, blocks = planted(
            rng, agents=agents, players=players, blocks_each=blocks_each, spread=spread
        )
        found = maximise(
            outcomes_of(seats, ranks, blocks),
            agents=agents,
            fixed=ANCHORED,
            draws=draws_of(agents),
        )
        for agent in range(1, agents):
            error = math.sqrt(found.variance(agent))
            inside += abs(found.theta[agent] - theta[agent]) <= 1.96 * error
            total += 1
    return inside / total


def test_intervals_cover_planted_strengths():
    share = coverage(np.random.default_rng(8), 20, agents=8, players=2, blocks_each=60)
    assert 0.88 <= share <= 1.0  # 140 values: 3 standard deviations below 0.95


@pytest.mark.acceptance
@pytest.mark.parametrize("players", [2, 3, 4])
def test_93_percent_of_20_agents_over_50_data_sets(players):
    share = coverage(
        np.random.default_rng(players), 50, agents=20, players=players, blocks_each=200
    )
    print(f"N = {players}: {100 * share:.1f} % of 950 planted values inside")
    assert share >= 0.93


@pytest.mark.acceptance
def test_coverage_over_500_pools():
    rng = np.random.default_rng(500)
    shares = [
        coverage(rng, pools, agents=10, players=players, blocks_each=100)
        for players, pools in ((2, 200), (3, 150), (4, 150))
    ]
    share = float(np.average(shares, weights=[200, 150, 150]))
    print(f"coverage {100 * share:.2f} % over 500 pools; by N {shares}")
    assert 0.92 <= share <= 0.97


@pytest.mark.acceptance
@pytest.mark.timed
@pytest.mark.parametrize("players", [2, 4])
def test_2000_agents_with_200000_games_fit_in_15_s(players):
    import time

    rng = np.random.default_rng(players)
    agents, games = 2000, 200_000
    theta = rng.normal(size=agents)
    seats = rng.integers(0, agents, size=(games, players))
    order = np.argsort(-(theta[seats] + rng.gumbel(size=seats.shape)), axis=1)
    outcomes = outcomes_of(seats, np.argsort(order, axis=1) + 1, np.arange(games) // players)
    began_s = time.monotonic()
    found = maximise(outcomes, agents=agents, fixed=ANCHORED, draws=draws_of(agents))
    took_s = time.monotonic() - began_s
    print(f"N = {players}: {took_s:.1f} s, {found.steps} steps")
    assert took_s < 15


@pytest.mark.parametrize("players", [2, 3])
def test_a_seat_that_won_every_game_so_far_leaves_finite_numbers(players):
    """The first games of a pool: without a bound the effect of the seat would run away."""
    seats = np.array([np.roll(np.arange(players), turn) for turn in range(players)])
    ranks = np.tile(np.arange(1, players + 1), (players, 1))
    found = maximise(
        outcomes_of(seats, ranks), agents=players, fixed=np.array([0]), draws=draws_of(players)
    )
    assert np.isfinite(found.theta).all()
    assert np.abs(found.theta).max() < 1e-6  # everybody won from the first seat alike
    assert 0.3 < found.gamma[0] < 3.0
