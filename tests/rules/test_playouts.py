"""Batches of random playouts (rules/cpu.py): reproducible, independent of threads, fair to every move."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ringrift.rules import BoardSpec, Position
from ringrift.rules.cpu import bench_playouts, random_playouts

from .positions import CONFIGURATIONS, legal


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_games_end_with_a_winner(board: str, players: int) -> None:
    spec = BoardSpec.create(board, players, rings_per_player=4)
    batch = random_playouts(spec, 8, seed=3, max_plies=20_000)
    assert batch.winner.shape == batch.plies.shape == batch.hash.shape == (8,)
    assert all(1 <= winner <= players for winner in batch.winner.tolist())
    assert batch.plies.min() >= 4
    assert batch.plies.max() < 20_000


def test_a_game_depends_on_its_own_seed_only() -> None:
    """Not on the batch it stands in, nor on the number of threads."""
    spec = BoardSpec.create("hex8", 3, rings_per_player=5)
    whole = random_playouts(spec, 150, seed=10, threads=1)
    threaded = random_playouts(spec, 150, seed=10, threads=2)
    part = random_playouts(spec, 30, seed=90)
    for name in ("winner", "reason", "plies", "hash"):
        assert np.array_equal(getattr(whole, name), getattr(threaded, name))
        assert np.array_equal(getattr(whole, name)[80:110], getattr(part, name))
    assert len(set(whole.hash.tolist())) > 140


def test_max_plies_cuts_a_game() -> None:
    batch = random_playouts(BoardSpec.create("square8", 2), 5, seed=1, max_plies=17)
    assert batch.plies.tolist() == [17] * 5
    assert batch.winner.tolist() == [0] * 5


@pytest.mark.parametrize("plies", [1, 2])
def test_every_legal_move_is_drawn_with_equal_chance(plies: int) -> None:
    """First ply: chi-square over the 192 placements. Second: after each placement its moves are as frequent."""
    spec = BoardSpec.create("square8", 2)
    games = 192 * 40 * plies
    batch = random_playouts(spec, games, seed=77, max_plies=plies)
    seen = Counter(batch.hash.tolist())
    expected: dict[int, float] = {}
    start = Position.of(spec)
    for first in legal(start):
        after = start.after(first)
        if plies == 1:
            expected[signed(after.hash64)] = games / 192
            continue
        moves = legal(after)
        for second in moves:
            key = signed(after.after(second).hash64)
            expected[key] = expected.get(key, 0.0) + games / 192 / len(moves)
    assert set(seen) <= set(expected)
    chi_square = sum((seen[key] - count) ** 2 / count for key, count in expected.items())
    freedom = len(expected) - 1
    assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def test_bench_counts_what_it_plays() -> None:
    figures = bench_playouts("square8_2p", seconds=0.05, threads=2)
    assert figures["configuration"] == "square8_2p"
    assert figures["threads"] == 2
    assert figures["games"] > 0
    assert figures["plies"] > 10 * figures["games"]
    assert figures["plies_per_s"] == pytest.approx(figures["plies"] / figures["seconds"])
