"""Plots by configuration: ends, seats, openings, agents, quality (data.md 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.figures import new_figure
from ringrift.data.statistics.counting import TYPES
from ringrift.data.statistics.measures import Tree
from ringrift.data.statistics.plot_parts import (
    COLORS,
    WIDTH,
    bar_figure,
    label,
    labels_of,
    legend_below,
    name_rows,
    percent_axis,
    stacked,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ringrift.data.statistics.report import Counted

MOST_FAMILIES = 8
"""Families of agents that are drawn; the rest are the others."""
_GROUP = 0.8


def victory_types(report: Tree, counted: Counted) -> Figure:
    """Draw how games end, as shares of each configuration."""
    del counted
    parts = {
        name.replace("_", " "): [
            s["victory"]["types"][name]["share"] for s in report["configurations"].values()
        ]
        for name in TYPES
        if report["total"]["victory"]["types"][name]["count"]
    }
    figure, axes = bar_figure(len(report["configurations"]) + len(parts) // 3)
    stacked(axes, parts, labels_of(report))
    axes.set_title("How games end")
    axes.set_xlabel("share of games")
    legend_below(figure, axes, 3)
    return figure


def seat_wins(report: Tree, counted: Counted) -> Figure:
    """Draw the share of wins of each seat with its 95 % interval, beside what equal seats would have."""
    del counted
    tables = {
        config: s["seats"]["by_players"][0]
        for config, s in report["configurations"].items()
        if s["seats"]["by_players"] and s["seats"]["by_players"][0]["games"]
    }
    figure, axes = bar_figure(2 * len(tables))
    for row, table in enumerate(tables.values()):
        players = table["players"]
        axes.plot(
            [1 / players] * 2,
            [row - 0.45, row + 0.45],
            color="#444444",
            linestyle=":",
            linewidth=1.2,
        )
        for place, seat in enumerate(table["wins"]):
            share = seat["share"]
            axes.errorbar(
                share,
                row + _GROUP * ((place + 0.5) / players - 0.5),
                xerr=[[max(0.0, share - seat["low"])], [max(0.0, seat["high"] - share)]],
                fmt="osD^"[place],
                markersize=5,
                capsize=3,
                color=COLORS[place],
                label=f"seat {seat['seat']}" if _first_with(tables, place, row) else None,
            )
    name_rows(axes, [label(config, table["games"]) for config, table in tables.items()])
    for row in range(1, len(tables)):
        axes.axhline(row - 0.5, color="#dddddd", linewidth=0.8)
    axes.set_xlim(left=-0.02)
    percent_axis(axes)
    axes.set_title("Wins by seat (95 % Wilson interval; dotted: equal seats)")
    axes.set_xlabel("share of games with a winner")
    axes.grid(axis="x", alpha=0.25)
    legend_below(figure, axes, 4)
    return figure


def _first_with(tables: dict[str, Tree], place: int, row: int) -> bool:
    having = [i for i, table in enumerate(tables.values()) if table["players"] > place]
    return having[0] == row


def opening_diversity(report: Tree, counted: Counted) -> Figure:
    """Draw the share of games with an opening of their own, by length of the opening."""
    del counted
    configurations = report["configurations"]
    lengths = list(report["total"]["quality"]["openings"])
    figure, axes = bar_figure(2 * len(configurations))
    height = _GROUP / len(lengths)
    for place, plies in enumerate(lengths):
        openings = [s["quality"]["openings"][plies] for s in configurations.values()]
        rows = [row - _GROUP / 2 + height * (place + 0.5) for row in range(len(openings))]
        shares = [o["share"] or 0.0 for o in openings]
        axes.barh(rows, shares, height=height * 0.9, color=COLORS[place], label=f"{plies} plies")
        for row, share, found in zip(rows, shares, openings, strict=True):
            axes.text(share + 0.008, row, f"{found['distinct']:,}", va="center", fontsize=7)
    name_rows(axes, labels_of(report))
    axes.set_xlim(0, 1.08)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    percent_axis(axes)
    axes.set_title("Different openings per game (beside the bars: their number)")
    axes.set_xlabel("different openings per game")
    legend_below(figure, axes, len(lengths))
    return figure


def agent_mix(report: Tree, counted: Counted) -> Figure:
    """Draw which families of agents had the seats of each configuration."""
    del counted
    seats = {
        config: {a["name"]: _seats_of(a) for a in s["agents"]["families"]}
        for config, s in report["configurations"].items()
    }
    seats = {config: found for config, found in seats.items() if sum(found.values())}
    total: dict[str, int] = {}
    for found in seats.values():
        for name, n in found.items():
            total[name] = total.get(name, 0) + n
    families = sorted(total, key=lambda name: (-total[name], name))
    shown, others = families[:MOST_FAMILIES], families[MOST_FAMILIES:]
    parts = {
        name: [found.get(name, 0) / sum(found.values()) for found in seats.values()]
        for name in shown
    }
    if others:
        parts["others"] = [
            sum(found.get(name, 0) for name in others) / sum(found.values())
            for found in seats.values()
        ]
    figure, axes = bar_figure(len(seats) + len(parts) // 4)
    names = [label(config, report["configurations"][config]["games"]) for config in seats]
    stacked(axes, parts, names)
    axes.set_title("Agents at the seats")
    axes.set_xlabel("share of seats")
    legend_below(figure, axes, 4)
    return figure


def _seats_of(family: Tree) -> int:
    return int(family["seats"])


def quality_components(report: Tree, counted: Counted) -> Figure:
    """Draw the parts of the quality score of each configuration, and the score itself."""
    del counted
    scores = {c: s["quality"]["score"] for c, s in report["configurations"].items()}
    known = next((score for score in scores.values() if score is not None), None)
    heads = ["score", *(c["name"] for c in known["components"])] if known else ["score"]
    figure = new_figure(WIDTH, 2.2 + 0.36 * max(2, len(scores)))
    axes = figure.subplots()
    table = [_values(score, len(heads)) for score in scores.values()]
    numbers = [[float("nan") if isinstance(v, str) else v for v in row] for row in table]
    image = axes.imshow(numbers, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            dark = not isinstance(value, str) and value < 0.5
            axes.text(
                column,
                row,
                value if isinstance(value, str) else f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    axes.set_xticks(range(len(heads)), [head.replace("_", "\n") for head in heads], fontsize=8)
    axes.set_yticks(range(len(scores)), labels_of(report))
    axes.set_title("Data quality (white: unknown or left out)")
    figure.colorbar(image, ax=axes, shrink=0.8, label="0 bad, 1 good")
    return figure


def _values(score: Tree | None, size: int) -> list[float | str]:
    if score is None:
        return ["unknown"] * size
    values: list[float | str] = ["unknown" if score["score"] is None else score["score"]]
    for part in score["components"]:
        unknown = "left out" if part["left_out"] else "unknown"
        values.append(unknown if part["value"] is None else part["value"])
    return values
