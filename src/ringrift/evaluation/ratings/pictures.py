"""A leaderboard as a forest of intervals, its pairings as a matrix (`evaluation.md` 11)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.figures import new_figure
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOR, _OTHER, _GRID = "#0072b2", "#d55e00", "#cccccc"  # told apart without seeing red or green
_WIDTH_IN, _ROW_IN, _HEAD_IN = 8.0, 0.3, 1.6

PlotFormat = Literal["png", "svg", "both"]


def forest(config: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the rated rows of a leaderboard with their 95 % intervals, best at the top."""
    figure, axes = _sheet(len(rows))
    rated = [row for row in rows if row["elo"] is not None]
    for place, row in enumerate(rated):
        color = _COLOR if row["frozen"] is None else _OTHER
        low, high = row["elo_ci95"]
        axes.errorbar(
            [row["elo"]],
            [-place],
            xerr=[[row["elo"] - low], [high - row["elo"]]],
            fmt="o",
            markerfacecolor="white" if row["provisional"] else color,
            color=color,
            capsize=3,
        )
    axes.set_yticks([-place for place in range(len(rated))])
    axes.set_yticklabels([f"{row['name']}  (n={row['games']:,})" for row in rated])
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.set_xlabel("Elo, random = 400, 95 %; hollow: provisional; orange: frozen")
    axes.set_title(f"{config}: {len(rated)} rated of {len(rows)} agents")
    return figure


def pairing_matrix(
    config: str, rows: Sequence[Mapping[str, Any]], cells: Sequence[Sequence[Any]]
) -> Figure:
    """Draw observed shares of the shown rows against each other, residuals z as colour."""
    figure, axes = _sheet(len(rows) + 4)
    values = [
        [float("nan") if cell is None or cell["z"] is None else cell["z"] for cell in line]
        for line in cells
    ]
    if rows:
        image = axes.imshow(values, cmap="PuOr", vmin=-4.0, vmax=4.0, aspect="auto")
        figure.colorbar(image, ax=axes, label="residual z")
    for one, line in enumerate(cells):
        for other, cell in enumerate(line):
            if cell is not None:
                text = f"{cell['observed']:.2f}"
                axes.text(other, one, text, ha="center", va="center", fontsize=7)
    names = [row["name"] for row in rows]
    axes.set_xticks(range(len(rows)), names, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    games = sum(cell["games"] for line in cells for cell in line if cell is not None) // 2
    axes.set_title(f"{config}: share of the row above the column, n={games:,} meetings")
    return figure


def save(
    folder: Path, name: str, figure: Figure, data: Mapping[str, Any], kinds: PlotFormat
) -> list[Path]:
    """Write a figure in the wanted formats with its data as JSON beside it; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in ("png", "svg") if kinds == "both" else (kinds,):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind)
        written.append(folder / f"{name}.{kind}")
        write_atomic(written[-1], buffer.getvalue())
    written.append(folder / f"{name}.json")
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(written[-1], text.encode() + b"\n")
    return written


def _sheet(rows: int) -> tuple[Figure, Any]:
    figure = new_figure(_WIDTH_IN, _HEAD_IN + _ROW_IN * max(3, rows))
    return figure, figure.subplots()
