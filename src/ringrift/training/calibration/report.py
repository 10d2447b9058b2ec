"""Reliability of predictions by bins of equal width."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ringrift.training.calibration.fitting import value_temperature
from ringrift.training.calibration.pairs import LEAST, Floats, probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Samples with predictions from `low` to `high`; their means, None without any. All are values."""

    low: float
    high: float
    samples: int
    predicted: float | None
    outcome: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """How predictions fit outcomes; every figure is None without samples. Units are probabilities.

    `ece`, `mce`: mean and largest difference of predicted and observed probability over bins;
    `overconfidence`: mean probability of the predicted side less the share in which it won;
    `brier_score` = `reliability` - `resolution` + `uncertainty` + `within_bins` (Murphy 1973;
    Stephenson et al. 2008), the last from the spread of predictions inside a bin; `log_loss`: nats;
    `optimal_temperature`: what divides the logits, each by itself, for the least log loss.
    """

    total_samples: int
    bins: tuple[Bin, ...]
    ece: float | None = None
    mce: float | None = None
    overconfidence: float | None = None
    brier_score: float | None = None
    reliability: float | None = None
    resolution: float | None = None
    uncertainty: float | None = None
    within_bins: float | None = None
    log_loss: float | None = None
    optimal_temperature: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        tree = asdict(self)
        return {**tree, "bins": [dict(each) for each in tree["bins"]]}


def calibration_report(
    predictions: Floats, outcomes: Floats, *, num_bins: int
) -> CalibrationReport:
    """Return the report of values in [-1, 1], `float64[n]` each."""
    p, won = probabilities(predictions), probabilities(outcomes)
    place = np.minimum((p * num_bins).astype(np.int64), num_bins - 1)
    counts = np.bincount(place, minlength=num_bins)
    sums = np.bincount(place, p, num_bins), np.bincount(place, won, num_bins)
    bins = tuple(_bin(i, num_bins, int(counts[i]), sums[0][i], sums[1][i]) for i in range(num_bins))
    n = len(p)
    if n == 0:
        return CalibrationReport(total_samples=0, bins=bins)
    used = counts > 0
    share = counts[used] / n
    predicted, observed = (total[used] / counts[used] for total in sums)
    gaps = np.abs(predicted - observed)
    mean = won.mean()
    brier = float(((p - won) ** 2).mean())
    reliability = float((share * gaps**2).sum())
    resolution = float((share * (observed - mean) ** 2).sum())
    # outcomes may be ties: their variance, not mean (1 - mean), is what nothing known would leave
    uncertainty = float(won.var())
    side = np.where(p >= 0.5, won, 1.0 - won)
    kept = np.clip(p, LEAST, 1.0 - LEAST)
    return CalibrationReport(
        total_samples=n,
        bins=bins,
        ece=float((share * gaps).sum()),
        mce=float(gaps.max()),
        overconfidence=float((np.maximum(p, 1.0 - p) - side).mean()),
        brier_score=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bins=brier - (reliability - resolution + uncertainty),
        log_loss=float(-(won * np.log(kept) + (1.0 - won) * np.log1p(-kept)).mean()),
        optimal_temperature=value_temperature(predictions, outcomes),
    )


def _bin(number: int, of: int, count: int, predicted: float, observed: float) -> Bin:
    return Bin(
        low=2.0 * number / of - 1.0,
        high=2.0 * (number + 1) / of - 1.0,
        samples=count,
        predicted=float(2.0 * predicted / count - 1.0) if count else None,
        outcome=float(2.0 * observed / count - 1.0) if count else None,
    )
