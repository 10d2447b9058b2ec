"""Ratings of models out of the newest fit of a configuration (`evaluation.md` 5)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.models.listing import Rating

if TYPE_CHECKING:
    from pathlib import Path


def ratings_of(folder: Path, config: str) -> dict[str, Rating]:
    """Return the rated models of a configuration by id; a fit that is not there rates none.

    Files are `<config>-<digest>.json`, an object whose `ratings` are objects with `model_id` (null
    for other agents), `elo` (null where unconnected), `elo_ci95` and `games`. Of a model that played
    as several agents the one with the most games counts. Raises `DataError` naming file and field.
    """
    files = sorted(folder.glob(f"{config}-*.json"), key=lambda f: (f.stat().st_mtime_ns, f.name))
    if not files:
        return {}
    path = files[-1]
    try:
        rows = json.loads(path.read_bytes())["ratings"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"no fit of ratings: {error!r}", where=str(path)) from None
    if not isinstance(rows, list):
        raise DataError(f"found {rows!r:.80}; expected a list", where=f"{path} field ratings")
    found: dict[str, Rating] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"found {row!r:.80}", where=f"{path} field ratings[{number}]")
        model_id = row.get("model_id")
        if model_id is None or row.get("elo") is None:
            continue
        rating = _rating(row, f"{path} field ratings[{number}]")
        if model_id not in found or found[model_id].games < rating.games:
            found[str(model_id)] = rating
    return found


def _rating(row: dict[str, Any], where: str) -> Rating:
    ends = row.get("elo_ci95")
    games = row.get("games")
    low, high = ends if isinstance(ends, list) and len(ends) == 2 else (None, None)
    numbers = (row["elo"], low, high)
    if not all(_is_number(value) for value in numbers) or not isinstance(games, int) or games < 0:
        raise DataError(f"found {row!r:.80}; expected elo, elo_ci95 and games", where=where)
    elo, low, high = map(float, numbers)
    return Rating(elo=elo, low=low, high=high, games=games)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
