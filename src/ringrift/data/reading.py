"""Read a game store by SQL: one snapshot, closed again, errors of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ringrift.core.files import open_sqlite
from ringrift.records.schema import prepare, readable


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store for queries that all see the same games; raises as `GameStore.open` does."""
    with readable(path), closing(open_sqlite(path, readonly=True)) as connection:
        prepare(connection, path, writer=False)
        connection.execute("BEGIN")
        yield connection
