"""Plots of the statistics, each with the number of games it shows (data.md 10)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringrift.data.statistics import plot_games, plot_results
from ringrift.data.statistics.measures import Tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ringrift.data.statistics.report import Counted

FORMATS = ("png", "svg")
DPI = 110

PLOTS: dict[str, Callable[[Tree, Counted], Figure]] = {
    "victory_types": plot_results.victory_types,
    "seat_wins": plot_results.seat_wins,
    "lengths": plot_games.lengths,
    "branching_by_ply": plot_games.branching_by_ply,
    "games_per_hour": plot_games.games_per_hour,
    "opening_diversity": plot_results.opening_diversity,
    "agent_mix": plot_results.agent_mix,
    "quality_components": plot_results.quality_components,
}
"""Names of the files, without suffix, and what draws them."""


def draw(name: str, report: Tree, counted: Counted, *, form: str) -> bytes:
    """Return one of `PLOTS` as PNG or SVG bytes; `report` must have a configuration."""
    figure = PLOTS[name](report, counted)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=DPI)
    return buffer.getvalue()
