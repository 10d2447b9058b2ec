"""How far a store has read the files that its games come from (data.md 2).

A mark is written with the games it speaks of, in one transaction: an ingest that was killed goes on
where it was, and a file that has not changed since it was read to its end is not read again.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

_COLUMNS = ("offset", "second", "items", "digest", "size", "mtime_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in a file: what `offset` and `second` count depends on the kind of the file.

    `items` are the games before it, `digest` tells whether what is before it is still the same.
    `size` in bytes and `mtime_ns` are those of a file that was read to its end, else None.
    """

    offset: int = 0
    second: int = 0
    items: int = 0
    digest: str = ""
    size: int | None = None
    mtime_ns: int | None = None


START = Mark()


def read_mark(connection: sqlite3.Connection, path: str, request: str) -> Mark | None:
    """Return how far a file was read under these options, None if it never was."""
    sql = f"SELECT {', '.join(_COLUMNS)} FROM inputs WHERE path = ? AND request = ?"  # noqa: S608 - names of this file
    row = connection.execute(sql, (path, request)).fetchone()
    return None if row is None else Mark(**dict(zip(_COLUMNS, row, strict=True)))


def write_mark(connection: sqlite3.Connection, path: str, request: str, mark: Mark) -> None:
    """Note how far a file was read; within the caller's transaction."""
    names = ", ".join(("path", "request", *_COLUMNS, "at"))
    values = (path, request, *(getattr(mark, name) for name in _COLUMNS), time.time())
    marks = ", ".join("?" * len(values))
    sql = f"INSERT OR REPLACE INTO inputs ({names}) VALUES ({marks})"  # noqa: S608
    connection.execute(sql, values)
