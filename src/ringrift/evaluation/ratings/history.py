"""Ratings as they stood after each match (`evaluation.md` 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ringrift.evaluation.ratings.fit import Fit, FitRules, fit
from ringrift.evaluation.ratings.games import RatedGames


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """The fit of the games that had begun by `at` (Unix seconds), when a match's last game had."""

    at: float
    run: str
    fit: Fit


def history(
    games: RatedGames,
    rules: FitRules,
    parents: Mapping[str, str],
    *,
    agent: str | None = None,
    limit: int = 50,
) -> list[Moment]:
    """Return the fits after the newest `limit` matches, oldest first; of `agent` its matches alone.

    Games without a run or a start are part of no match.
    """
    index = None if agent is None else games.index(agent)
    if agent is not None and index is None:
        return []
    ends = _ends(games, index)[-limit:] if limit > 0 else []
    return [
        Moment(at=at, run=run, fit=fit(started_until(games, at), rules, parents))
        for at, run in ends
    ]


def started_until(games: RatedGames, at: float) -> RatedGames:
    """Return the games that began by a time; those of unknown start never did."""
    kept = games.started <= at
    return chosen(games, kept)


def chosen(games: RatedGames, kept: NDArray[np.bool_]) -> RatedGames:
    """Return some of the games: `kept`: `bool[G]`; participants stay."""
    values = {field.name: getattr(games, field.name) for field in fields(games)}
    for name in ("seats", "ranks", "capped", "blocks", "runs", "started"):
        values[name] = values[name][kept]
    values["ids"] = tuple(identity for identity, keep in zip(games.ids, kept, strict=True) if keep)
    return RatedGames(**values)


def _ends(games: RatedGames, agent: int | None) -> list[tuple[float, str]]:
    """Return (start of its last game, name) of each match, in order."""
    fits = (games.runs >= 0) & np.isfinite(games.started)
    if agent is not None:
        fits &= (games.seats == agent).any(axis=1)
    last: dict[int, float] = {}
    for run, at in zip(games.runs[fits].tolist(), games.started[fits].tolist(), strict=True):
        last[run] = max(at, last.get(run, at))
    return sorted((at, games.run_names[run]) for run, at in last.items())
