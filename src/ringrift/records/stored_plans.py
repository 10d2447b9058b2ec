"""The plans of matches that a store holds, by the hash that their games name (evaluation.md 1).

A plan is canonical JSON and never changes. What it means is `ringrift.evaluation`'s business.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.core.files import transaction
from ringrift.core.ids import content_id
from ringrift.records.schema import readable

KIND = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """One plan: its hash, what it is about, Unix seconds of its first storing, its text."""

    hash: str
    config: str
    purpose: str
    made_at: float
    text: str


class StoredPlans:
    """Keeps the plans of an open store; get it from `GameStore.plans`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def add(self, text: bytes, *, config: str, purpose: str) -> str:
        """Keep a plan if it is not here and return its hash."""
        identity = content_id(KIND, text)
        row = (identity, config, purpose, time.time(), text.decode())
        with readable(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR IGNORE INTO plans VALUES (?, ?, ?, ?, ?)", row)
        return identity

    def get(self, identity: str) -> StoredPlan | None:
        """Return a plan, None if it is not here; raises `DataError` for one that was changed."""
        found = next(self._select("hash = ?", (identity,)), None)
        if found is not None and content_id(KIND, found.text.encode()) != identity:
            raise DataError(
                f"plan {identity[:12]} is not what its hash names", where=str(self._path)
            )
        return found

    def all(self, config: str | None = None, *, purpose: str | None = None) -> Iterator[StoredPlan]:
        """Yield the plans that fit, oldest first."""
        return self._select(
            "config = coalesce(?, config) AND purpose = coalesce(?, purpose)", (config, purpose)
        )

    def _select(self, fits: str, values: tuple[str | None, ...]) -> Iterator[StoredPlan]:
        sql = f"SELECT hash, config, purpose, made_at, plan FROM plans WHERE {fits} ORDER BY made_at, hash"  # noqa: S608 - names of this file
        with readable(self._path):
            rows = self._connection.execute(sql, values).fetchall()
        for identity, config, purpose, made_at, text in rows:
            yield StoredPlan(
                hash=identity, config=config, purpose=purpose, made_at=made_at, text=text
            )
