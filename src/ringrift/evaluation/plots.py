"""Pictures of matches and ratings over time (`evaluation.md` 11); n stands in each title.

Leaderboards and pairings are drawn by `ratings.pictures`, which also writes all of them to files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ringrift.evaluation.trends import Trend

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"
_SIZE_IN = (8.0, 4.5)
_ROW_IN = 0.45
_LOOK = {"best": (BLUE, "o"), "champion": (ORANGE, "s")}


def elo_over_time(trend: Trend, promotions: Sequence[float] = ()) -> Figure:
    """Draw best and champion with 95 % intervals; `promotions` (Unix seconds) are marked."""
    figure, axes = _sheet()
    for series, (color, marker) in _LOOK.items():
        points = [point for point in trend.points if point.series == series]
        low, high = zip(*(p.ends for p in points), strict=True) if points else ((), ())
        drawn = axes.errorbar(
            [_date(p.at) for p in points],
            [p.elo for p in points],
            yerr=[
                [p.elo - end for p, end in zip(points, low, strict=True)],
                [end - p.elo for p, end in zip(points, high, strict=True)],
            ],
            fmt=f"{marker}-",
            color=color,
            capsize=3,
            label=series,
        )
        drawn[2][0].set_gid(f"{series}-error-bars")
    for number, at in enumerate(promotions):
        label = "promotion" if number == 0 else None
        axes.axvline(_date(at), color=GREEN, linestyle=":", linewidth=1, label=label)
    games = max((point.games for point in trend.points), default=0)
    axes.set_ylabel("Elo, random = 400, 95 %")
    axes.set_xlabel("time (UTC)")
    axes.xaxis_date(UTC)
    axes.tick_params(axis="x", rotation=30)
    axes.set_title(f"{trend.config}: {len(trend.points)} fits, best agent's n = {games:,} games")
    _legend(axes)
    return figure


def elo_over(config: str, rows: Sequence[Mapping[str, Any]], *, by: str, unit: str) -> Figure:
    """Draw rated models over what they have cost: `rows` hold `by`, `elo`, `elo_ci95`, `games`."""
    figure, axes = _sheet()
    known = [row for row in rows if row["elo"] is not None and row.get(by) is not None]
    for row in known:
        low, high = row["elo_ci95"]
        axes.errorbar(
            [row[by]],
            [row["elo"]],
            yerr=[[row["elo"] - low], [high - row["elo"]]],
            fmt="o",
            color=BLUE,
            capsize=3,
        )
    axes.set_xlabel(unit)
    axes.set_ylabel("Elo, random = 400, 95 %")
    games = sum(row["games"] for row in known)
    axes.set_title(f"{config}: {len(known)} models, n = {games:,} games")
    return figure


def llr_path(title: str, llrs: Sequence[float], bounds: tuple[float, float]) -> Figure:
    """Draw the log-likelihood ratio of a test block by block between its bounds."""
    figure, axes = _sheet()
    axes.plot(range(1, len(llrs) + 1), llrs, color=BLUE)
    for bound, words, color in zip(
        bounds, ("accept H0", "accept H1"), (ORANGE, GREEN), strict=True
    ):
        axes.axhline(bound, color=color, linestyle="--", label=f"{words}: {bound:+.2f}")
    axes.set_xlabel("block")
    axes.set_ylabel("log-likelihood ratio")
    axes.set_title(f"{title}: n = {len(llrs):,} blocks")
    _legend(axes)
    return figure


def share_by_seat(title: str, agents: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each agent's share of wins from each seat; agents are those of a match result."""
    figure, axes = _sheet()
    seats = len(agents[0]["by_seat"]) if agents else 0
    width = 0.8 / max(1, len(agents))
    for place, (agent, color) in enumerate(zip(agents, (BLUE, ORANGE, GREEN, GREY), strict=False)):
        shown = [
            (seat + place * width - 0.4 + width / 2, share)
            for seat, share in enumerate(agent["by_seat"], start=1)
            if share is not None
        ]
        axes.bar(
            [at for at, _ in shown],
            [share for _, share in shown],
            width,
            color=color,
            label=f"{agent['spec']} (n={agent['seat_games']:,})",
        )
    if seats:
        axes.axhline(1 / seats, color=GREY, linewidth=0.8)
        axes.set_xticks(range(1, seats + 1), [f"seat {seat}" for seat in range(1, seats + 1)])
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of wins")
    axes.set_title(title)
    _legend(axes)
    return figure


def intervals(
    title: str, rows: Sequence[Mapping[str, Any]], *, mark: float | None = None
) -> Figure:
    """Draw scores with their intervals, one row each: `name`, `score`, `ci95`, `games`.

    `mark` is a threshold; rows without a score show their name alone.
    """
    figure, axes = _sheet(rows=len(rows))
    for place, row in enumerate(rows):
        if row["score"] is None:
            continue
        low, high = row["ci95"]
        axes.errorbar(
            [row["score"]],
            [place],
            xerr=[[row["score"] - low], [high - row["score"]]],
            fmt="o",
            color=BLUE,
            capsize=3,
        )
    if mark is not None:
        axes.axvline(mark, color=ORANGE, linestyle="--", label=f"threshold {mark:g}")
        _legend(axes)
    names = [f"{row['name']}  (n={row['games']:,})" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("score, with its interval")
    axes.set_title(title)
    return figure


def _date(at: float) -> float:
    """Return Unix seconds as matplotlib counts days."""
    from matplotlib.dates import date2num

    return float(date2num(datetime.fromtimestamp(at, UTC)))


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _sheet(*, rows: int | None = None) -> tuple[Figure, Axes]:
    width, height = _SIZE_IN
    figure = new_figure(width, height if rows is None else 1.6 + _ROW_IN * max(2, rows))
    axes = figure.subplots()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes
