"""A straight line through points, with the interval of its slope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LEAST_POINTS = 3


class Slope(NamedTuple):
    """The slope of the least-squares line in y per x, and its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float


def slope_of(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """Return the slope over n points, `None` below three of them."""
    if len(x) < LEAST_POINTS:
        return None
    from scipy.stats import linregress, t

    line = linregress(x, y)
    half = float(t.ppf(0.975, len(x) - 2)) * float(line.stderr)
    slope = float(line.slope)
    return Slope(slope, slope - half, slope + half)
