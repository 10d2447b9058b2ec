"""Who meets next: everyone once, connected fields, and fewer games where they tell most."""

from itertools import combinations

import numpy as np
import pytest

from ringrift.evaluation.pairing import (
    TARGET_ELO,
    chain,
    estimate,
    next_groups,
    round_robin,
)
from ringrift.evaluation.ratings.strengths import Outcomes


def connected(groups, agents):
    reached, left = set(groups[0]), list(groups[1:])
    while left and (more := [g for g in left if reached & set(g)]):
        reached.update(*more)
        left = [g for g in left if g not in more]
    return reached == set(range(agents))


@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("agents", [2, 3, 4, 5, 8, 10])
def test_in_a_round_robin_every_two_agents_meet(agents, players):
    groups = round_robin(agents, players)
    met = {pair for group in groups for pair in combinations(group, 2)}
    assert met == set(combinations(range(agents), 2))
    assert all(len(set(group)) == min(agents, players) for group in groups)
    if players == 2:
        assert len(groups) == len(met)
    first = chain(agents, players)
    assert groups[: len(first)] == first
    assert connected(first, agents)


def outcomes(games, players=2):
    seats = np.array([seats for seats, _ in games], dtype=np.int64).reshape(-1, players)
    ranks = np.array([ranks for _, ranks in games], dtype=np.int64).reshape(-1, players)
    return Outcomes(seats=seats, ranks=ranks, blocks=np.arange(len(games)) // players)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_no_game_and_one_sided_games_have_an_estimate(players):
    field = tuple(range(players))
    nothing = estimate(outcomes([], players), 5, anchor=0)
    assert np.allclose(nothing.elo, 0.0)
    assert not nothing.settled()
    won = estimate(outcomes([(field, range(1, players + 1))] * 6, players), 5, anchor=0)
    assert np.isfinite(won.elo).all()
    assert won.elo[0] > won.elo[players - 1]


def even(one, other, times):
    seats = ((one, other), (other, one))
    return [(who, ranks) for who in seats for ranks in ((1, 2), (2, 1))] * (times // 2)


def test_the_anchor_is_no_part_of_the_mean_and_its_error_does_not_count():
    games = even(1, 2, 200) + [((1, 0), (1, 2)), ((0, 1), (2, 1))] * 20
    found = estimate(outcomes(games), 3, anchor=0)
    assert found.elo[1:].mean() == pytest.approx(0.0, abs=1e-9)
    assert found.elo[0] < -300
    assert found.settled()
    assert estimate(outcomes(games), 3).errors.max() > TARGET_ELO


def test_those_meet_whose_games_tell_most():
    games = even(0, 1, 150) + even(1, 2, 150) + even(2, 3, 150) + even(3, 4, 5)
    found = estimate(outcomes(games), 5, anchor=0)
    assert all(4 in group for group in next_groups(found, players=2, games=10))


def test_groups_of_more_players_are_neighbours_by_rating():
    rng = np.random.default_rng(1)
    games = []
    for group in combinations(range(8), 4):
        seats = rng.permutation(group)
        games.append((seats, np.argsort(np.argsort(-seats)) + 1))
    found = estimate(outcomes(games, 4), 8)
    for group in next_groups(found, players=4, games=12):
        assert list(group) == list(range(group[0], group[0] + 4))


def play(true, rng, groups, games):
    found = []
    for one, other in groups:
        for number in range(games):
            seats = (one, other) if number % 2 else (other, one)
            expected = 1 / (1 + 10 ** ((true[seats[1]] - true[seats[0]]) / 400))
            found.append((seats, (1, 2) if rng.random() < expected else (2, 1)))
    return found


@pytest.mark.parametrize("true", [np.linspace(0, 1200, 20), np.r_[0.0, np.linspace(600, 1400, 19)]])
def test_matchmaking_needs_at_most_70_percent_of_the_games_of_a_round_robin(true):
    """No oracle: the agents are simulated, and each way of pairing plays until it is sure."""

    def needed(begin, more):
        rng = np.random.default_rng(7)
        played = play(true, rng, begin, 10)
        while not (found := estimate(outcomes(played), 20, anchor=0)).settled():
            played += play(true, rng, more(found), 10)
        return len(played)

    everyone = round_robin(20, 2)
    whole = needed(everyone, lambda _: everyone)
    chosen = needed(chain(20, 2), lambda found: next_groups(found, players=2, games=10))
    assert chosen <= 0.7 * whole
