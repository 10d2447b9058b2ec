"""Intervals of a match score: Wilson with the design effect, betting for any stopping rule.

`evaluation.md` 4. Both are 95 % intervals unless told otherwise, and `None` where nothing was
played: a missing measurement is never one half.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ringrift.core.intervals import Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def confidence_sequence(
    block_scores: Sequence[float], *, confidence: float = 0.95
) -> Interval | None:
    """Return the hedged betting confidence sequence of the mean block score, valid at any time.

    [Waudby-Smith, Ramdas, *Estimating means of bounded random variables by betting*, 2024], on a
    grid of 1,001 means. Block scores lie in [0, 1].
    """
    if not block_scores:
        return None
    import numpy as np

    level = 2.0 / (1.0 - confidence)
    means = np.linspace(0.0, 1.0, GRID)
    with np.errstate(divide="ignore"):
        most_up, most_down = 0.5 / means, 0.5 / (1.0 - means)
    up, down = np.zeros(GRID), np.zeros(GRID)
    total, squares, variance = 0.5, 0.25, 0.25
    for t, x in enumerate(block_scores, start=1):
        bet = math.sqrt(2.0 * math.log(level) / (variance * t * math.log(t + 1.0)))
        with np.errstate(divide="ignore", invalid="ignore"):
            up += np.log1p(np.minimum(bet, most_up) * (x - means))
            down += np.log1p(-np.minimum(bet, most_down) * (x - means))
        total += x
        squares += (x - total / (t + 1.0)) ** 2
        variance = squares / (t + 1.0)
    inside = np.maximum(up, down) < math.log(level)
    kept = means[inside]
    if len(kept) == 0:  # every mean refuted on the grid: report the empirical mean
        mean = sum(block_scores) / len(block_scores)
        return Interval(mean, mean)
    return Interval(float(kept[0]), float(kept[-1]))
