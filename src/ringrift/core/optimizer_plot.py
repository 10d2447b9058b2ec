"""Draw what the optimizer saw and decided (`core.md` 8)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ringrift.core.figures import new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ringrift.core.optimizer_history import Entry
    from ringrift.core.targets import Resource, Targets

MARKED = 300  # more points than that run into each other
# Colours that stay apart for colour-blind readers and in print.
_COLORS: dict[Resource, str] = {"cpu": "#0072b2", "gpu": "#009e73", "memory": "#cc79a7"}
_NAMES: dict[Resource, str] = {"cpu": "CPU", "gpu": "GPU", "memory": "memory"}


def draw(entries: Sequence[Entry], targets: Targets, *, suffix: str) -> bytes:
    """Return a picture, PNG or SVG by `suffix` (`.png`, `.svg`): use against aims, and workers.

    The band of each resource is its minimum to maximum, the dashed line its target.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure = new_figure(10.0, 6.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    times = [float(date2num(datetime.fromtimestamp(entry.at_s, UTC))) for entry in entries]
    _draw_use(above, times, entries, targets)
    _draw_workers(below, times, entries)
    locator = AutoDateLocator(tz=UTC)
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    below.set_xlabel("time (UTC)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix.removeprefix("."))
    return buffer.getvalue()


def _draw_use(
    axes: Axes, times: Sequence[float], entries: Sequence[Entry], targets: Targets
) -> None:
    for resource, aim in targets.aims.items():
        values = [getattr(entry, resource) for entry in entries]
        if all(value is None for value in values):
            continue
        color, name = _COLORS[resource], _NAMES[resource]
        known = [float("nan") if value is None else value for value in values]
        marker = "." if len(entries) <= MARKED else ""
        axes.axhspan(aim.minimum, aim.maximum, color=color, alpha=0.10, linewidth=0)
        axes.axhline(aim.target, color=color, linestyle="--", linewidth=1)
        axes.plot(times, known, color=color, linewidth=1.6, marker=marker, markersize=4, label=name)
    critical = [
        (time, entry.decision.input)
        for time, entry in zip(times, entries, strict=True)
        if entry.decision.action == "critical"
    ]
    if critical:
        axes.plot(*zip(*critical, strict=True), "x", color="#d55e00", label="critical")
    axes.set_ylim(0, 100)
    axes.set_ylabel("used (%)")
    axes.set_title("Utilisation against its aims (band: minimum to maximum, dashed: target)")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", ncols=4)


def _draw_workers(axes: Axes, times: Sequence[float], entries: Sequence[Entry]) -> None:
    from matplotlib.ticker import MaxNLocator

    decisions = [entry.decision for entry in entries]
    workers = [decided.workers for decided in decisions]
    slots = [decided.slots for decided in decisions]
    axes.step(times, slots, where="post", color="#555555", linestyle=":", label="slots")
    axes.step(times, workers, where="post", color="#0072b2", linewidth=1.8, label="workers")
    axes.set_ylim(0, max(1, *slots, *workers) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("workers")
    axes.grid(alpha=0.25)
    rate = axes.twinx()
    asked = [decided.games_per_hour for decided in decisions]
    rate.step(times, asked, where="post", color="#e69f00", linewidth=1.2, label="games/h asked for")
    rate.set_ylim(0, max(1.0, *asked) * 1.15)
    rate.set_ylabel("games an hour")
    lines = [*axes.get_lines(), *rate.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="lower right", ncols=3)
