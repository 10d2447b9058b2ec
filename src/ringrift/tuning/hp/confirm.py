"""Train the best set and the present one with several seeds; only a clear winner is kept.

The minimum of many noisy trials is lucky; three fresh seeds on each side are not chosen.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SEEDS = 3

Measure = Callable[[str, int, Mapping[str, Any]], float]
"""`measure(side, seed, hyperparameters)` trains with another seed and returns the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Losses of both sides, one for each seed."""

    best: tuple[float, ...]
    present: tuple[float, ...]

    @property
    def gain(self) -> float:
        """By how much the mean loss of the best set is lower."""
        return statistics.fmean(self.present) - statistics.fmean(self.best)

    @property
    def spread(self) -> float:
        """How far apart seeds lie: the larger range of the two sides."""
        return max(max(side) - min(side) for side in (self.best, self.present))

    @property
    def wins(self) -> bool:
        """Whether the best set is better by more than seeds differ."""
        return self.gain > self.spread

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "best": list(self.best),
            "present": list(self.present),
            "gain": self.gain,
            "spread": self.spread,
            "wins": self.wins,
        }


def confirm(
    measure: Measure,
    best: Mapping[str, Any],
    present: Mapping[str, Any],
    *,
    seed: int,
    seeds: int = SEEDS,
) -> Confirmation:
    """Train both sets with the same `seeds` seeds, none of which a trial has used."""
    fresh = [seed + 1 + n for n in range(seeds)]
    return Confirmation(
        best=tuple(measure("best", one, best) for one in fresh),
        present=tuple(measure("present", one, present) for one in fresh),
    )
