"""Endings whose whole tree is small, and the agents that search them."""

from __future__ import annotations

from functools import cache
from typing import Any

from ringrift.agents.alphabeta.agent import AlphaBetaAgent, AlphaBetaOptions
from ringrift.agents.alphabeta.leaf import Leaf, constant_leaf
from ringrift.agents.protocol import Budget, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.rules import BoardSpec, Position

from ..games import batch_of, random_game
from .reference import TooLarge, height

NAME = ResolvedSpec(text="alphabeta:test", agent_hash="0" * 64)
MOST_CHOICES = 6


def agent(spec: BoardSpec, leaf: Leaf | None = None, **options: Any) -> AlphaBetaAgent:
    options.setdefault("tt_mb", 4)
    return AlphaBetaAgent(NAME, spec, leaf or constant_leaf(), AlphaBetaOptions(**options))


def decide(player: AlphaBetaAgent, position: Position, **budget: Any) -> Decision:
    (decision,) = player.choose(batch_of([position], [1]), Budget(**budget), Rngs())
    return decision


@cache
def endings(
    board: str, players: int, rings: int | None, count: int, nodes: int = 600
) -> tuple[Position, ...]:
    """Return positions with a choice and at most six choices to the end, of 2 nodes or more."""
    spec = BoardSpec.create(board, players, rings_per_player=rings)
    found: list[Position] = []
    seed = 0
    while len(found) < count:
        seed += 1
        for position in reversed(random_game(spec, seed)[-40:-1]):
            if len(position.legal_packed()) < 2:
                continue
            try:
                height(position, MOST_CHOICES, [nodes])
            except TooLarge:
                break
            found.append(position)
    return tuple(found[:count])
