"""Calibration of values, under the names that other programs know (training.md 7)."""

from __future__ import annotations

from ringrift.training.calibration.calibrators import (
    CalibrationTracker,
    CalibrationTrend,
    GamePhaseCalibrator,
    ValueCalibrator,
)
from ringrift.training.calibration.diagram import create_reliability_diagram
from ringrift.training.calibration.fitting import IsotonicCalibrator, PlattScaler
from ringrift.training.calibration.report import Bin, CalibrationReport

__all__ = [
    "Bin",
    "CalibrationReport",
    "CalibrationTracker",
    "CalibrationTrend",
    "GamePhaseCalibrator",
    "IsotonicCalibrator",
    "PlattScaler",
    "ValueCalibrator",
    "create_reliability_diagram",
]
