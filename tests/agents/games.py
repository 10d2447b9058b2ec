"""Positions for the tests of agents, and evaluators whose answers a test can recompute."""

from __future__ import annotations

import random
from typing import Any

import numba
import numpy as np

from ringrift.agents.protocol import Batch
from ringrift.rules import BoardSpec, Position, engine
from ringrift.rules import layout as lay

compiled = numba.njit(error_model="numpy")
"""Compiles a test's own kernel without the cache, which would not see it change."""

CONFIGURATIONS = [
    (board, n) for board in ("square8", "hex8", "square19", "hexagonal") for n in (2, 3, 4)
]
SMALL = [("square8", 2), ("hex8", 2), ("square8", 3), ("hex8", 4)]


def random_game(spec: BoardSpec, seed: int, *, most: int = 10_000) -> list[Position]:
    """Play at random; return copies of all positions, the last one first over or at `most` plies."""
    draw = random.Random(seed)
    position = Position.of(spec)
    seen = [position.copy()]
    while not position.is_over and len(seen) <= most:
        position._play_legal(draw.choice(position.legal_packed().tolist()))
        seen.append(position.copy())
    return seen


def choices(spec: BoardSpec, count: int, seed: int = 0) -> list[Position]:
    """Return positions with more than one legal move, spread over random games."""
    found: list[Position] = []
    draw = random.Random(seed)
    while len(found) < count:
        game = [p for p in random_game(spec, seed)[:-1] if len(p.legal_packed()) > 1]
        found += draw.sample(game, min(len(game), 8))
        seed += 1
    return found[:count]


def batch_of(positions: list[Position], seeds: list[int] | None = None) -> Batch:
    states = np.concatenate([p._states for p in positions])
    return Batch(positions[0].spec, states, list(range(len(positions))) if seeds is None else seeds)


class HashedEvaluator:
    """Answers drawn from each position's hash: as uneven as a net's and a function of the position."""

    def __init__(self, spec: BoardSpec) -> None:
        self.players = spec.players

    def evaluate(self, states: Any, boards: Any, moves: Any, offsets: Any) -> tuple[Any, Any]:
        logits = np.zeros(len(moves), np.float32)
        values = np.zeros((len(states), self.players), np.float32)
        for i in range(len(states)):
            seed = int(engine.hash64(lay.view(states), i, lay.view(boards))) & 0xFFFFFFFF
            draw = np.random.default_rng(seed)
            logits[offsets[i] : offsets[i + 1]] = draw.normal(size=offsets[i + 1] - offsets[i])
            v = draw.uniform(-1, 1, self.players)
            values[i] = (v - v.mean()) / 2
        return logits, values
