"""Find the game stores that a command means: files, folders, patterns (data.md, conventions)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from glob import glob, has_magic
from pathlib import Path

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import open_sqlite
from ringrift.records.schema import readable
from ringrift.records.sources import kind_of

STORE, REPLAY_DB, OTHER_DB = "store", "gamereplaydb", "database"
"""What a SQLite file can be: a game store, a GameReplayDB of the reference, or neither."""


def store_files(given: Sequence[Path], default: Path) -> list[Path]:
    """Return the stores of `--db`, each once in the order given; `default` without any.

    A folder means the stores in it by content, whatever else is there; so does a pattern. Raises
    `UsageError` for a name or pattern that is or holds none, `DataError` for a file that is no store.
    """
    if not given:
        if not default.is_file():
            raise UsageError(
                f"no game store {default}", where="--db", hint="--db FILE or --root DIR"
            )
        return [default]
    found: dict[Path, Path] = {}
    for path in given:
        for store in _meant(path):
            found.setdefault(store.resolve(), store)
    return list(found.values())


def _meant(path: Path) -> list[Path]:
    if path.is_dir():
        stores = stores_among(sorted(path.glob("*.db")))
    elif path.is_file():
        if (kind := database_kind(path)) != STORE:
            raise DataError(f"found a {kind}; expected a game store", where=str(path))
        return [path]
    elif has_magic(str(path)):
        matches = sorted(glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute ones
        stores = stores_among(Path(match) for match in matches)
    else:
        raise UsageError(f"no game store {path}", where="--db", hint="an existing file")
    if not stores:
        raise UsageError(f"no game store in {path}", where="--db", hint="a file, folder or pattern")
    return stores


def stores_among(paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that are game stores."""
    return [path for path in paths if path.is_file() and database_kind(path) == STORE]


def database_kind(path: Path) -> str:
    """Return `store`, `gamereplaydb` or `database` for a SQLite file, else its `kind_of`.

    Raises `DataError` for a file that cannot be read.
    """
    kind = kind_of(path)
    if kind != "store":
        return kind
    with readable(path), closing(open_sqlite(path, readonly=True)) as connection:
        tables = tables_of(connection)
    if "game_moves" in tables:
        return REPLAY_DB
    return STORE if {"games", "quarantine", "meta"} <= tables else OTHER_DB


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables of a database."""
    sql = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    return {row[0] for row in connection.execute(sql)}
