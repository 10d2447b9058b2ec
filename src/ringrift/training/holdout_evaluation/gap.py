"""The gap between hold-out and training loss, with an interval by resampling whole games."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.training.holdout_evaluation.measures import rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """Hold-out loss less training loss, nats, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, Any]:
        """Return the gap as a JSON object, six digits each."""
        return {
            "value": rounded(self.value),
            "low": rounded(self.low),
            "high": rounded(self.high),
        }


def gap_of(
    held: NDArray[np.float64], trained: NDArray[np.float64] | float, *, seed: int
) -> Gap | None:
    """Return the gap of two means, each given by `float64[2, G]` sums and weights per game.

    `trained` may be a loss that somebody measured. Games are drawn with replacement on each side,
    2,000 times, from a generator of `seed`. None where a side has no weight.
    """
    given = trained if isinstance(trained, float) else None
    sides = [held] if isinstance(trained, float) else [held, trained]
    if any(side.size == 0 or side[1].sum() <= 0 for side in sides):
        return None
    rng = np.random.Generator(np.random.PCG64(seed))
    means = [side[0].sum() / side[1].sum() for side in sides]
    drawn = [_resampled(side, rng) for side in sides]
    other = given if given is not None else means[1]
    differences = drawn[0] - (given if given is not None else drawn[1])
    differences = differences[np.isfinite(differences)]
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Gap(float(means[0] - other), float(low), float(high))


def _resampled(side: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    games = side.shape[1]
    even = np.full(games, 1.0 / games)
    means = np.empty(RESAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        for first in range(0, RESAMPLES, _CHUNK):
            times = rng.multinomial(games, even, size=_CHUNK)
            means[first : first + _CHUNK] = (times @ side[0]) / (times @ side[1])
    return means
