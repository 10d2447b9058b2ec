"""What an agent owes its callers, whatever it searches with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringrift.agents.alphabeta.agent import AlphaBetaAgent, AlphaBetaOptions
from ringrift.agents.alphabeta.leaf import NNUE, constant_leaf, heuristic_leaf
from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Rngs
from ringrift.agents.weights import default_profile
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec, Position

from ..games import batch_of, choices, random_game
from .positions import agent, decide

WAYS = [
    ("square8", 2, "paranoid"),
    ("hex8", 3, "paranoid"),
    ("square8", 3, "maxn"),
    ("hex8", 4, "brs"),
]


def player(board: str, players: int, multi: str, **options: Any) -> AlphaBetaAgent:
    spec = BoardSpec.create(board, players)
    leaf = heuristic_leaf(default_profile(spec.config))
    return agent(spec, leaf, multi=multi, **options)


def timeless(decisions: list[Decision]) -> list[Decision]:
    return [replace(d, time_ms=0.0) for d in decisions]


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players", "multi"), WAYS)
@pytest.mark.parametrize("budget", [Budget(depth=2), Budget(depth=9, nodes=3000)])
def test_a_decision_does_not_depend_on_its_batch(
    board: str, players: int, multi: str, budget: Budget
) -> None:
    """Not on its order either, nor on what the same agent decided before."""
    one = player(board, players, multi, q=3)
    positions = choices(one.board, 24, seed=2)
    seeds = [i // 2 for i in range(24)]  # games come up twice
    together = timeless(one.choose(batch_of(positions, seeds), budget, Rngs()))
    order = np.random.default_rng(0).permutation(24).tolist()
    shuffled = batch_of([positions[i] for i in order], [seeds[i] for i in order])
    assert timeless(one.choose(shuffled, budget, Rngs())) == [together[i] for i in order]
    other = player(board, players, multi, q=3)
    alone = [other.choose(batch_of([p], [7]), budget, Rngs())[0] for p in positions]
    assert timeless(alone) == together


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players", "multi"), WAYS)
def test_decisions_are_well_formed(board: str, players: int, multi: str) -> None:
    one = player(board, players, multi, depth=2, q=3)
    assert isinstance(one, Agent)
    for position in choices(one.board, 12, seed=4):
        before = position._states.tobytes()
        d = decide(one, position)
        assert position._states.tobytes() == before
        assert d.policy is None
        assert min(d.depth, d.nodes, d.time_ms) > 0
        assert d.pv[0] == d.move
        assert len(d.pv) <= 16
        line = position.copy()
        for move in d.pv:
            line.play(move)
        assert len(d.value) == players
        assert sum(d.value) == pytest.approx(0, abs=1e-6)
        assert all(-1 <= v <= 1 for v in d.value)
        if multi != "maxn":  # the others share what the searching seat does not have
            rest = {v for i, v in enumerate(d.value) if i != position.current_player - 1}
            assert len(rest) == 1


def test_the_node_limit_is_kept_to_the_node() -> None:
    one = player("square8", 2, "paranoid")
    (position,) = choices(one.board, 1, seed=4)
    for nodes in (1, 50, 1000, 20_000):
        assert decide(one, position, depth=30, nodes=nodes).nodes == nodes
    assert agent(one.board, nodes=500, depth=30).options.nodes == 500
    assert decide(agent(one.board, nodes=500, depth=30), position).nodes == 500


def test_a_search_without_time_for_one_move_says_so() -> None:
    one = player("square8", 2, "paranoid")
    (position,) = choices(one.board, 1, seed=4)
    d = decide(one, position, nodes=1)
    assert (d.depth, d.value, d.pv) == (0, None, (d.move,))
    assert d.move in position.legal_packed()


def test_forced_plies_are_answered_without_search() -> None:
    forced = next(
        p for p in random_game(BoardSpec.create("square8"), 1) if len(p.legal_packed()) == 1
    )
    d = decide(agent(forced.spec), forced)
    assert (d.kind, d.value, d.nodes) == ("forced", None, 0)
    assert d.move == forced.legal_packed()[0]


def test_what_cannot_be_done_is_refused() -> None:
    spec = BoardSpec.create("square8")
    start = batch_of([Position.of(spec)], [0])
    with pytest.raises(UsageError, match="for 2 players, not 3"):
        agent(BoardSpec.create("square8", 3), constant_leaf()._replace(kind=NNUE))
    with pytest.raises(UsageError, match="not in sims"):
        agent(spec).choose(start, Budget(sims=10), Rngs())
    with pytest.raises(UsageError, match="plays hex8_2p"):
        agent(BoardSpec.create("hex8")).choose(start, Budget(), Rngs())
    pie = BoardSpec.create("square8", swap_rule=True)
    with pytest.raises(UsageError, match="pie rule"):
        decide(agent(pie), Position.of(pie))
    with pytest.raises(UsageError, match="depth is 0"):
        AlphaBetaOptions(depth=0)
    with pytest.raises(UsageError, match="multi"):
        AlphaBetaOptions(multi="minimax")  # type: ignore[arg-type]
    over = random_game(spec, 1)[-1]
    with pytest.raises(UsageError, match="no legal move"):
        agent(spec).choose(Batch(spec, over._states, [1]), Budget(), Rngs())


def test_an_evaluation_that_is_no_number_ends_the_search() -> None:
    spec = BoardSpec.create("square8")
    leaf = heuristic_leaf(default_profile(spec.config))
    (position,) = choices(spec, 1, seed=4)
    with pytest.raises(DataError, match="not finite"):
        decide(agent(spec, leaf._replace(weights=leaf.weights * np.nan)), position)


def test_width_narrows_interior_nodes_but_never_the_root() -> None:
    spec = BoardSpec.create("square8")
    leaf = heuristic_leaf(default_profile(spec.config), full=False)
    position = next(p for p in choices(spec, 40, seed=1) if len(p.legal_packed()) > 100)
    wide, narrow = agent(spec, leaf, q=0), agent(spec, leaf, q=0, width=4)
    legal = len(position.legal_packed())
    assert decide(narrow, position, depth=1).nodes == decide(wide, position, depth=1).nodes >= legal
    assert decide(narrow, position, depth=2).nodes < decide(wide, position, depth=2).nodes
    assert agent(BoardSpec.create("hexagonal"))._search.run[0]["width"] == 64
    assert agent(BoardSpec.create("hexagonal"), width=0)._search.run[0]["width"] == 0
