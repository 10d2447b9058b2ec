"""Games that are tables: positions are rows with fixed logits, values and successors.

Every number follows from a seed by whole-number arithmetic alone, so that the script that makes the
golden trees, the kernels under test and the reference all search the same games. Imports nothing of
ringrift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ROWS = 997


def numbers(seed: int, count: int) -> Any:
    """Return `count` numbers strictly between 0 and 1 (splitmix64)."""
    z = (
        np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed) * np.uint64(1 << 32)
    ) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52


@dataclass(frozen=True)
class Group:
    """Trees of one shape: tree t starts in row t with noise of its own, times `scale`."""

    seed: int
    players: int
    trees: int
    actions: int
    sims: int
    m: int
    c_visit: float
    c_scale: float
    scale: float

    @property
    def logits(self) -> Any:
        """`[ROWS, actions]`: sums of three uniform numbers, stretched."""
        u = numbers(self.seed, 3 * ROWS * self.actions).reshape(3, ROWS, self.actions)
        return 3.0 * (u.sum(axis=0) - 1.5)

    @property
    def values(self) -> Any:
        """`[ROWS, players]`, sum 0, by seat; with two players the first column is the mover's."""
        u = 2 * numbers(self.seed + 1, ROWS * self.players).reshape(ROWS, self.players) - 1
        return (u - u.mean(axis=1, keepdims=True)) * (0.5 if self.players > 2 else 1.0)

    @property
    def successors(self) -> Any:
        """`[ROWS, actions]`: the row behind each action."""
        u = numbers(self.seed + 2, ROWS * self.actions)
        return np.minimum((u * ROWS).astype(np.int64), ROWS - 1).reshape(ROWS, self.actions)

    @property
    def seats(self) -> Any:
        """`[ROWS]`: who moves, from 1; with two players they alternate and this is not used."""
        u = numbers(self.seed + 3, ROWS)
        return np.minimum((u * self.players).astype(np.int64), self.players - 1) + 1

    @property
    def noise(self) -> Any:
        """`[trees, actions]`: Gumbel noise of the roots."""
        u = numbers(self.seed + 4, self.trees * self.actions).reshape(self.trees, self.actions)
        return -np.log(-np.log(u)) * self.scale


TWO_PLAYERS = tuple(
    Group(10 * i, 2, 100, *shape)
    for i, shape in enumerate(
        (
            (2, 16, 16, 50.0, 1.0, 1.0),
            (3, 32, 16, 50.0, 0.1, 1.0),
            (4, 48, 4, 50.0, 0.1, 1.0),
            (6, 64, 16, 50.0, 1.0, 1.0),
            (8, 33, 8, 20.0, 0.3, 1.0),
            (12, 50, 16, 50.0, 0.05, 0.5),
            (16, 100, 16, 50.0, 0.1, 1.0),
            (24, 64, 16, 50.0, 0.1, 1.0),
            (5, 150, 3, 50.0, 0.02, 1.0),
            (30, 40, 16, 50.0, 0.1, 0.0),
        ),
        start=1,
    )
)
"""1,000 trees of two players who move in turn."""

THREE_PLAYERS = (
    Group(900, 3, 50, 4, 48, 4, 50.0, 0.05, 1.0),
    Group(910, 3, 50, 9, 64, 8, 50.0, 0.1, 1.0),
)
"""100 trees of three players in no fixed order."""
