"""Draws of a run: numbers that follow from its seed and from what they are for, nothing else."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


def uniform(run_seed: int, *purpose: int | str) -> float:
    """Return a number from 0 up to but not including 1 for the words of `purpose`."""
    text = " ".join(str(word) for word in (run_seed, *purpose))
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def whole(low: int, high: int, run_seed: int, *purpose: int | str) -> int:
    """Return a whole number from `low` to `high`, both included."""
    return low + int(uniform(run_seed, *purpose) * (high - low + 1))


def weighted(weights: Sequence[float], run_seed: int, *purpose: int | str) -> int:
    """Return a place in `weights`, drawn by them; they need not sum to 1."""
    bounds = list(accumulate(weights))
    return bisect_right(bounds, uniform(run_seed, *purpose) * bounds[-1], hi=len(bounds) - 1)
