"""Whether the samples are spread evenly over the seats (data.md 4)."""

from __future__ import annotations

from collections.abc import Mapping

SKEW_FROM = 1_000
MOST_SKEW = 0.10


def skewed_seat(seats: Mapping[int, int], players: int) -> str | None:
    """Name a seat whose share of 1,000 samples or more is off by more than 10 points; else None."""
    total = sum(seats.values())
    if total < SKEW_FROM:
        return None
    for seat in range(1, players + 1):
        share = seats.get(seat, 0) / total
        if abs(share - 1 / players) > MOST_SKEW:
            return (
                f"seat skew: seat {seat} has {share:.1%} of {total:,} samples; expected "
                f"{1 / players:.1%} within {100 * MOST_SKEW:.0f} points"
            )
    return None
