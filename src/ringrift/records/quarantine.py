"""What a store keeps of the games it refused: look, take out again (data.md 2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import UsageError
from ringrift.core.files import transaction
from ringrift.core.ids import resolve_prefix
from ringrift.records.analysis_bytes import open_pair
from ringrift.records.schema import readable

WITHDRAWN = "the store itself"
"""Source of what a recheck took out of the games."""

_NEAR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A refused game: reason and detail of the gate, where it shows and where it came from.

    `at` is Unix seconds, `size_bytes` the length of what is kept.
    """

    id: str
    reason: str
    ply: int | None
    detail: str
    source: str
    at: float
    size_bytes: int


_COLUMNS = "id, reason, ply, detail, source, at, length(record)"


class Quarantine:
    """The refused games of one open store; get it from `GameStore.quarantine`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def counts(self) -> dict[str, int]:
        """Return the number of refused games by reason."""
        sql = "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason"
        with readable(self._path):
            return {row[0]: int(row[1]) for row in self._connection.execute(sql)}

    def entries(
        self,
        *,
        reason: str | None = None,
        before: float | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """Return the refused games that fit, newest first; times are Unix seconds."""
        sql = (
            f"SELECT {_COLUMNS} FROM quarantine"  # noqa: S608 - names of this file
            " WHERE reason = coalesce(?, reason) AND at <= coalesce(?, at) AND at >= coalesce(?, at)"
            " ORDER BY at DESC, id LIMIT ?"
        )
        values = (reason, before, since, -1 if limit is None else limit)
        with readable(self._path):
            return [_entry(row) for row in self._connection.execute(sql, values)]

    def has(self, identity: str) -> bool:
        """Tell whether a refused game is here."""
        sql = "SELECT 1 FROM quarantine WHERE id = ?"
        with readable(self._path):
            return self._connection.execute(sql, (identity,)).fetchone() is not None

    def get(self, identity: str) -> tuple[Entry, bytes, bytes | None]:
        """Return an entry with the bytes of the game, and of its analysis if it had one.

        Raises `UsageError` for an id that is not here, `DataError` for a damaged row.
        """
        sql = f"SELECT {_COLUMNS}, record FROM quarantine WHERE id = ?"  # noqa: S608
        with readable(self._path):
            row = self._connection.execute(sql, (identity,)).fetchone()
        if row is None:
            raise UsageError(f"no game {identity} in quarantine", where=str(self._path))
        game, analysis = open_pair(row[-1])
        return _entry(row), game, analysis

    def find(self, prefix: str) -> str:
        """Return the one id that starts with `prefix`; raises `UsageError`."""
        start = prefix.strip().lower()
        with readable(self._path):
            execute = self._connection.execute
            after = f"SELECT id FROM quarantine WHERE id >= ? ORDER BY id LIMIT {_NEAR}"  # noqa: S608
            before = f"SELECT id FROM quarantine WHERE id < ? ORDER BY id DESC LIMIT {_NEAR}"  # noqa: S608
            near = [row[0] for sql in (after, before) for row in execute(sql, (start,))]
        return resolve_prefix(prefix, near, what="game in quarantine")

    def remove(self, identities: Iterable[str]) -> int:
        """Take entries out for good, all of them or none; return how many were here."""
        with readable(self._path), transaction(self._connection):
            return sum(
                self._connection.execute(
                    "DELETE FROM quarantine WHERE id = ?", (identity,)
                ).rowcount
                for identity in identities
            )

    def reword(self, identity: str, reason: str, ply: int | None, detail: str) -> None:
        """Give an entry the complaint that the gate makes now."""
        sql = "UPDATE quarantine SET reason = ?, ply = ?, detail = ? WHERE id = ?"
        with readable(self._path), transaction(self._connection):
            self._connection.execute(sql, (reason, ply, detail, identity))

    def newest(self, limit: int) -> Iterator[tuple[Entry, bytes]]:
        """Yield the newest entries with their bytes as they are stored."""
        sql = (
            f"SELECT {_COLUMNS}, record FROM quarantine"  # noqa: S608 - names of this file
            " ORDER BY at DESC, id LIMIT ?"
        )
        with readable(self._path):
            for row in self._connection.execute(sql, (limit,)):
                yield _entry(row), row[-1]


def _entry(row: tuple[Any, ...]) -> Entry:
    identity, reason, ply, detail, source, at, size = row[:7]
    return Entry(
        id=identity,
        reason=reason,
        ply=ply,
        detail=detail,
        source=source,
        at=at,
        size_bytes=size,
    )
