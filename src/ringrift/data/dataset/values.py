"""What a finished game is worth to each seat (data.md 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ringrift.records.record import RESIGNATION, RULE_REASONS, TIMEOUT, seat_values

SEATS = 4
"""Seats of an array; those that are absent have 0."""

VICTORY_TYPES = (*RULE_REASONS, RESIGNATION, TIMEOUT, "other")


def rank_values(ranks: Sequence[int], *, rank_aware: bool) -> NDArray[np.float32]:
    """Return the value of each seat, `float32[4]` in [-1, 1]; 0 without a ranking.

    With `rank_aware` evenly from 1 for the first to -1 for the last, tied seats share the mean of
    the ranks they hold; else 1 for the first and -1 for the others.
    """
    values = np.zeros(SEATS, np.float32)
    if ranks:
        plain = [1.0 if rank == 1 else -1.0 for rank in ranks]
        values[: len(ranks)] = seat_values(ranks) if rank_aware else plain
    return values


def win_shares(ranks: Sequence[int]) -> NDArray[np.float32]:
    """Return the share of the win of each seat, `float32[4]`: tied first seats divide it."""
    shares = np.zeros(SEATS, np.float32)
    first = [seat for seat, rank in enumerate(ranks) if rank == 1]
    shares[first] = 1.0 / len(first) if first else 0.0
    return shares


def victory_type(reason: str) -> int:
    """Return the index of a result's reason in `VICTORY_TYPES`."""
    known = reason in VICTORY_TYPES
    return VICTORY_TYPES.index(reason) if known else len(VICTORY_TYPES) - 1
