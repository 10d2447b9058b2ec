"""Plots of distributions: lengths, branching by ply, games over time (data.md 10)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.core.figures import new_figure
from ringrift.data.statistics.measures import Tree
from ringrift.data.statistics.plot_parts import COLORS, HATCHES, WIDTH, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ringrift.data.statistics.report import Counted

COLUMNS = 3
MOST_BINS = 30
LEAST_SHARE = 0.05
LEAST_GAMES = 3
"""Plies that fewer of the games reach are not drawn: their mean would be that of a few games."""
MOST_STEPS = 500
"""Bars over time that can still be told apart."""
_STEPS_H = (1, 2, 6, 12, 24, 7 * 24, 30 * 24)


def lengths(report: Tree, counted: Counted) -> Figure:
    """Draw how long games are, a histogram for each configuration."""
    tallies = {c: t for c, t in counted.tallies.items() if t.number("played")}
    columns = min(COLUMNS, max(1, len(tallies)))
    rows = max(1, -(-len(tallies) // columns))
    figure = new_figure(3.4 * columns + 0.6, 1.0 + 2.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (config, tally) in zip(panels, tallies.items(), strict=False):
        counts = np.asarray(tally.vector("lengths:plies"))
        plies = np.flatnonzero(counts)
        axes.hist(
            plies,
            bins=_bins(tally.number("played")),
            weights=counts[plies],
            color=COLORS[0],
            edgecolor="white",
            linewidth=0.3,
        )
        median = report["configurations"][config]["lengths"]["plies"]["median"]
        axes.axvline(median, color=COLORS[5], linewidth=1.4)
        axes.set_title(f"{config}  n={tally.number('played'):,}  median {median:,g}", fontsize=9)
        axes.tick_params(labelsize=8)
        _whole_numbers(axes)
    for axes in panels[len(tallies) :]:
        axes.set_axis_off()
    figure.suptitle("Length of games (line: median)")
    figure.supxlabel("plies", fontsize=10)
    figure.supylabel("games", fontsize=10)
    return figure


def branching_by_ply(report: Tree, counted: Counted) -> Figure:
    """Draw the mean number of legal moves by ply, a panel for each board."""
    del report
    boards: dict[str, list[str]] = {}
    for config, tally in counted.tallies.items():
        if tally.number("played"):
            boards.setdefault(config.rpartition("_")[0], []).append(config)
    rows = -(-len(boards) // 2)
    figure = new_figure(WIDTH, 0.8 + 3.1 * max(1, rows))
    panels = figure.subplots(max(1, rows), min(2, max(1, len(boards))), squeeze=False).ravel()
    for axes, (board, configs) in zip(panels, boards.items(), strict=False):
        for config in configs:
            tally = counted.tallies[config]
            plies = np.asarray(tally.vector("plies_at"))
            legal = np.asarray(tally.vector("legal_at", len(plies)))
            games = tally.number("played")
            reached = plies >= max(min(LEAST_GAMES, games), LEAST_SHARE * games)
            players = int(config[-2])
            axes.plot(
                np.flatnonzero(reached),
                _smooth(legal[reached] / plies[reached], max(9, int(reached.sum()) // 40)),
                color=COLORS[players - 2],
                linewidth=1.3,
                linestyle=("-", "--", "-.")[players - 2],
                label=f"{players} players  n={games:,}",
            )
        _log_axis(axes)
        axes.set_title(board, fontsize=10)
        axes.grid(alpha=0.25, which="both")
        axes.legend(fontsize=8, loc="upper right")
    for axes in panels[len(boards) :]:
        axes.set_axis_off()
    figure.suptitle("Legal moves by ply (running mean, while 5 % of the games go on)")
    figure.supxlabel("ply", fontsize=10)
    figure.supylabel("legal moves, mean", fontsize=10)
    return figure


def games_per_hour(report: Tree, counted: Counted) -> Figure:
    """Draw how many games an hour were begun, by configuration."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure = new_figure(WIDTH, 5.0)
    axes = figure.subplots()
    known = {c: t.counters["hours"] for c, t in counted.tallies.items() if t.counters["hours"]}
    games = sum(sum(hours.values()) for hours in known.values())
    axes.set_title(f"Games an hour  n={games:,} of {report['games']:,} with a time")
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("games an hour")
    if not known:
        axes.text(
            0.5, 0.5, "no game says when it was played", ha="center", transform=axes.transAxes
        )
        return figure
    hours = [_hour(hour) for found in known.values() for hour in found]
    first, last = min(hours), max(hours)
    step = next((s for s in _STEPS_H if (last - first) // s < MOST_STEPS), _STEPS_H[-1])
    bins = (last - first) // step + 1
    at = [
        float(date2num(datetime.fromtimestamp((first + i * step) * 3600, UTC))) for i in range(bins)
    ]
    below = np.zeros(bins)
    for place, (config, found) in enumerate(known.items()):
        counts = np.zeros(bins)
        for hour, n in found.items():
            counts[(_hour(hour) - first) // step] += n / step
        axes.bar(
            at,
            counts,
            bottom=below,
            width=step / 24,
            align="edge",
            color=COLORS[place % len(COLORS)],
            hatch=HATCHES[place // len(COLORS)],
            edgecolor="white",
            linewidth=0.3,
            label=label(config, sum(found.values())),
        )
        below += counts
    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.grid(axis="y", alpha=0.25)
    if step > 1:
        axes.set_ylabel(f"games an hour, mean of {step} hours")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _hour(value: Any) -> int:
    return int(value)


def _smooth(values: Any, window: int) -> Any:
    """Return the mean over so many plies, of fewer at the ends."""
    weights = np.ones(min(window, len(values)))
    sums = np.convolve(values, weights, mode="same")
    return sums / np.convolve(np.ones(len(values)), weights, mode="same")


def _bins(games: int) -> int:
    return max(8, min(MOST_BINS, int(2 * games**0.5)))


def _log_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
