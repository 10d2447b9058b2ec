"""Train the best set and the present one with several seeds; only a clear winner goes on.

The minimum of many noisy trials is lucky; three fresh seeds on each side are not chosen.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One training of a side: its best validation loss, nats, and the id of its model."""

    loss: float
    model: str


Measure = Callable[[str, int, Mapping[str, Any]], Trained]
"""`measure(side, seed, hyperparameters)` trains with another seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The trainings of both sides, one for each seed."""

    best: tuple[Trained, ...]
    present: tuple[Trained, ...]

    @property
    def gain(self) -> float:
        """By how much the mean loss of the best set is lower."""
        best, present = self._losses
        return statistics.fmean(present) - statistics.fmean(best)

    @property
    def spread(self) -> float:
        """How far apart seeds lie: the larger range of the two sides."""
        return max(max(side) - min(side) for side in self._losses)

    @property
    def wins(self) -> bool:
        """Whether the best set is better by more than seeds differ."""
        return self.gain > self.spread

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        best, present = self._losses
        return {
            "best": best,
            "present": present,
            "gain": self.gain,
            "spread": self.spread,
            "wins": self.wins,
        }

    @property
    def _losses(self) -> tuple[list[float], list[float]]:
        return [one.loss for one in self.best], [one.loss for one in self.present]


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
