"""Tables of the game store, its views, and the steps from older versions (selfplay.md 6)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift.core.errors import BusyError, DataError, RefusedError
from ringrift.core.files import transaction

HOLDOUT_PERCENT = 10
VAL_PERCENT = 10
"""Shares of the play that a new store keeps out of training; a store remembers its own."""

_TABLES = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT
    """,
    """
    CREATE TABLE games (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        play_hash TEXT NOT NULL,
        gate_version INT NOT NULL,
        config TEXT NOT NULL,
        board TEXT NOT NULL,
        players INT NOT NULL,
        rules_hash TEXT NOT NULL,
        spec_hash TEXT NOT NULL,
        seed INT NOT NULL,
        plies INT NOT NULL,
        winner INT NOT NULL,
        "end" TEXT NOT NULL,
        reason TEXT NOT NULL,
        ranks TEXT NOT NULL,
        final_hash TEXT NOT NULL,
        purpose TEXT NOT NULL,
        run TEXT,
        "index" INT,
        host TEXT,
        agents TEXT NOT NULL,
        played_at REAL,
        ingested_at REAL NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('verified', 'quarantined')),
        split TEXT NOT NULL CHECK (split IN ('train', 'val', 'holdout', 'never')),
        shard TEXT,
        record BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX games_config ON games (config, status, split, ingested_at)",
    "CREATE INDEX games_play ON games (play_hash)",
    "CREATE INDEX games_run ON games (run)",
    """
    CREATE TABLE game_agents (
        game TEXT NOT NULL REFERENCES games (id),
        seat INT NOT NULL,
        agent TEXT NOT NULL,
        model TEXT,
        spec TEXT NOT NULL,
        PRIMARY KEY (game, seat)
    ) STRICT
    """,
    "CREATE INDEX game_agents_model ON game_agents (model)",
    """
    CREATE TABLE analyses (
        id TEXT PRIMARY KEY,
        game TEXT NOT NULL REFERENCES games (id),
        agent TEXT NOT NULL,
        sims INT NOT NULL,
        plies INT NOT NULL,
        coverage REAL NOT NULL,
        made_at REAL NOT NULL,
        record BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX analyses_game ON analyses (game, sims, made_at)",
    """
    CREATE TABLE quarantine (
        id TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        ply INT,
        detail TEXT NOT NULL,
        source TEXT NOT NULL,
        at REAL NOT NULL,
        record BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE shards (
        sha256 TEXT PRIMARY KEY,
        path TEXT NOT NULL,
        games INT NOT NULL,
        bytes INT NOT NULL,
        origin TEXT,
        ingested_at REAL NOT NULL
    ) STRICT
    """,
    f"INSERT INTO meta VALUES ('holdout_percent', '{HOLDOUT_PERCENT}'), ('val_percent', '{VAL_PERCENT}')",  # noqa: S608 - constants of this file
)


def _view(name: str, split: str) -> str:
    """Of several games with the same play only the smallest id counts (data.md 1)."""
    return f"""
    CREATE VIEW {name} AS SELECT * FROM games
    WHERE status = 'verified' AND split = '{split}' AND NOT EXISTS (
        SELECT 1 FROM games AS other
        WHERE other.play_hash = games.play_hash AND other.id < games.id
            AND other.status = 'verified' AND other.split = '{split}'
    )
    """  # noqa: S608 - names of this file


VIEWS = {"train": "trainable", "val": "validation", "holdout": "holdout"}
"""The view that reads each split."""
SPLITS = (*VIEWS, "never")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_TABLES, *(_view(name, split) for split, name in VIEWS.items())),
)
"""Statements from version i to i + 1; an empty file has version 0."""

VERSION = len(MIGRATIONS)


def prepare(connection: sqlite3.Connection, path: Path, *, writer: bool) -> None:
    """Bring the tables to this version; refuse what is newer, or no store at all."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise RefusedError(
            f"store of version {version}; this program knows up to {VERSION}",
            where=str(path),
            hint="a newer ringrift",
        )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if version == 0 and tables:
        raise DataError("a SQLite database, but no game store", where=str(path))
    if version == VERSION:
        return
    if not writer:
        raise DataError(
            f"store of version {version}; expected {VERSION}",
            where=str(path),
            hint="a command that writes it, which brings it up to date",
        )
    with transaction(connection):
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, naming the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "full" in str(error):
            raise BusyError(
                f"the game store cannot be written now: {error}", where=str(path)
            ) from error
        raise DataError(f"the game store cannot be used: {error}", where=str(path)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # damaged names do not decode
        raise DataError(f"the game store is damaged: {error}", where=str(path)) from error
