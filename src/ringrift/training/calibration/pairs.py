"""Predictions beside outcomes: checked, as probabilities, as logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1 where a logarithm is taken."""


def checked(found: ArrayLike, name: str, *, first: int = 0) -> Floats:
    """Return values in [-1, 1] as `float64[n]`; raises `ValueError` with the index of another one.

    `first` is the index of the first.
    """
    values = np.atleast_1d(np.asarray(found, np.float64))
    if values.ndim != 1:
        raise ValueError(f"{name}: found {values.ndim} dimensions; expected 1")
    wrong = ~(np.abs(values) <= 1.0)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name} {first + at}: found {values[at]}; expected -1 to 1")
    return values


def checked_pairs(
    predictions: ArrayLike, outcomes: ArrayLike, *, first: int = 0
) -> tuple[Floats, Floats]:
    """Return both as `checked`; raises `ValueError` where they are not equally many."""
    predicted = checked(predictions, "prediction", first=first)
    happened = checked(outcomes, "outcome", first=first)
    if len(predicted) != len(happened):
        raise ValueError(
            f"{len(predicted)} predictions and {len(happened)} outcomes; expected equally many"
        )
    return predicted, happened


def probabilities(values: Floats) -> Floats:
    """Return (1 + value) / 2."""
    return (1.0 + values) / 2.0


def logits(values: Floats) -> Floats:
    """Return the logarithm of the odds; those of certainty are finite."""
    p = np.clip(probabilities(values), LEAST, 1.0 - LEAST)
    found: Floats = np.log(p) - np.log1p(-p)
    return found


def values_of(found: Floats) -> Floats:
    """Return the values of logits."""
    values: Floats = np.tanh(found / 2.0)
    return values
