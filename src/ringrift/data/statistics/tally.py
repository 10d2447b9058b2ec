"""Sums over games that can be added up in any order (data.md 10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Tally:
    """Sums of one configuration, or of all.

    `sums` are vectors by name, which grow with the largest index that was counted; `counters` count
    by value, `hashes` keep one number a game to tell equal ones apart.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Array] = {}
        self.counters: defaultdict[str, Counter[Hashable]] = defaultdict(Counter)
        self.hashes: defaultdict[str, list[Array]] = defaultdict(list)

    def add(self, name: str, values: Any) -> None:
        """Add a number or a vector to a sum."""
        more = np.atleast_1d(np.asarray(values, np.int64))
        so_far = self.sums.get(name)
        if so_far is None:
            self.sums[name] = more.copy()
        elif len(more) <= len(so_far):
            so_far[: len(more)] += more
        else:
            grown = more.copy()
            grown[: len(so_far)] += so_far
            self.sums[name] = grown

    def count(self, name: str, values: Array) -> None:
        """Count whole numbers from 0 on by value."""
        if len(values):
            self.add(name, np.bincount(values))

    def merge(self, other: Tally) -> None:
        """Add the sums of another."""
        for name, values in other.sums.items():
            self.add(name, values)
        for name, counter in other.counters.items():
            self.counters[name].update(counter)
        for name, parts in other.hashes.items():
            self.hashes[name] += parts

    # --- reading

    def number(self, name: str) -> int:
        """Return a sum of numbers, 0 where nothing was added."""
        found = self.sums.get(name)
        return 0 if found is None else int(found[0])

    def vector(self, name: str, size: int = 0) -> list[int]:
        """Return a sum of vectors, with at least `size` entries."""
        found = self.sums.get(name)
        values: list[int] = [] if found is None else found.tolist()
        return values + [0] * (size - len(values))

    def distinct(self, name: str) -> int:
        """Return how many different hashes were kept."""
        parts = self.hashes.get(name)
        return len(np.unique(np.concatenate(parts))) if parts else 0
