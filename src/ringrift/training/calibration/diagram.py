"""Reliability diagram: observed over predicted probability, and how many samples lie where."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.figures import new_figure
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ringrift.training.calibration.report import CalibrationReport

_COLOR, _EVEN = "#0072b2", "#666666"
_SIZE_IN = (6.0, 6.5)


def create_reliability_diagram(
    report: CalibrationReport, path: Path | str | None = None, *, title: str = "Reliability"
) -> Figure:
    """Draw a report; with `path` also write it, PNG or SVG by the suffix."""
    figure = new_figure(*_SIZE_IN)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    centres = [(1.0 + (b.low + b.high) / 2.0) / 2.0 for b in report.bins]
    width = 1.0 / len(report.bins)
    points = [
        ((1.0 + b.predicted) / 2.0, (1.0 + b.outcome) / 2.0)
        for b in report.bins
        if b.predicted is not None and b.outcome is not None
    ]
    above.plot([0, 1], [0, 1], color=_EVEN, linestyle="--", linewidth=1, label="calibrated")
    above.plot(
        [x for x, _ in points], [y for _, y in points], color=_COLOR, marker="o", label="observed"
    )
    above.set(
        xlim=(0, 1), ylim=(0, 1), ylabel="observed win probability", title=_head(report, title)
    )
    above.legend(loc="upper left", frameon=False)
    below.bar(centres, [b.samples for b in report.bins], width=0.94 * width, color=_COLOR)
    below.set(xlabel="predicted win probability", ylabel="samples")
    if path is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=Path(path).suffix.removeprefix(".") or "png")
        write_atomic(Path(path), buffer.getvalue())
    return figure


def _head(report: CalibrationReport, title: str) -> str:
    error = "unknown" if report.ece is None else f"{report.ece:.3f}"
    return f"{title}  n={report.total_samples:,}  ECE {error}"
