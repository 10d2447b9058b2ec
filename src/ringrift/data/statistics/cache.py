"""Summaries of games seen before, by game id, for every store of a data root (data.md 10).

The file can be deleted at any time: what is missing is computed again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import zstandard

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.core.files import open_sqlite, transaction
from ringrift.core.log import get_logger
from ringrift.data.statistics.layout import ROW, SUMMARY_VERSION
from ringrift.data.statistics.summary import Summary
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash

log = get_logger(__name__)

FILE_NAME = "game_summaries.db"
_LEVEL = 1
_ASKED = 500
_MOST_BYTES = 1 << 20

_TABLE = """
    CREATE TABLE IF NOT EXISTS summaries (
        id BLOB NOT NULL PRIMARY KEY,
        summary BLOB NOT NULL
    ) STRICT, WITHOUT ROWID
"""
_META = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"
_MEANING = f"{SUMMARY_VERSION} {ROW.itemsize} {RULES_VERSION} {layout_hash}"


class SummaryCache:
    """Keeps summaries in a file; without a path it keeps nothing. A context manager."""

    def __init__(self, path: Path | None) -> None:
        self._connection = None if path is None else _open(path)
        self._pack = zstandard.ZstdCompressor(level=_LEVEL).compress
        self._unpack = zstandard.ZstdDecompressor().decompress

    def __enter__(self) -> SummaryCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def get(self, ids: Sequence[str]) -> dict[str, Summary]:
        """Return the summaries that are known of these games."""
        found: dict[str, Summary] = {}
        if self._connection is None:
            return found
        for first in range(0, len(ids), _ASKED):
            some = [bytes.fromhex(identity) for identity in ids[first : first + _ASKED]]
            marks = ", ".join("?" * len(some))
            sql = f"SELECT id, summary FROM summaries WHERE id IN ({marks})"  # noqa: S608 - only marks
            for identity, packed in self._connection.execute(sql, some):
                summary = self._opened(packed)
                if summary is not None:
                    found[identity.hex()] = summary
        return found

    def put(self, summaries: Mapping[str, Summary]) -> None:
        """Keep summaries; those that are there stay. A busy file keeps nothing."""
        if self._connection is None or not summaries:
            return
        rows = [
            (bytes.fromhex(identity), self._pack(summary.row + summary.words))
            for identity, summary in summaries.items()
        ]
        try:
            with transaction(self._connection):
                sql = "INSERT OR REPLACE INTO summaries (id, summary) VALUES (?, ?)"
                self._connection.executemany(sql, rows)
        except (BusyError, sqlite3.OperationalError) as error:
            log.warning("summaries were not kept", reason=str(error))

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return the games of which nothing is known."""
        if self._connection is None:
            return list(ids)
        sql = "SELECT 1 FROM summaries WHERE id = ?"
        execute = self._connection.execute
        return [i for i in ids if execute(sql, (bytes.fromhex(i),)).fetchone() is None]

    def _opened(self, packed: bytes) -> Summary | None:
        try:
            data = self._unpack(packed, max_output_size=_MOST_BYTES)
        except zstandard.ZstdError:
            return None  # damaged: computed again
        if len(data) < ROW.itemsize:
            return None
        return Summary(data[: ROW.itemsize], data[ROW.itemsize :])


def _open(path: Path) -> sqlite3.Connection | None:
    """Open the file, a damaged one anew; `None` where none can be written: nothing is kept then."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _prepared(path)
        except (DataError, sqlite3.DatabaseError) as error:
            log.warning("the cache of summaries is begun anew", path=str(path), reason=str(error))
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _prepared(path)
    except (OSError, BusyError, DataError, UsageError, sqlite3.DatabaseError) as error:
        log.warning("summaries are not kept", path=str(path), reason=str(error))
        return None


def _prepared(path: Path) -> sqlite3.Connection:
    connection = open_sqlite(path)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")  # losing the last seconds costs seconds
        with transaction(connection):
            connection.execute(_META)
            connection.execute(_TABLE)
            sql = "SELECT value FROM meta WHERE key = 'meaning'"
            known = connection.execute(sql).fetchone()
            if known is not None and known[0] != _MEANING:
                connection.execute("DELETE FROM summaries")
            sql = "INSERT OR REPLACE INTO meta VALUES ('meaning', ?)"
            connection.execute(sql, (_MEANING,))
    except BaseException:
        connection.close()
        raise
    return connection
