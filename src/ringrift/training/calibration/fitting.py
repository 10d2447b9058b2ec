"""What corrects predictions: a temperature, a logistic curve, a monotone step function."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, logsumexp

from ringrift.nets.calibration import HIGHEST, LOWEST
from ringrift.training.calibration.pairs import (
    Floats,
    checked,
    checked_pairs,
    logits,
    probabilities,
    values_of,
)

_CLOSE = 1e-6
_INSIDE = 1.001


def fit_temperature(*heads: tuple[Floats, Floats]) -> float | None:
    """Return the T for which softmax(log p / T) has the least cross-entropy; None without samples.

    Each head has logarithms of probabilities and targets, `float64[n, k]`, each row a distribution;
    of several the means are added. T lies between 0.05 and 20 (Guo et al. 2017, On Calibration of
    Modern Neural Networks).
    """
    if not len(heads[0][0]):
        return None

    def loss(log_t: float) -> float:
        scale = np.exp(-log_t)
        return sum(_cross_entropy(logs * scale, came) for logs, came in heads)

    found = minimize_scalar(
        loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": _CLOSE}
    )
    return float(np.exp(found.x))


def at_the_end(temperature: float) -> bool:
    """Tell whether a fit ran to an end of the range: predictions prove right, or say nothing."""
    return not LOWEST * _INSIDE < temperature < HIGHEST / _INSIDE


def _cross_entropy(x: Floats, targets: Floats) -> float:
    return float((logsumexp(x, axis=1) - (targets * x).sum(1)).mean())


def value_temperature(predictions: Floats, outcomes: Floats) -> float | None:
    """Return the temperature of values, each the one of two sides; None without samples."""
    half = logits(predictions) / 2.0
    won = probabilities(outcomes)
    return fit_temperature((np.stack([half, -half], 1), np.stack([won, 1.0 - won], 1)))


def scaled(predictions: Floats, temperature: float) -> Floats:
    """Return values whose logits are divided by a temperature."""
    return values_of(logits(predictions) / temperature)


class PlattScaler:
    """Scales logits by `slope` and shifts them by `offset` (Platt 1999)."""

    def __init__(self) -> None:
        self.slope = 1.0
        self.offset = 0.0

    def fit(self, predictions: ArrayLike, outcomes: ArrayLike) -> PlattScaler:
        """Fit the curve to values in [-1, 1] by least cross-entropy; raises `ValueError` for none."""
        given, happened = checked_pairs(predictions, outcomes)
        _need(given)
        z, won = logits(given), probabilities(happened)

        def loss(curve: Floats) -> tuple[float, Floats]:
            a, b = curve
            x = a * z + b
            slant = expit(x) - won
            value = float((np.logaddexp(0.0, x) - won * x).mean())
            return value, np.array([(slant * z).mean(), slant.mean()])

        # certain outcomes have no finite curve of least loss
        bounds = [(0.0, 1.0 / LOWEST), (-20.0, 20.0)]
        found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=bounds, method="L-BFGS-B")
        self.slope, self.offset = map(float, found.x)
        return self

    def calibrate(self, predictions: ArrayLike) -> Floats:
        """Return corrected values, `float64[n]`."""
        return values_of(self.slope * logits(checked(predictions, "prediction")) + self.offset)


class IsotonicCalibrator:
    """Replaces values by a step function that never falls, straight between its points."""

    def __init__(self) -> None:
        self._from: Floats = np.array([-1.0, 1.0])
        self._to: Floats = np.array([-1.0, 1.0])

    def fit(self, predictions: ArrayLike, outcomes: ArrayLike) -> IsotonicCalibrator:
        """Fit the function to values in [-1, 1] by least squares; raises `ValueError` for none."""
        given, happened = checked_pairs(predictions, outcomes)
        _need(given)
        points, where, counts = np.unique(given, return_inverse=True, return_counts=True)
        means = np.bincount(where, happened) / counts
        self._from = points
        self._to = np.clip(isotonic_regression(means, weights=counts).x, -1.0, 1.0)
        return self

    def calibrate(self, predictions: ArrayLike) -> Floats:
        """Return corrected values, `float64[n]`."""
        found: Floats = np.interp(checked(predictions, "prediction"), self._from, self._to)
        return found


def _need(given: Floats) -> None:
    if not len(given):
        raise ValueError("no samples to fit to")
