"""Which rows of a fit are shown, in which order (`evaluation.md` 5)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

from ringrift.core.ids import short
from ringrift.evaluation.ratings.lineage import ModelFacts

Sort = Literal["elo", "lower"]
FIXED = "fixed"
KINDS = ("nn", "nnue", FIXED)
"""Agents by what they are made of: networks of two kinds, and those without a model."""

_ID = re.compile(r"[0-9a-f]{64}")


def leaderboard(
    tree: Mapping[str, Any],
    facts: Mapping[str, ModelFacts],
    *,
    top: int = 50,
    min_games: int = 30,
    sort: Sort = "elo",
    kinds: Collection[str] = KINDS,
) -> list[dict[str, Any]]:
    """Return the rows of a fit (`table.tree_of`) that are shown, each with rank, name and kind.

    `lower` sorts by the lower end of the interval. Unrated agents come last and have no rank; a
    model whose description is not here is of either kind.
    """
    rows = []
    for place, row in enumerate(tree["ratings"]):
        kind = _kind(row["model_id"], facts)
        fits = kind in kinds or (kind is None and not set(kinds) <= {FIXED})
        if row["games"] >= min_games and fits:
            rows.append({"place": place, "name": name_of(row["spec"]), "kind": kind, **row})
    rows.sort(key=lambda row: _order(row, sort))
    rated = 0
    for row in rows:
        rated += row["elo"] is not None
        row["rank"] = rated if row["elo"] is not None else None
    return rows[:top]


def matrix(tree: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the pairings of the shown rows: `matrix[i][j]` is i's cell against j, None unplayed.

    A cell holds games, the observed and the fitted share of orders in which i stood above, and z.
    """
    shown = {row["place"]: number for number, row in enumerate(rows)}
    cells: list[list[Any]] = [[None] * len(rows) for _ in rows]
    for first, second, games, observed, fitted, z in tree["pairings"]:
        if first in shown and second in shown:
            one, two = shown[first], shown[second]
            cells[one][two] = _cell(games, observed, fitted, z)
            cells[two][one] = _cell(
                games,
                round(1.0 - observed, 4),
                None if fitted is None else round(1.0 - fitted, 4),
                None if z is None else -z + 0.0,
            )
    return cells


def name_of(spec: str) -> str:
    """Return a spec with its models' ids cut short."""
    return _ID.sub(lambda found: short(found.group()), spec)


def _kind(model: str | None, facts: Mapping[str, ModelFacts]) -> str | None:
    if model is None:
        return FIXED
    known = facts.get(model)
    return None if known is None else known.kind


def _order(row: Mapping[str, Any], sort: Sort) -> tuple[bool, float, str]:
    if row["elo"] is None:
        return True, 0.0, row["agent_hash"]
    shown = row["elo_ci95"][0] if sort == "lower" else row["elo"]
    return False, -shown, row["agent_hash"]


def _cell(games: int, observed: float, fitted: float | None, z: float | None) -> dict[str, Any]:
    return {"games": games, "observed": observed, "fitted": fitted, "z": z}
