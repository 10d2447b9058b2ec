"""Searches end when they are told to, and are as quick as they were measured to be."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from ringrift.agents.alphabeta.agent import Multi
from ringrift.agents.alphabeta.leaf import constant_leaf, heuristic_leaf
from ringrift.agents.weights import default_profile
from ringrift.rules import BoardSpec, Position

from ..games import choices
from .positions import agent, decide


def open_positions(spec: BoardSpec, count: int) -> list[Position]:
    """Positions that no search soon solves."""
    return [p for p in choices(spec, 12 * count, seed=1) if len(p.legal_packed()) > 20][:count]


def overruns_ms(spec: BoardSpec, limit_ms: float, count: int, **options: Any) -> list[float]:
    player = agent(spec, heuristic_leaf(default_profile(spec.config)), depth=60, **options)
    decide(player, Position.of(spec), depth=1)  # compiled before the clock runs
    return [
        decide(player, p, time_ms=limit_ms).time_ms - limit_ms for p in open_positions(spec, count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "players", "options"),
    [
        ("square8", 2, {}),
        ("hexagonal", 2, {}),
        ("square8", 3, {"multi": "maxn"}),
        ("hex8", 4, {"multi": "brs"}),
    ],
)
def test_time_is_kept(board: str, players: int, options: dict[str, Any]) -> None:
    """Loosely, for other work on the machine delays both the clock and the search."""
    over = overruns_ms(BoardSpec.create(board, players), 60, 12, **options)
    assert np.median(over) < 30
    assert max(over) < 500


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hexagonal", 2), ("square19", 4)])
def test_one_search_in_a_hundred_is_twenty_milliseconds_late(board: str, players: int) -> None:
    over = overruns_ms(BoardSpec.create(board, players), 100, 200)
    print(
        f"{board} {players}: overrun median {np.median(over):.2f}, p99 {np.quantile(over, 0.99):.2f} ms"
    )
    assert np.quantile(over, 0.99) < 20


@pytest.mark.timed
@pytest.mark.slow
@pytest.mark.parametrize("board", ["square8", "hexagonal"])
def test_a_kill_ends_a_search_within_five_milliseconds(board: str) -> None:
    spec = BoardSpec.create(board)
    player = agent(spec, heuristic_leaf(default_profile(spec.config)), depth=60)
    decide(player, Position.of(spec), depth=1)
    late_ms = []
    for position in open_positions(spec, 9):
        killed_s = 0.0

        def kill() -> None:
            nonlocal killed_s
            time.sleep(0.05)
            killed_s = time.perf_counter()
            player.flags.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        found = decide(player, position)
        late_ms.append((time.perf_counter() - killed_s) * 1000)
        killer.join()
        player.flags.clear()
        assert found.move in position.legal_packed()
    assert np.median(late_ms) < 5  # a busy machine delays single ones


def test_a_kill_lasts_until_it_is_cleared() -> None:
    spec = BoardSpec.create("square8")
    player = agent(spec, depth=3)
    (position,) = choices(spec, 1, seed=4)
    player.flags.kill()
    assert player.flags.killed
    assert decide(player, position).depth == 0
    player.flags.clear()
    assert decide(player, position).depth == 3


@pytest.mark.slow
@pytest.mark.parametrize(("players", "multi"), [(2, "paranoid"), (3, "maxn")])
def test_games_on_time_keep_their_table_and_others_do_not(players: int, multi: Multi) -> None:
    spec = BoardSpec.create("square8", players)
    leaf = heuristic_leaf(default_profile(spec.config), full=False)
    player = agent(spec, leaf, depth=3, width=10, q=2, multi=multi)
    (position,) = choices(spec, 1, seed=4)
    first, again = (decide(player, position) for _ in range(2))
    assert again.nodes == first.nodes
    first, again = (decide(player, position, time_ms=60_000) for _ in range(2))
    assert again.nodes < first.nodes
    assert (again.move, again.value) == (first.move, first.value)


def nodes_per_s() -> float:
    """Time the constant evaluator by the time of its own thread, whatever else runs."""
    spec = BoardSpec.create("square8")
    player = agent(spec, constant_leaf(), depth=4, tt_mb=64)
    decide(player, Position.of(spec), depth=1)
    nodes, spent_s = 0, 0.0
    for position in open_positions(spec, 8):
        started_s = time.thread_time()
        nodes += decide(player, position, nodes=500_000).nodes
        spent_s += time.thread_time() - started_s
    return nodes / spent_s


@pytest.mark.timed
@pytest.mark.slow
def test_the_search_is_not_slow() -> None:
    """2.3 million were measured; a third of it on a busy machine is still a search."""
    assert nodes_per_s() > 700_000


@pytest.mark.acceptance
def test_a_million_nodes_a_second() -> None:
    measured = nodes_per_s()
    print(f"{measured:,.0f} nodes/s, square8_2p, constant evaluator, one thread")
    assert measured >= 1_000_000
