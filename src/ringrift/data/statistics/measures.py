"""Figures of counts: quantiles of a histogram, shares, intervals, the test against equal seats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ringrift.core.intervals import wilson

Tree = dict[str, Any]


def share(part: int, whole: int) -> float | None:
    """Return a share, None of nothing."""
    return part / whole if whole else None


def rated(part: int, whole: int) -> Tree:
    """Return a count out of `whole` with its share and 95 % Wilson interval."""
    interval = wilson(share(part, whole), whole)
    return {
        "count": part,
        "of": whole,
        "share": share(part, whole),
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
    }


def quantile(counts: Sequence[int], q: float) -> float | None:
    """Return a quantile of values counted by value, between two of them as NumPy's `linear`."""
    below = np.cumsum(np.asarray(counts, np.int64))
    if not len(below) or below[-1] == 0:
        return None
    place = q * float(below[-1] - 1)
    low, high = (int(np.searchsorted(below, math.floor(p) + 1)) for p in (place, math.ceil(place)))
    return low + (high - low) * (place - math.floor(place))


def distribution(counts: Sequence[int]) -> Tree:
    """Describe values counted by value; the standard deviation is that of these values."""
    table = np.asarray(counts, np.int64)
    n = int(table.sum())
    if n == 0:
        return {
            "n": 0,
            **dict.fromkeys(("min", "q1", "median", "q3", "max", "mean", "sd")),
        }
    values = np.flatnonzero(table)
    mean = float((table * np.arange(len(table))).sum() / n)
    variance = float((table[values] * (values - mean) ** 2).sum() / n)
    return {
        "n": n,
        "min": int(values[0]),
        "q1": quantile(counts, 0.25),
        "median": quantile(counts, 0.5),
        "q3": quantile(counts, 0.75),
        "max": int(values[-1]),
        "mean": mean,
        "sd": math.sqrt(variance),
    }


def by_value(counts: Sequence[int]) -> dict[str, int]:
    """Return the values that occur and how often."""
    return {str(value): count for value, count in enumerate(counts) if count}


def equal_chances(counts: Sequence[int]) -> tuple[float | None, float | None]:
    """Return chi-square and its p against equal expected counts, None where nothing was counted."""
    if len(counts) < 2 or sum(counts) == 0:
        return None, None
    from scipy.stats import chisquare

    found = chisquare(counts)
    return float(found.statistic), float(found.pvalue)
