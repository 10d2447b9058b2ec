"""Ratings of the agents that played, out of the fit of a configuration (evaluation.md 5)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError

RANDOM_ELO = 400.0
"""The anchor of every fit: known without one."""
RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Elo by agent hash; `fit` is the digest of the fit they come from, None for none."""

    elo: Mapping[str, float] = field(default_factory=dict)
    fit: str | None = None

    def of(self, agent_hash: str, spec: str) -> float | None:
        """Return an agent's rating, None for one that has none."""
        if spec.partition(":")[0] == RANDOM:
            return RANDOM_ELO
        return self.elo.get(agent_hash)


def read_ratings(folder: Path, config: str) -> Ratings:
    """Return the newest fit of a configuration, without any file the anchor alone.

    Files are `<config>-<digest>.json`, an object whose `ratings` are objects with `agent_hash` and
    `elo` (null where unconnected). Raises `DataError` naming file and field.
    """
    files = sorted(folder.glob(f"{config}-*.json"), key=lambda f: (f.stat().st_mtime_ns, f.name))
    if not files:
        return Ratings()
    path = files[-1]
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"no fit of ratings: {error}", where=str(path)) from None
    rows = tree.get("ratings") if isinstance(tree, dict) else None
    if not isinstance(rows, list):
        raise DataError(
            f"found {rows!r:.80}; expected a list of ratings", where=f"{path} field ratings"
        )
    pairs = [_pair(path, number, row) for number, row in enumerate(rows)]
    elo = {agent: rating for agent, rating in pairs if rating is not None}
    return Ratings(elo=elo, fit=path.stem.removeprefix(f"{config}-"))


def _pair(path: Path, number: int, row: Any) -> tuple[str, float | None]:
    where = f"{path} field ratings[{number}]"
    if not isinstance(row, dict) or not isinstance(row.get("agent_hash"), str):
        raise DataError(f"found {row!r:.80}; expected an object with `agent_hash`", where=where)
    elo = row.get("elo")
    if elo is None:
        return row["agent_hash"], None
    if isinstance(elo, bool) or not isinstance(elo, int | float) or not math.isfinite(elo):
        raise DataError(f"found {elo!r}; expected a number or null", where=f"{where}.elo")
    return row["agent_hash"], float(elo)
