"""How well a model's values are calibrated: overall, by group, and after a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ringrift.data.holdout.overlap import BANDS
from ringrift.nets.calibration import THIRDS, Temperatures
from ringrift.training.calibration.fitting import (
    IsotonicCalibrator,
    PlattScaler,
    fit_temperature,
)
from ringrift.training.calibration.report import CalibrationReport, calibration_report
from ringrift.training.calibration.sampling import LEAST_POSITIONS, win_values

if TYPE_CHECKING:
    from ringrift.training.calibration.pairs import Floats
    from ringrift.training.calibration.sampling import Head, Sampled

Method = Literal["temperature", "platt", "isotonic"]
Grouping = Literal["phase", "seat", "ply", "agent"]

PHASES = ("opening", "middle", "end")
"""Thirds of a game, as `nets.calibration` tells them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Reports of a model: of all samples, of groups by name, and of all once corrected.

    `corrected` is of each half of the games, corrected by what was fitted to the other; None with
    one game. `temperature` divides the value logits for the least loss; `by_third` likewise, where a
    third has 200 positions, else as overall.
    """

    games: int
    positions: int
    overall: CalibrationReport
    groups: dict[str, dict[str, CalibrationReport]]
    corrected: CalibrationReport | None
    temperature: float
    by_third: Temperatures


def calibrate(
    found: Sampled, *, num_bins: int, by: Sequence[Grouping], method: Method
) -> Calibration:
    """Report on samples, of which there are some, and fit what corrects them."""

    def report(predictions: Floats, outcomes: Floats) -> CalibrationReport:
        return calibration_report(predictions, outcomes, num_bins=num_bins)

    corrected = _cross_fitted(found, method)
    temperature = _fitted(found.heads)
    first, second, third = (_of_third(found, i, temperature) for i in range(THIRDS))
    return Calibration(
        games=len(np.unique(found.games)),
        positions=found.positions,
        overall=report(found.predictions, found.outcomes),
        groups={
            str(name): {
                group: report(found.predictions[mask], found.outcomes[mask])
                for group, mask in _groups(found, name)
            }
            for name in by
        },
        corrected=None if corrected is None else report(corrected, found.outcomes),
        temperature=temperature,
        by_third=(first, second, third),
    )


def _groups(found: Sampled, name: Grouping) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the samples of each group that has some."""
    masks: list[tuple[str, NDArray[np.bool_]]]
    if name == "phase":
        masks = [(phase, found.thirds == i) for i, phase in enumerate(PHASES)]
    elif name == "ply":
        masks = [(_band(first, last), _within(found, first, last)) for first, last in BANDS]
    else:
        column = found.seats if name == "seat" else found.agents
        masks = [(str(value), column == value) for value in np.unique(column).tolist()]
    return [(group, mask) for group, mask in masks if mask.any()]


def _band(first: int, last: int | None) -> str:
    return f"{first}-" if last is None else f"{first}-{last}"


def _within(found: Sampled, first: int, last: int | None) -> NDArray[np.bool_]:
    after: NDArray[np.bool_] = found.plies >= first
    return after if last is None else after & (found.plies <= last)


def _fitted(heads: Sequence[Head]) -> float:
    temperature = fit_temperature(*((head.logs, head.came) for head in heads))
    assert temperature is not None
    return temperature


def _of_third(found: Sampled, third: int, overall: float) -> float:
    heads = [head.where(head.thirds == third) for head in found.heads]
    return overall if len(heads[0].logs) < LEAST_POSITIONS else _fitted(heads)


def _cross_fitted(found: Sampled, method: Method) -> Floats | None:
    """Correct the predictions of every other game by what the others say; None with one game."""
    games = np.unique(found.games)
    if len(games) < 2:
        return None
    corrected = np.zeros(len(found.predictions))
    for half in (games[::2], games[1::2]):
        mask = np.isin(found.games, half)
        if method == "temperature":
            corrected[mask] = _softened(found, half)
        else:
            fitter = PlattScaler() if method == "platt" else IsotonicCalibrator()
            fitter.fit(found.predictions[~mask], found.outcomes[~mask])
            corrected[mask] = fitter.calibrate(found.predictions[mask])
    return corrected


def _softened(found: Sampled, games: NDArray[np.int64]) -> Floats:
    """Return the predictions of some games under the temperature of the others."""
    temperature = _fitted([h.where(~np.isin(h.games, games)) for h in found.heads])
    win = found.heads[0]
    logs = log_softmax(win.logs[np.isin(win.games, games)] / temperature, axis=1)
    return win_values(logs, len(found.predictions) // found.positions)
