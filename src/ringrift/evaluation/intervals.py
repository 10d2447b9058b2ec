"""Intervals of a match score: Wilson with the design effect, betting for any stopping rule.

`evaluation.md` 4. Both are 95 % intervals unless told otherwise, and `None` where nothing was
played: a missing measurement is never one half.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from ringrift.core.intervals import Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_BLOCKS_FOR_DESIGN_EFFECT = 20
GRID = 1001


def design_effect(block_scores: Sequence[float], games_per_block: int) -> float:
    """Return `N var(x) / (p(1-p))`: how much blocks of one opening differ from lone games.

    At least 1, and 1 below 20 blocks or where every game ended alike.
    """
    count = len(block_scores)
    if count < LEAST_BLOCKS_FOR_DESIGN_EFFECT:
        return 1.0
    mean = sum(block_scores) / count
    binomial = mean * (1.0 - mean)
    if binomial <= 0.0:
        return 1.0
    variance = sum((x - mean) ** 2 for x in block_scores) / (count - 1)
    return max(1.0, games_per_block * variance / binomial)


def wilson_of_blocks(
    block_scores: Sequence[float], games_per_block: int, *, confidence: float = 0.95
) -> Interval | None:
    """Return the Wilson interval of the mean block score, with the design effect of the blocks."""
    if not block_scores:
        return None
    share = sum(block_scores) / len(block_scores)
    games = len(block_scores) * games_per_block
    effective = games / design_effect(block_scores, games_per_block)
    return wilson(min(1.0, max(0.0, share)), effective, confidence=confidence)


class ConfidenceSequence:
    """The hedged betting confidence sequence of the mean of block scores, valid at any time.

    [Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, 2024], on a
    grid of 1,001 means; a score costs some microseconds however many there were before.
    """

    def __init__(self, *, confidence: float = 0.95) -> None:
        import numpy as np

        self._log_level = math.log(2.0 / (1.0 - confidence))
        self._means = np.linspace(0.0, 1.0, GRID)
        with np.errstate(divide="ignore"):
            self._most_up, self._most_down = 0.5 / self._means, 0.5 / (1.0 - self._means)
        self._up, self._down = np.zeros(GRID), np.zeros(GRID)
        self._count = 0
        self._total, self._squares, self._variance = 0.5, 0.25, 0.25

    def add(self, score: float) -> None:
        """Take the next block score; raises `ValueError` for one outside [0, 1]."""
        import numpy as np

        if not 0.0 <= score <= 1.0:
            raise ValueError(f"a block score of {score!r}; expected a number from 0 to 1")
        self._count = t = self._count + 1
        bet = math.sqrt(2.0 * self._log_level / (self._variance * t * math.log(t + 1.0)))
        distance = score - self._means
        self._up += np.log1p(np.minimum(bet, self._most_up) * distance)
        self._down += np.log1p(-np.minimum(bet, self._most_down) * distance)
        self._total += score
        self._squares += (score - self._total / (t + 1.0)) ** 2
        self._variance = self._squares / (t + 1.0)

    @property
    def interval(self) -> Interval | None:
        """The means that are not refuted; `None` before the first score."""
        import numpy as np

        if self._count == 0:
            return None
        wealth = np.maximum(self._up, self._down)
        kept = np.flatnonzero(wealth < self._log_level)
        if len(kept) == 0:  # the set lies between two means of the grid
            best = int(np.argmin(wealth))
            kept = np.array([max(0, best - 1), min(GRID - 1, best + 1)])
        return Interval(float(self._means[kept[0]]), float(self._means[kept[-1]]))


def confidence_sequence(
    block_scores: Iterable[float], *, confidence: float = 0.95
) -> Interval | None:
    """Return the betting confidence sequence after block scores in the order of the plan."""
    running = ConfidenceSequence(confidence=confidence)
    for score in block_scores:
        running.add(score)
    return running.interval


def superiority(block_scores: Sequence[float], games_per_block: int) -> float | None:
    """Return the likelihood `Phi(d/se)` that the true share exceeds `1/N`; `None` without a block.

    The error is that of the block scores; where they do not vary, that of games at the null.
    """
    if not block_scores:
        return None
    count, null = len(block_scores), 1.0 / games_per_block
    mean = sum(block_scores) / count
    squares = sum((x - mean) ** 2 for x in block_scores)
    variance = squares / (count - 1) if count > 1 else 0.0
    if variance <= 1e-12:  # rounding leaves a trace of equal scores
        variance = null * (1.0 - null) / games_per_block
    return NormalDist().cdf((mean - null) / math.sqrt(variance / count))
