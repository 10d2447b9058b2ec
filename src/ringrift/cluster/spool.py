"""What a node has finished and nobody has confirmed to hold: one SQLite file (`cluster.md` 7).

A batch goes in before it is published and out when enough collectors say that they have committed
its place in the stream. A hub with new storage knows no places: its incarnation differs, and what
is here is published again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ringrift.core.errors import BusyError, DataError
from ringrift.core.files import open_sqlite, transaction

VERSION = 1

_TABLES = (
    """
    CREATE TABLE batches (
        sha256 TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        body BLOB NOT NULL,
        bytes INT NOT NULL,
        seq INT,
        incarnation INT,
        made_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX batches_seq ON batches (incarnation, seq)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch: the hash of its body, where it is published, and its bytes."""

    sha256: str
    subject: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """How much waits, and for how long."""

    count: int
    bytes: int
    oldest_s: float | None


class Spool:
    """Keeps batches until they are confirmed; may be used from several threads.

    `most_bytes` is `cluster.spool_max_gb`.
    """

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.most_bytes = most_bytes
        self._guard = threading.Lock()
        self._connection = open_sqlite(path)
        self._prepare()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._connection.close()

    def add(self, subject: str, body: bytes) -> str:
        """Keep a batch and return the hash of its body; one that is here changes nothing.

        Raises `BusyError` where the spool is full: nothing is dropped, production waits.
        """
        found = hashlib.sha256(body).hexdigest()
        with self._guard, transaction(self._connection):
            used = self._connection.execute(
                "SELECT coalesce(sum(bytes), 0) FROM batches"
            ).fetchone()[0]
            if used + len(body) > self.most_bytes:
                raise BusyError(
                    f"the spool holds {used:,} bytes of {self.most_bytes:,}",
                    where=str(self.path),
                    hint="a hub that can be reached, or cluster.spool_max_gb",
                )
            self._connection.execute(
                "INSERT OR IGNORE INTO batches VALUES (?, ?, ?, ?, NULL, NULL, ?)",
                (found, subject, body, len(body), time.time()),
            )
        return found

    def unsent(self, incarnation: int, *, most: int = 200) -> list[Batch]:
        """Return batches that this hub has not taken, oldest first."""
        sql = (
            "SELECT sha256, subject, body FROM batches WHERE seq IS NULL OR incarnation != ?"
            " ORDER BY made_at LIMIT ?"
        )
        with self._guard:
            rows = self._connection.execute(sql, (incarnation, most)).fetchall()
        return [Batch(sha256=row[0], subject=row[1], body=row[2]) for row in rows]

    def sent(self, taken: Sequence[tuple[str, int]], *, incarnation: int) -> None:
        """Note the place in the stream of batches that the hub took."""
        rows = [(seq, incarnation, sha256) for sha256, seq in taken]
        with self._guard, transaction(self._connection):
            self._connection.executemany(
                "UPDATE batches SET seq = ?, incarnation = ? WHERE sha256 = ?", rows
            )

    def confirmed(self, seq: int, *, incarnation: int) -> int:
        """Forget the batches up to a place that collectors have committed; return how many."""
        with self._guard, transaction(self._connection):
            done = self._connection.execute(
                "DELETE FROM batches WHERE incarnation = ? AND seq <= ?", (incarnation, seq)
            )
            return done.rowcount

    def state(self) -> SpoolState:
        """Return how much waits."""
        with self._guard:
            return _state(self._connection)

    def _prepare(self) -> None:
        try:
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == VERSION:
                return
            if version > VERSION:
                raise DataError(f"a spool of version {version}", where=str(self.path))
            with transaction(self._connection):
                for statement in _TABLES:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            raise DataError(f"no spool: {error}", where=str(self.path)) from error


def spool_counts(path: Path) -> SpoolState | None:
    """Return how much waits in a spool that another process holds, None without one."""
    if not path.exists():
        return None
    with closing(open_sqlite(path, readonly=True)) as connection:
        return _state(connection)


def _state(connection: sqlite3.Connection) -> SpoolState:
    sql = "SELECT count(*), coalesce(sum(bytes), 0), min(made_at) FROM batches"
    count, size, oldest = connection.execute(sql).fetchone()
    return SpoolState(
        count=count, bytes=size, oldest_s=None if oldest is None else time.time() - oldest
    )
