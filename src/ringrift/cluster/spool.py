"""What a node has finished and nobody has confirmed to hold: one SQLite file (`cluster.md` 7).

Games go in, batch by batch, before they are published, and out when enough collectors say that they
have committed their place in the stream. A hub with new storage knows no places: its incarnation
differs, and what is here is published again. Results of jobs go in before they are published, and
out when the hub has taken them.

Several processes write the file: those that play, and the one that sends.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from ringrift.core.errors import BusyError, DataError
from ringrift.core.files import open_sqlite, transaction

VERSION = 1
MOST_FREE_PAGES = 16_384
"""A file with more free pages, 64 MiB, and little else gives its space back."""

Kind = Literal["game", "result"]

_TABLES = (
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256 TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('game', 'result')),
        subject TEXT NOT NULL,
        bytes INT NOT NULL,
        seq INT,
        incarnation INT,
        made_at REAL NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX batches_unsent ON batches (kind, number) WHERE seq IS NULL",
    "CREATE INDEX batches_sent ON batches (incarnation, seq) WHERE seq IS NOT NULL",
    "CREATE TABLE used (bytes INT NOT NULL, count INT NOT NULL) STRICT",
    "INSERT INTO used VALUES (0, 0)",
    """
    CREATE TRIGGER batches_in AFTER INSERT ON batches
    BEGIN UPDATE used SET bytes = bytes + new.bytes, count = count + 1; END
    """,
    """
    CREATE TRIGGER batches_out AFTER DELETE ON batches
    BEGIN UPDATE used SET bytes = bytes - old.bytes, count = count - 1; END
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One body: its hash, where it is published, its bytes, Unix seconds of its coming."""

    sha256: str
    subject: str
    body: bytes
    made_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """How much waits, and for how long."""

    count: int
    bytes: int
    oldest_s: float | None


class Spool:
    """Keeps bodies until they are confirmed; for several threads and processes.

    `most_bytes` is `cluster.spool_max_gb`.
    """

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.most_bytes = most_bytes
        self._guard = threading.Lock()
        self._connection = open_sqlite(path, one_thread=False)
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

    def add(self, subject: str, body: bytes, *, kind: Kind = "game") -> str:
        """Keep a body, safe from a power cut, and return its hash; one that is here changes nothing.

        Raises `BusyError` where the spool is full: nothing is dropped, production waits. Results are
        small and find room always.
        """
        found = hashlib.sha256(body).hexdigest()
        with self._guard, transaction(self._connection):
            used = self._connection.execute("SELECT bytes FROM used").fetchone()[0]
            if kind == "game" and used + len(body) > self.most_bytes:
                raise BusyError(
                    f"the spool holds {used:,} bytes of {self.most_bytes:,}",
                    where=str(self.path),
                    hint="a hub that can be reached, or cluster.spool_max_gb",
                )
            self._connection.execute(
                "INSERT OR IGNORE INTO batches (sha256, kind, subject, bytes, made_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (found, kind, subject, len(body), time.time(), body),
            )
        return found

    def unsent(
        self, *, kind: Kind = "game", most: int = 200, most_bytes: int = 16 << 20
    ) -> list[Batch]:
        """Return bodies that the hub has not taken, oldest first; at least one if there is any."""
        sql = (
            "SELECT sha256, subject, body, made_at FROM batches"
            " WHERE seq IS NULL AND kind = ? ORDER BY number LIMIT ?"
        )
        found: list[Batch] = []
        with self._guard:
            for sha256, subject, body, made_at in self._connection.execute(sql, (kind, most)):
                found.append(Batch(sha256=sha256, subject=subject, body=body, made_at=made_at))
                most_bytes -= len(body)
                if most_bytes <= 0:
                    break
        return found

    def sent(self, taken: Sequence[tuple[str, int]], *, incarnation: int) -> None:
        """Note the place in the stream of batches that the hub took."""
        rows = [(seq, incarnation, sha256) for sha256, seq in taken]
        with self._guard, transaction(self._connection):
            self._connection.executemany(
                "UPDATE batches SET seq = ?, incarnation = ? WHERE sha256 = ?", rows
            )

    def waiting(self) -> bool:
        """Tell whether anything was sent that is not confirmed."""
        return self._has("seq IS NOT NULL")

    def holds_games(self) -> bool:
        """Tell whether any games are here, sent or not."""
        return self._has("kind = 'game'")

    def _has(self, fits: str) -> bool:
        sql = f"SELECT 1 FROM batches WHERE {fits} LIMIT 1"  # noqa: S608 - words of this file
        with self._guard:
            return self._connection.execute(sql).fetchone() is not None

    def forget_places(self, incarnation: int) -> int:
        """Take what was sent to storage other than this for unsent; return how much that is."""
        fits = "seq IS NOT NULL AND incarnation != ?"
        with self._guard:
            some = f"SELECT 1 FROM batches WHERE {fits} LIMIT 1"  # noqa: S608 - the words above
            if self._connection.execute(some, (incarnation,)).fetchone() is None:
                return 0
            sql = f"UPDATE batches SET seq = NULL, incarnation = NULL WHERE {fits}"  # noqa: S608
            with transaction(self._connection):
                return self._connection.execute(sql, (incarnation,)).rowcount

    def confirmed(self, seq: int, *, incarnation: int) -> int:
        """Forget the batches up to a place that collectors have committed; return how many."""
        sql = "DELETE FROM batches WHERE incarnation = ? AND seq IS NOT NULL AND seq <= ?"
        with self._guard, transaction(self._connection):
            done = self._connection.execute(sql, (incarnation, seq)).rowcount
        if done:
            self._give_back()
        return done

    def remove(self, hashes: Iterable[str]) -> None:
        """Forget bodies that need no confirmation: results that the hub has taken."""
        with self._guard, transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM batches WHERE sha256 = ?", [(one,) for one in hashes]
            )

    def state(self) -> SpoolState:
        """Return how much waits."""
        with self._guard:
            return _state(self._connection)

    def _give_back(self) -> None:
        """Make a file short that was long and is nearly empty."""
        with self._guard, suppress(sqlite3.OperationalError):  # others write: the next time will do
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            if free > MOST_FREE_PAGES and free > 0.9 * pages:
                self._connection.execute("VACUUM")

    def _prepare(self) -> None:
        try:
            if self._version() == 0:
                with transaction(self._connection):
                    if self._version() == 0:  # nobody else has made them meanwhile
                        for statement in _TABLES:
                            self._connection.execute(statement)
                        self._connection.execute(f"PRAGMA user_version = {VERSION}")
            if self._version() != VERSION:
                raise DataError(
                    f"found a spool of version {self._version()}; expected {VERSION}",
                    where=str(self.path),
                )
        except sqlite3.DatabaseError as error:
            raise DataError(f"no spool: {error}", where=str(self.path)) from error

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


def spool_counts(path: Path) -> SpoolState | None:
    """Return how much waits in a spool that another process holds, None without one."""
    if not path.exists():
        return None
    with closing(open_sqlite(path, readonly=True)) as connection:
        return _state(connection)


def _state(connection: sqlite3.Connection) -> SpoolState:
    used, count = connection.execute("SELECT bytes, count FROM used").fetchone()
    first = "SELECT made_at FROM batches ORDER BY number LIMIT 1"
    oldest = connection.execute(first).fetchone()
    return SpoolState(
        count=count, bytes=used, oldest_s=None if oldest is None else time.time() - oldest[0]
    )
