"""Values of finished games: one entry per seat from the final ranking, sum 0 (rules.md 17)."""

from __future__ import annotations

from collections.abc import Sequence

from ringrift.nets.outcome import final_values

__all__ = ["final_values", "values_of_ranks"]


def values_of_ranks(ranks: Sequence[int]) -> tuple[float, ...]:
    """Return the value vector of a final ranking, rank 1 best."""
    others = len(ranks) - 1
    return tuple(sum((rank > own) - (rank < own) for rank in ranks) / others for own in ranks)
