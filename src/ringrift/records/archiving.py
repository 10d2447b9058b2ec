"""Put a game store aside: renamed beside itself, with the time in its name, nothing deleted."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from ringrift.core.errors import BusyError, DataError
from ringrift.core.files import lock, open_sqlite, sync_folder
from ringrift.records.store import lock_path

PATIENCE_MS = 1000


def archive_store(path: Path) -> Path | None:
    """Rename a store to `NAME-<UTC time>.db` beside it; None where there is none.

    Its write-ahead log is written back first. Raises `BusyError` while somebody writes or reads it.
    """
    if not path.exists():
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
    with lock(lock_path(path), what="game store"):
        if aside.exists():
            raise DataError("a store is there already", where=str(aside), hint="a second later")
        with closing(open_sqlite(path)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
            try:
                connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                raise BusyError(f"the store is in use: {error}", where=str(path)) from None
        path.rename(aside)
        sync_folder(path.parent)
    return aside
