"""Positions of random games, as the evaluator takes them."""

from __future__ import annotations

import random

import numpy as np

from ringrift.rules import BoardSpec, Position


def positions(spec: BoardSpec, count: int, *, seed: int = 0) -> list[Position]:
    """Return unfinished positions with a choice, from as many random games as it takes."""
    rng, found = random.Random(f"{spec.config} {seed}"), []
    while len(found) < 4 * count:
        position = Position.of(spec)
        while not position.is_over and position.ply < 500:
            legal = position.legal_packed()
            if len(legal) > 1:
                found.append(position.copy())
            position._play_legal(rng.choice(legal.tolist()))
    return rng.sample(found, count)


def batch(chosen: list[Position]):
    """Return states, moves, offsets."""
    legal = [p.legal_packed() for p in chosen]
    offsets = np.zeros(len(chosen) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in legal])
    return np.concatenate([p._states for p in chosen]), np.concatenate(legal), offsets
