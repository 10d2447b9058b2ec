"""Draw a lineage as SVG: generations from left to right, the oldest first."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import TYPE_CHECKING

from ringrift.core.ids import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ringrift.models.lineage import Ancestor, Lineage

# Colours that stay apart for colour-blind readers and in print.
_COLORS = {"champion": "#009e73", "former": "#0072b2", "rejected": "#d55e00"}
_OTHER = "#777777"
_SALT = "ringrift"
"""Makes the ids inside the file the same every time."""


def draw(lineage: Lineage) -> bytes:
    """Return the tree of a lineage as SVG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    places = _places(lineage)
    columns = 1 + max(model.depth for model in lineage.models)
    rows = 1 + max(y for _, y in places.values())
    with rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.6 * columns + 0.6, 1.1 * rows + 0.6), layout="constrained")
        FigureCanvasSVG(figure)  # no display, no global state
        axes = figure.subplots()
        for model in lineage.models:
            _draw_edges(axes, model, places)
            _draw_model(axes, model, places[model.id])
        axes.set_xlim(-0.6, columns - 0.4)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.axis("off")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _places(lineage: Lineage) -> dict[str, tuple[float, float]]:
    """Return column and row of each model."""
    deepest = max(model.depth for model in lineage.models)
    rows: defaultdict[int, int] = defaultdict(int)
    found: dict[str, tuple[float, float]] = {}
    for model in lineage.models:
        found[model.id] = (deepest - model.depth, rows[model.depth])
        rows[model.depth] += 1
    return found


def _draw_edges(axes: Axes, model: Ancestor, places: dict[str, tuple[float, float]]) -> None:
    to = places[model.id]
    for parent, role in model.roles:
        if parent not in places:
            continue
        start = places[parent]
        axes.annotate(
            "",
            xy=(to[0] - 0.38, to[1]),
            xytext=(start[0] + 0.38, start[1]),
            arrowprops={"arrowstyle": "->", "color": _OTHER},
        )
        middle = ((start[0] + to[0]) / 2, (start[1] + to[1]) / 2 - 0.1)
        axes.text(*middle, role, ha="center", fontsize=7, color=_OTHER)


def _draw_model(axes: Axes, model: Ancestor, place: tuple[float, float]) -> None:
    status = "no card" if model.listed is None else model.listed.status
    label = None if model.known is None else model.known.label
    lines = [short(model.id), *([label] if label else []), status]
    if model.new_games is not None:
        lines.append(f"{model.new_games:,} new games")
    axes.text(
        *place,
        "\n".join(lines),
        ha="center",
        va="center",
        fontsize=8,
        bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": _COLORS.get(status, _OTHER)},
    )
