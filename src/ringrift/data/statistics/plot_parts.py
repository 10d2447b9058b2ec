"""What the plots have in common: colours, bars, labels of configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ringrift.data.statistics.measures import Tree

COLORS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#666666",
)
"""Colours that stay apart for colour-blind readers and in print."""
HATCHES = ("", "//", "..")
"""Marks that tell the rounds through the colours apart."""

WIDTH = 10.0
ROW = 0.36
HEAD = 1.9


def bar_figure(rows: int) -> tuple[Figure, Axes]:
    """Make a figure for so many horizontal bars."""
    figure = new_figure(WIDTH, HEAD + ROW * max(rows, 2))
    return figure, figure.subplots()


def label(config: str, games: int) -> str:
    """Name a configuration with its number of games."""
    return f"{config}  n={games:,}"


def name_rows(axes: Axes, names: list[str]) -> None:
    """Name horizontal bars, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def stacked(axes: Axes, parts: dict[str, list[float]], names: list[str]) -> None:
    """Draw shares as stacked horizontal bars; a share of 6 % or more is written in its bar."""
    left = [0.0] * len(names)
    for place, (name, shares) in enumerate(parts.items()):
        color = COLORS[place % len(COLORS)]
        hatch = HATCHES[place // len(COLORS) % len(HATCHES)]
        axes.barh(
            range(len(names)),
            shares,
            left=left,
            color=color,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.8,
            label=name,
        )
        for row, share in enumerate(shares):
            if share >= 0.06:
                dark = color in ("#0072b2", "#009e73", "#d55e00", "#666666")
                axes.text(
                    left[row] + share / 2,
                    row,
                    f"{share:.0%}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
        left = [a + b for a, b in zip(left, shares, strict=True)]
    name_rows(axes, names)
    axes.set_xlim(0, 1)
    percent_axis(axes)


def percent_axis(axes: Axes) -> None:
    """Write the x axis in percent."""
    from matplotlib.ticker import PercentFormatter

    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def labels_of(report: Tree) -> list[str]:
    """Name all configurations of a report."""
    return [label(config, s["games"]) for config, s in report["configurations"].items()]
