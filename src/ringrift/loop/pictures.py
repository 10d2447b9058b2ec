"""Draw the history of one configuration: strength, games, losses, reuse and time over wall time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.figures import new_figure
from ringrift.evaluation.ratings.pictures import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stay apart for colour-blind readers and in print.
BLUE, ORANGE, GREEN, PINK, YELLOW, GREY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#f0e442",
    "#777777",
)
COLORS = (BLUE, ORANGE, GREEN, PINK, YELLOW, GREY)
Points = Sequence[Mapping[str, Any]]


def write(folder: Path, points: Mapping[str, Any]) -> list[Path]:
    """Write `CONFIG.png`, `.svg` and `.json`, the points; return the files."""
    return save(folder, points["config"], draw(points), points, "both")


def draw(points: Mapping[str, Any]) -> Figure:
    """Return the figure of the points of `report.points_of`."""
    from matplotlib.dates import UTC, AutoDateLocator, ConciseDateFormatter

    figure = new_figure(10.0, 12.0)
    elo, rates, losses, reuse, shares = figure.subplots(5, 1, sharex=True)
    _strength(elo, points["elo"], points["decisions"])
    _line(rates, points["rates"], "games_per_hour", BLUE, "games/h")
    rates.set_ylabel("games/h")
    _line(losses, points["losses"], "loss", BLUE, "training")
    _line(losses, points["losses"], "validation_loss", ORANGE, "validation")
    losses.set_ylabel("loss (nats)")
    _line(reuse, points["reuse"], "reuse", GREEN, "reuse")
    reuse.set_ylabel("passes over the samples")
    _shares(shares, points["time_shares"])
    for axes in (elo, rates, losses, reuse, shares):
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="upper left", fontsize="small")
    locator = AutoDateLocator(tz=UTC)
    shares.xaxis.set_major_locator(locator)
    shares.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    shares.set_xlabel("time (UTC)")
    elo.set_title(
        f"{points['config']}: n = {points['games']:,} games, {len(points['elo'])} champions"
    )
    return figure


def _strength(axes: Axes, points: Points, decisions: Points) -> None:
    known = [point for point in points if point["ci95"] is not None]
    if known:
        below = [point["elo"] - point["ci95"][0] for point in known]
        above = [point["ci95"][1] - point["elo"] for point in known]
        drawn = axes.errorbar(
            _times(known),
            [point["elo"] for point in known],
            yerr=[below, above],
            fmt="s-",
            color=ORANGE,
            capsize=3,
            label="champion",
        )
        drawn[2][0].set_gid("champion-error-bars")
    for number, decision in enumerate(d for d in decisions if d["kind"] != "promoted"):
        label = "not promoted" if number == 0 else None
        axes.axvline(_times([decision])[0], color=GREY, linestyle=":", linewidth=1, label=label)
    axes.set_ylabel("Elo, random = 400, 95 %")


def _line(axes: Axes, points: Points, name: str, color: str, label: str) -> None:
    known = [point for point in points if point[name] is not None]
    if known:
        axes.plot(_times(known), [point[name] for point in known], ".-", color=color, label=label)


def _shares(axes: Axes, points: Points) -> None:
    kinds = sorted({kind for point in points for kind in point if kind != "at"})
    if kinds:
        series = [[point.get(kind, 0.0) for point in points] for kind in kinds]
        axes.stackplot(_times(points), series, labels=kinds, colors=COLORS[: len(kinds)])
        axes.set_ylim(0, 1)
    axes.set_ylabel("share of job time")


def _times(points: Points) -> list[float]:
    from matplotlib.dates import date2num

    return [float(date2num(datetime.fromisoformat(point["at"]))) for point in points]
