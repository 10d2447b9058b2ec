"""Gather samples one by one: of everything, of each stretch of a game, of the newest."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ringrift.training.calibration.fitting import scaled, value_temperature
from ringrift.training.calibration.pairs import Floats, checked, checked_pairs
from ringrift.training.calibration.report import CalibrationReport, calibration_report

NUM_BINS = 10


class ValueCalibrator:
    """Measures values against outcomes, both in [-1, 1], and divides their logits by a temperature.

    `temperature` is 1 until `find_optimal_temperature` fits it. A value beyond [-1, 1] or NaN is a
    `ValueError` with its index.
    """

    def __init__(self, num_bins: int = NUM_BINS) -> None:
        if num_bins < 1:
            raise ValueError(f"{num_bins} bins; expected at least 1")
        self.num_bins = num_bins
        self.temperature = 1.0
        self._chunks: list[tuple[Floats, Floats]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add_sample(self, prediction: float, outcome: float) -> None:
        """Add one prediction with what happened."""
        self.add_batch([prediction], [outcome])

    def add_batch(self, predictions: ArrayLike, outcomes: ArrayLike) -> None:
        """Add predictions with what happened, `float[n]` each; of a faulty batch nothing is added."""
        pair = checked_pairs(predictions, outcomes, first=self._count)
        self._chunks.append(pair)
        self._count += len(pair[0])

    def clear(self) -> None:
        """Forget all samples; the temperature stays."""
        self._chunks.clear()
        self._count = 0

    def compute_calibration(self) -> CalibrationReport:
        """Return the report of the predictions as they were added."""
        return calibration_report(*self._samples(), num_bins=self.num_bins)

    def find_optimal_temperature(self) -> float | None:
        """Fit and keep the temperature of least log loss; None, and no change, without samples."""
        found = value_temperature(*self._samples())
        if found is not None:
            self.temperature = found
        return found

    def calibrate_prediction(self, prediction: float) -> float:
        """Return one value corrected by the temperature."""
        return float(self.calibrate_batch([prediction])[0])

    def calibrate_batch(self, predictions: ArrayLike) -> Floats:
        """Return values corrected by the temperature, `float64[n]`."""
        return scaled(checked(predictions, "prediction"), self.temperature)

    def _samples(self) -> tuple[Floats, Floats]:
        if len(self._chunks) > 1:
            joined = np.concatenate
            self._chunks = [
                (joined([p for p, _ in self._chunks]), joined([o for _, o in self._chunks]))
            ]
        return self._chunks[0] if self._chunks else (np.zeros(0), np.zeros(0))


class GamePhaseCalibrator:
    """A `ValueCalibrator` for each of equal stretches of a game, by the share of it that is over."""

    def __init__(self, num_phases: int = 3, num_bins: int = NUM_BINS) -> None:
        if num_phases < 1:
            raise ValueError(f"{num_phases} phases; expected at least 1")
        self.phases = tuple(ValueCalibrator(num_bins) for _ in range(num_phases))

    def phase_of(self, progress: float) -> int:
        """Return the number of the stretch; `progress` in [0, 1], else `ValueError`."""
        if not 0.0 <= progress <= 1.0:
            raise ValueError(f"progress: found {progress}; expected 0 to 1")
        return min(int(progress * len(self.phases)), len(self.phases) - 1)

    def add_sample(self, prediction: float, outcome: float, progress: float) -> None:
        """Add one prediction made when the share `progress` of the game was over."""
        self.phases[self.phase_of(progress)].add_sample(prediction, outcome)

    def compute_calibration(self) -> tuple[CalibrationReport, ...]:
        """Return the report of each stretch."""
        return tuple(phase.compute_calibration() for phase in self.phases)

    def find_optimal_temperatures(self) -> tuple[float | None, ...]:
        """Fit and keep the temperature of each stretch."""
        return tuple(phase.find_optimal_temperature() for phase in self.phases)

    def calibrate_prediction(self, prediction: float, progress: float) -> float:
        """Return one value corrected by the temperature of its stretch."""
        return self.phases[self.phase_of(progress)].calibrate_prediction(prediction)


class CalibrationTrend(NamedTuple):
    """Expected calibration error of the older and of the newer half of a window."""

    older: float
    newer: float

    @property
    def change(self) -> float:
        """The newer error less the older: below 0 it gets better."""
        return self.newer - self.older


class CalibrationTracker:
    """Follows the calibration of the newest `window_size` samples."""

    def __init__(self, window_size: int = 1000, num_bins: int = NUM_BINS) -> None:
        if window_size < 1:
            raise ValueError(f"a window of {window_size}; expected at least 1")
        self.window_size = window_size
        self.num_bins = num_bins
        self._window: deque[tuple[float, float]] = deque(maxlen=window_size)
        self._added = 0

    def __len__(self) -> int:
        return len(self._window)

    def add_sample(self, prediction: float, outcome: float) -> None:
        """Add one prediction with what happened; the oldest beyond the window goes."""
        values, outcomes = checked_pairs([prediction], [outcome], first=self._added)
        self._added += 1
        self._window.append((float(values[0]), float(outcomes[0])))

    def compute_current_calibration(self) -> CalibrationReport:
        """Return the report of the window."""
        return self._report(list(self._window))

    def get_calibration_trend(self) -> CalibrationTrend | None:
        """Compare both halves of the window; None with fewer than two samples."""
        samples = list(self._window)
        middle = len(samples) // 2
        older, newer = self._report(samples[:middle]).ece, self._report(samples[middle:]).ece
        return None if older is None or newer is None else CalibrationTrend(older, newer)

    def is_well_calibrated(self, ece_threshold: float = 0.05) -> bool:
        """Tell whether the window's error is below the threshold; without samples it is not."""
        ece = self.compute_current_calibration().ece
        return ece is not None and ece < ece_threshold

    def _report(self, samples: list[tuple[float, float]]) -> CalibrationReport:
        pairs = np.array(samples, np.float64).reshape(-1, 2)
        return calibration_report(pairs[:, 0], pairs[:, 1], num_bins=self.num_bins)
