"""What switching a default off does to the validation losses, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Effect:
    """How much larger a loss is without the default: mean over seeds and half the 95 % interval."""

    mean: float
    half: float

    @property
    def verdict(self) -> str:
        """Say `helps`, `hurts`, or `unproven` where the interval holds 0."""
        if self.mean - self.half > 0:
            return "helps"
        return "hurts" if self.mean + self.half < 0 else "unproven"


def effect(on: Sequence[float], off: Sequence[float]) -> Effect:
    """Compare losses seed by seed (paired t interval); two seeds at least."""
    gain = np.asarray(off, np.float64) - np.asarray(on, np.float64)
    spread = float(gain.std(ddof=1)) / len(gain) ** 0.5
    return Effect(float(gain.mean()), float(stats.t.ppf(0.975, len(gain) - 1)) * spread)


def row(name: str, on: Mapping[str, Sequence[float]], off: Mapping[str, Sequence[float]]) -> str:
    """Return the table's line of one default."""
    cells = [f"{name:32}"]
    for part in ("policy", "value", "sum"):
        found = effect(on[part], off[part])
        cells.append(f"{found.mean:+.4f} +- {found.half:.4f} {found.verdict:8}")
    return "  ".join(cells)
