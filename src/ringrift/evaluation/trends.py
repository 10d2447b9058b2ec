"""How strong the best agent and the champion were from hour to hour (`evaluation.md` 11).

Each point is a fit of the games that had begun by then: ratings are refitted, never carried on.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ringrift.evaluation.least_squares import slope_of
from ringrift.evaluation.ratings.fit import Z95, Fit, FitRules, fit
from ringrift.evaluation.ratings.games import RatedGames
from ringrift.evaluation.ratings.history import started_until
from ringrift.evaluation.ratings.table import utc

HOUR_S, DAY_S = 3600.0, 86_400.0
HOURLY_UP_TO_HOURS = 168.0
CSV_COLUMNS = (
    "time", "config", "agent", "model_id", "elo", "se", "ci_low", "ci_high", "games", "change",
)  # fmt: skip

Series = Literal["best", "champion"]
SERIES: tuple[Series, ...] = ("best", "champion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The rating of one agent at a time, Unix seconds; `change` is since the series' last point."""

    at: float
    series: Series
    agent: str
    model_id: str | None
    elo: float
    se: float
    games: int
    change: float | None

    @property
    def ends(self) -> tuple[float, float]:
        """The 95 % interval."""
        return round(self.elo - Z95 * self.se, 1), round(self.elo + Z95 * self.se, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The least-squares slope of a series in Elo a day, with its 95 % interval, over n points."""

    series: Series
    points: int
    elo_per_day: float | None
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The points of a configuration in a window, oldest first."""

    config: str
    points: tuple[Point, ...]
    slopes: tuple[Slope, ...]

    def as_tree(self) -> dict[str, Any]:
        """Return the trend as it is published."""
        return {
            "config": self.config,
            "points": [{"series": p.series, **_row(self.config, p)} for p in self.points],
            "slopes": [asdict(slope) for slope in self.slopes],
        }


def trend(
    games: RatedGames,
    rules: FitRules,
    parents: Mapping[str, str],
    champions: Sequence[tuple[float, str]],
    *,
    since: float,
    until: float,
) -> Trend:
    """Return best and champion at each full hour of a window (each day beyond a week), and now.

    `champions` are (since when, model id), oldest first. A time without new games or another
    champion since the last point has none of its own.
    """
    step_s = HOUR_S if until - since <= HOURLY_UP_TO_HOURS * HOUR_S else DAY_S
    first = math.ceil(since / step_s) * step_s
    times = [*np.arange(first, until, step_s).tolist(), until]
    points: list[Point] = []
    known: tuple[int, str | None] | None = None
    for at in times:
        begun = int((games.started <= at).sum())
        champion = next((model for when, model in reversed(champions) if when <= at), None)
        if begun == 0 or (begun, champion) == known:
            continue
        known = (begun, champion)
        fitted = fit(started_until(games, at), rules, parents)
        for series in SERIES:
            point = _point(fitted, series, at, champion, _last(points, series))
            if point is not None:
                points.append(point)
    return Trend(
        config=games.config,
        points=tuple(points),
        slopes=tuple(
            _slope(series, [p for p in points if p.series == series]) for series in SERIES
        ),
    )


def csv_of(trends: Sequence[Trend]) -> bytes:
    """Return the points as CSV, one row each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in trends:
        for point in one.points:
            row = _row(one.config, point)
            writer.writerow({name: "" if row[name] is None else row[name] for name in CSV_COLUMNS})
    return text.getvalue().encode()


def _row(config: str, point: Point) -> dict[str, Any]:
    low, high = point.ends
    return {
        "time": utc(point.at),
        "config": config,
        "agent": point.agent,
        "model_id": point.model_id,
        "elo": point.elo,
        "se": point.se,
        "ci_low": low,
        "ci_high": high,
        "games": point.games,
        "change": point.change,
    }


def _point(
    fitted: Fit, series: Series, at: float, champion: str | None, last: Point | None
) -> Point | None:
    """Return the point of the best rated agent, or of the champion's most played one."""
    games = fitted.games
    played = np.bincount(games.seats[games.finished].ravel(), minlength=len(games.participants))
    rated = [
        (agent, elo, se)
        for agent in range(len(games.participants))
        if (elo := fitted.elo(agent)) is not None and (se := fitted.se(agent)) is not None
    ]
    if series == "champion":
        rated = [row for row in rated if games.participants[row[0]].model_id == champion]
        rated = [] if champion is None else rated
        chosen = max(rated, key=lambda row: (played[row[0]], row[1]), default=None)
    else:
        enough = [row for row in rated if played[row[0]] >= fitted.rules.min_games]
        chosen = max(enough, key=lambda row: row[1], default=None)
    if chosen is None:
        return None
    agent, elo, se = chosen
    who = games.participants[agent]
    shown = round(elo, 1)
    return Point(
        at=at,
        series=series,
        agent=who.spec,
        model_id=who.model_id,
        elo=shown,
        se=round(se, 1),
        games=int(played[agent]),
        change=None if last is None else round(shown - last.elo, 1),
    )


def _last(points: Sequence[Point], series: Series) -> Point | None:
    return next((point for point in reversed(points) if point.series == series), None)


def _slope(series: Series, points: Sequence[Point]) -> Slope:
    days = [(point.at - points[0].at) / DAY_S for point in points]
    line = slope_of(days, [point.elo for point in points])
    if line is None:
        return Slope(series=series, points=len(points), elo_per_day=None, ci95=None)
    return Slope(
        series=series,
        points=len(points),
        elo_per_day=round(line.value, 1),
        ci95=(round(line.low, 1), round(line.high, 1)),
    )
