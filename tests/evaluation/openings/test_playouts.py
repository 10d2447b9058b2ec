"""Shares of the wins: the playouts are the heuristic's games, and short cuts change no verdict."""

import numpy as np
import pytest

from ringrift.agents.factory import make_agent
from ringrift.agents.protocol import Batch, Budget, Rngs
from ringrift.evaluation.openings import playouts
from ringrift.evaluation.openings.drawing import draw
from ringrift.evaluation.openings.playouts import Player, Shares, decided, seeds_of
from ringrift.rules import BoardSpec


def some(spec, count):
    found = (draw(spec, 1, number, 4, 10) for number in range(10 * count))
    return [each[1] for each in found if each is not None][:count]


def test_a_playout_is_the_game_of_the_light_heuristic_at_temperature_three_tenths():
    spec = BoardSpec.create("square8", 3)
    agent = make_agent("heuristic:mode=light,tau=0.3", spec)
    start, wins = some(spec, 1)[0], np.zeros(4, np.int64)
    for seed in seeds_of("some name", 3).tolist():
        position = start.copy()
        while not position.is_over:
            batch = Batch(spec, position.record().reshape(1), [seed])
            position.play(agent.choose(batch, Budget(), Rngs())[0].move)
        wins[position.winner] += 1
    player = Player(spec)
    player.playouts = 3
    assert player.play(start, "some name").wins == tuple(wins[1:].tolist())


@pytest.mark.parametrize(("board", "expected"), [("square8", 32), ("hexagonal", 64)])
def test_the_number_of_playouts_and_their_repetition(board, expected):
    spec = BoardSpec.create(board, 2)
    player, position = Player(spec), some(spec, 1)[0]
    found = player.play(position, "a")
    assert found.playouts == expected == sum(found.wins) + found.capped
    assert found == player.play(position, "a")
    assert len({player.play(position, name).wins for name in "abcdef"}) > 1


@pytest.mark.parametrize("players", [2, 3, 4])
def test_playouts_end_early_only_where_nothing_could_make_the_shares_fair(players):
    rng, total, shorter = np.random.default_rng(1), 32, 0
    for _ in range(500):
        odds = rng.dirichlet(np.full(players + 1, 2.0))
        wins, ended = np.zeros(players + 1, np.int64), None
        for played, winner in enumerate(rng.choice(players + 1, total, p=odds), start=1):
            wins[winner] += 1
            if ended is None and decided(wins, players, played, total):
                ended = played
                assert not Shares(wins=tuple(wins[1:]), capped=wins[0], playouts=played).fair
        fair = Shares(wins=tuple(wins[1:]), capped=wins[0], playouts=total).fair
        assert fair == (ended is None)
        shorter += ended is not None and ended < total
    assert shorter > 20


def test_a_position_has_shares_only_if_they_are_fair():
    spec = BoardSpec.create("square8", 4)
    player, verdicts = Player(spec), []
    for number, position in enumerate(some(spec, 5)):
        whole = player.play(position, f"{number}")
        assert player.fair_shares(position, f"{number}") == (whole.shares if whole.fair else None)
        verdicts.append(whole.fair)
    assert set(verdicts) == {True, False}


def test_a_playout_without_an_end_counts_evenly(monkeypatch):
    monkeypatch.setattr(playouts, "default_max_plies", lambda _: 30)
    spec = BoardSpec.create("square8", 2)
    found = Player(spec).play(some(spec, 1)[0], "a")
    assert (found.wins, found.capped, found.shares) == ((0, 0), 32, (0.5, 0.5))


@pytest.mark.parametrize(
    ("wins", "capped", "shares", "fair"),
    [
        ((8, 24), 0, (0.25, 0.75), True),
        ((7, 25), 0, (0.2188, 0.7812), False),
        ((7, 24), 1, (0.2344, 0.7656), False),
        ((5, 11, 16), 0, (0.1562, 0.3438, 0.5), False),
        ((6, 10, 16), 0, (0.1875, 0.3125, 0.5), True),
        ((4, 8, 8, 12), 0, (0.125, 0.25, 0.25, 0.375), True),
        ((4, 8, 7, 13), 0, (0.125, 0.25, 0.2188, 0.4062), False),
    ],
)
def test_fair_is_from_half_to_one_and_a_half_of_an_equal_share(wins, capped, shares, fair):
    found = Shares(wins=wins, capped=capped, playouts=32)
    assert found.shares == pytest.approx(shares, abs=1e-4)
    assert found.fair == fair
