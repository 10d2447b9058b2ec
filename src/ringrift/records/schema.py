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

_FIXED = (
    "seq, id, play_hash, config, board, players, rules_hash, spec_hash, seed, plies, winner,"
    ' "end", reason, ranks, final_hash, purpose, run, "index", host, agents, played_at,'
    " ingested_at, shard, record"
)


def _fixed(columns: str) -> str:
    """Keep columns of a stored game as they are."""
    return f"""
    CREATE TRIGGER games_fixed BEFORE UPDATE OF {columns} ON games BEGIN
        SELECT RAISE (ABORT, 'of a stored game only status, split and gate_version change');
    END
    """


def _counted(row: str, change: str) -> str:
    """Add one game to its count (`change` +) or take it away (-), within a trigger."""
    return f"""
        INSERT INTO game_counts VALUES
            ({row}.config, {row}.purpose, {row}.status, {row}.split, {change}1)
        ON CONFLICT DO UPDATE SET games = games {change} 1;
    """  # noqa: S608 - names of this file


_AT_SIZE = (
    # SQLite adds the row number to every index, so those of a key are in the order of `seq`.
    "CREATE INDEX games_page ON games (config, status)",
    "CREATE INDEX games_purpose ON games (purpose)",
    "CREATE INDEX games_reason ON games (reason)",
    "CREATE INDEX games_ingested ON games (ingested_at)",
    """
    CREATE TABLE progress (
        input TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        items INT NOT NULL,
        done INT NOT NULL CHECK (done IN (0, 1)),
        at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE game_counts (
        config TEXT NOT NULL,
        purpose TEXT NOT NULL,
        status TEXT NOT NULL,
        split TEXT NOT NULL,
        games INT NOT NULL,
        PRIMARY KEY (config, purpose, status, split)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO game_counts
    SELECT config, purpose, status, split, count(*) FROM games GROUP BY 1, 2, 3, 4
    """,
    f"CREATE TRIGGER games_added AFTER INSERT ON games BEGIN {_counted('new', '+')} END",
    f"CREATE TRIGGER games_removed AFTER DELETE ON games BEGIN {_counted('old', '-')} END",
    f"""
    CREATE TRIGGER games_moved AFTER UPDATE OF status, split ON games BEGIN
        {_counted("old", "-")} {_counted("new", "+")}
    END
    """,
    _fixed(f"gate_version, {_FIXED}"),
)

_DOOR = (
    # What a store is for: games to learn from, or the record of a self-play run (data.md 12).
    "INSERT INTO meta VALUES ('kind', 'canonical')",
    # A recheck by a newer gate writes its version beside the game.
    "DROP TRIGGER games_fixed",
    _fixed(_FIXED),
    # Whether an older gate let in any of them is asked before every training.
    # A whole index with the status first would be taken for the views, whose copies it cannot find.
    "CREATE INDEX games_gate ON games (gate_version) WHERE status = 'verified'",
    # How far each file was read, under the same options; size and time once it was read to its end.
    """
    CREATE TABLE inputs (
        path TEXT NOT NULL,
        request TEXT NOT NULL,
        offset INT NOT NULL,
        second INT NOT NULL,
        items INT NOT NULL,
        digest TEXT NOT NULL,
        size INT,
        mtime_ns INT,
        at REAL NOT NULL,
        PRIMARY KEY (path, request)
    ) STRICT, WITHOUT ROWID
    """,
)

_MATCHES = (
    # The plans of matches, named by their content; games refer to them by `run` (evaluation.md 1).
    """
    CREATE TABLE plans (
        hash TEXT PRIMARY KEY,
        config TEXT NOT NULL,
        purpose TEXT NOT NULL,
        made_at REAL NOT NULL,
        plan TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX plans_config ON plans (config, purpose)",
    """
    CREATE TRIGGER plans_fixed BEFORE UPDATE ON plans BEGIN
        SELECT RAISE (ABORT, 'a stored plan never changes');
    END
    """,
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (*_TABLES, *(_view(name, split) for split, name in VIEWS.items())),
    _AT_SIZE,
    _DOOR,
    _MATCHES,
)
"""Statements from version i to i + 1; an empty file has version 0."""

VERSION = len(MIGRATIONS)

CANONICAL, SELFPLAY = "canonical", "selfplay"
KINDS = (CANONICAL, SELFPLAY)
"""What a store is for: a source of training, or the record of self-play alone (data.md 12)."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 where there are none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def prepare(
    connection: sqlite3.Connection, path: Path, *, writer: bool, kind: str = CANONICAL
) -> None:
    """Bring the tables to this version; refuse what is newer, or no store at all.

    An empty file becomes a store of `kind`.
    """
    version = version_of(connection)
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
            hint="ringrift games verify, which brings it up to date",
        )
    with transaction(connection):
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version == 0:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'kind'", (kind,))
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
