"""The interval of a share of games (`evaluation.md` 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold both ends of an interval of a share."""

    low: float
    high: float

    def __contains__(self, share: float) -> bool:
        return self.low <= share <= self.high


def wilson(share: float | None, games: float, *, confidence: float = 0.95) -> Interval | None:
    """Return the Wilson score interval of a win share over `games` [Wilson 1927].

    `games` need not be whole: it may be an effective number. `None` for no games.
    """
    if share is None or games <= 0:
        return None
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a win share of {share!r}; expected a number from 0 to 1")
    return wilson_at(share, games, NormalDist().inv_cdf(0.5 + confidence / 2))


def wilson_at(share: float, games: float, z: float) -> Interval:
    """Return the Wilson score interval at the normal quantile `z`; `games` is positive."""
    square = z * z
    scale = 1.0 + square / games
    middle = (share + square / (2 * games)) / scale
    half = z * math.sqrt(share * (1 - share) / games + square / (4 * games * games)) / scale
    # The ends at a share of 0 and 1 are exact; rounding must not push them inside.
    low = 0.0 if share == 0.0 else max(0.0, middle - half)
    high = 1.0 if share == 1.0 else min(1.0, middle + half)
    return Interval(low, high)
