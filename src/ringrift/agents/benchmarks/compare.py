"""Compare two results: the ratio of each common figure, with a bootstrap interval.

Efron, Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13: percentiles of the ratio
over resamples of both sides.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ringrift.agents.benchmarks.results import Better, Figure
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95

Verdict = Literal["better", "worse", "level", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How a figure of B stands to the same of A: `ratio` B / A, with `low` and `high` at 95 %.

    They are None where a side has one sample only (no interval) or A is zero (no ratio).
    """

    case: str
    name: str
    unit: str
    better: Better
    a: float
    b: float
    samples: tuple[int, int]
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def verdict(self) -> Verdict:
        """Whether B is better than A beyond the interval."""
        if self.low is None or self.high is None:
            return "unknown"
        if self.low <= 1 <= self.high:
            return "level"
        return "better" if (self.low > 1) == (self.better == "higher") else "worse"


def compare(
    a: Sequence[Figure], b: Sequence[Figure], *, seed: int = 42, resamples: int = RESAMPLES
) -> list[Ratio]:
    """Return the ratio of every figure that both have, in the order of A.

    Raises `UsageError` where they have none in common.
    """
    others = {(figure.case, figure.name): figure for figure in b}
    pairs = [
        (figure, others[figure.case, figure.name])
        for figure in a
        if (figure.case, figure.name) in others
    ]
    if not pairs:
        raise UsageError("the two results have no figure in common", hint="two of one benchmark")
    return [_ratio(one, other, seed + k, resamples) for k, (one, other) in enumerate(pairs)]


def _ratio(a: Figure, b: Figure, seed: int, resamples: int) -> Ratio:
    if (a.unit, a.better, a.statistic) != (b.unit, b.better, b.statistic):
        raise UsageError(f"{a.case} {a.name} is in {a.unit} in one result and {b.unit} in another")
    low = high = None
    if len(a.samples) > 1 and len(b.samples) > 1 and min(a.value, b.value) > 0:
        generator = np.random.default_rng(seed)
        below, above = (_resampled(side, generator, resamples) for side in (a, b))
        drawn = above[below > 0] / below[below > 0]
        edge = (1 - CONFIDENCE) / 2
        low, high = (float(x) for x in np.quantile(drawn, (edge, 1 - edge)))
    return Ratio(
        case=a.case,
        name=a.name,
        unit=a.unit,
        better=a.better,
        a=a.value,
        b=b.value,
        samples=(len(a.samples), len(b.samples)),
        ratio=b.value / a.value if a.value else None,
        low=low,
        high=high,
    )


def _resampled(
    figure: Figure, generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Return the statistic of `resamples` draws with replacement, `float64[resamples]`."""
    samples = np.array(figure.samples)
    drawn = samples[generator.integers(len(samples), size=(resamples, len(samples)))]
    summed = np.median(drawn, axis=1) if figure.statistic == "median" else drawn.mean(axis=1)
    return np.asarray(summed, np.float64)


def plot(ratios: Sequence[Ratio], *, a: str, b: str) -> bytes:
    """Draw the ratios with their intervals on a logarithmic axis; returns SVG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Picture

    known = [(ratio, ratio.ratio) for ratio in reversed(ratios) if ratio.ratio]
    picture = Picture(figsize=(9, 1.2 + 0.32 * len(known)), layout="constrained")
    FigureCanvasSVG(picture)  # no display, no global state
    axes = picture.subplots()
    colors = {"better": "#009e73", "worse": "#d55e00", "level": "#0072b2", "unknown": "#555555"}
    for row, (ratio, middle) in enumerate(known):
        color = colors[ratio.verdict]
        if ratio.low is not None and ratio.high is not None:
            axes.plot([ratio.low, ratio.high], [row, row], color=color, linewidth=2)
        axes.plot([middle], [row], "o", color=color)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(known)), [f"{r.case} {r.name}" for r, _ in known])
    axes.set_xlabel(f"{b} / {a}, 95 % bootstrap interval")
    buffer = io.BytesIO()
    # The same comparison is the same file: ids by a fixed salt, no date.
    with mpl.rc_context({"svg.hashsalt": "ringrift"}):
        picture.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
