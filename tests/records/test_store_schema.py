"""The tables of the store: exactly those of the document, older ones brought up to date."""

import json
import re
import sqlite3

import pytest

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.records import GameStore, to_bytes
from ringrift.records.columns import derived
from ringrift.records.schema import MIGRATIONS, VERSION
from ringrift.records.verify import verified_play

from .conftest import make_analysis, make_game
from .tables import change, counts_agree, rows

GAMES = [make_game(seed=seed, limit=20) for seed in range(6)]

# selfplay.md 6, and beside it what a sequence number, a resumed run and an input need.
TABLES = {
    "games": """id TEXT, play_hash TEXT, gate_version INT, config TEXT, board TEXT, players INT,
        rules_hash TEXT, spec_hash TEXT, seed INT, plies INT, winner INT, end TEXT, reason TEXT,
        ranks TEXT, final_hash TEXT, purpose TEXT, run TEXT, host TEXT, agents TEXT, played_at REAL,
        ingested_at REAL, status TEXT, split TEXT, shard TEXT, record BLOB,
        seq INTEGER, index INT""",
    "game_agents": "game TEXT, seat INT, agent TEXT, model TEXT, spec TEXT",
    "analyses": """id TEXT, game TEXT, agent TEXT, sims INT, plies INT, coverage REAL, made_at REAL,
        record BLOB""",
    "quarantine": """id TEXT, reason TEXT, ply INT, detail TEXT, source TEXT, at REAL,
        record BLOB""",
    "shards": "sha256 TEXT, path TEXT, games INT, bytes INT, origin TEXT, ingested_at REAL",
    "meta": "key TEXT, value TEXT",
    "progress": "input TEXT, source TEXT, items INT, done INT, at REAL",
    "plans": "hash TEXT, config TEXT, purpose TEXT, made_at REAL, plan TEXT",
    "game_counts": "config TEXT, purpose TEXT, status TEXT, split TEXT, games INT",
    "inputs": """path TEXT, request TEXT, offset INT, second INT, items INT, digest TEXT, size INT,
        mtime_ns INT, at REAL""",
}
INDICES = {
    "config, status, split, ingested_at",
    "play_hash",
    "run",
    "model",
    "config, status",
    "purpose",
    "reason",
    "ingested_at",
    "gate_version",
    "game, sims, made_at",
    "config, purpose",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "games.db"


@pytest.fixture
def store(path):
    with GameStore.open(path, writer=True) as store:
        yield store


def test_tables_are_those_of_the_document_and_strict(path, store):
    found = {
        name: strict
        for schema, name, kind, _, _, strict in rows(path, "PRAGMA table_list")
        if schema == "main" and kind == "table" and not name.startswith("sqlite_")
    }
    assert found == dict.fromkeys(TABLES, 1)
    for name, text in TABLES.items():
        columns = {f"{row[1]} {row[2]}" for row in rows(path, f"PRAGMA table_info({name})")}
        assert columns == set(re.split(r",\s+", text)), name
    keys = {
        name: [row[1] for row in rows(path, f"PRAGMA table_info({name})") if row[5]]
        for name in TABLES
    }
    assert keys["game_agents"] == ["game", "seat"]
    assert keys["analyses"] == keys["quarantine"] == ["id"]
    assert (keys["shards"], keys["meta"]) == (["sha256"], ["key"])


def test_indices_are_those_of_the_document_and_those_of_pages(path, store):
    created = rows(path, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    columns = {
        ", ".join(row[2] for row in rows(path, f"PRAGMA index_info({name})")) for (name,) in created
    }
    assert columns == INDICES


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO shards VALUES ('a', 'b', 'many', 1, 'c', 1.0)",
        "INSERT INTO meta VALUES ('a', NULL)",
        "UPDATE games SET status = 'pending' WHERE seq = 1",
        "UPDATE games SET split = 'other' WHERE seq = 1",
        "INSERT INTO progress VALUES ('a', 'b', 1, 2, 1.0)",
        "DELETE FROM games WHERE seq = 1",
    ],
)
def test_what_no_row_may_hold_is_refused(path, store, sql):
    store.ingest([(GAMES[0], make_analysis(GAMES[0]))])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    connection.close()


def test_of_a_stored_game_only_status_split_and_gate_version_change(path, store):
    store.ingest([(game, None) for game in GAMES])
    columns = [row[1] for row in rows(path, "PRAGMA table_info(games)")]
    free = {"status": "'quarantined'", "split": "'never'", "gate_version": "7"}
    for name in columns:
        value = free.get(name, f'"{name}"')  # not even by what it is
        sql = f'UPDATE games SET "{name}" = {value} WHERE seq = 2'
        if name in free:
            change(path, sql)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="only status, split and gate_version"):
                change(path, sql)
    assert counts_agree(path)
    assert store.count() == len(GAMES) - 1


def test_it_is_written_ahead_and_synchronously(path, store):
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


# --- kinds


def test_a_store_is_canonical_unless_it_was_made_for_self_play(tmp_path):
    with GameStore.open(tmp_path / "a.db", writer=True) as store:
        assert store.kind == "canonical"
    with GameStore.open(tmp_path / "b.db", writer=True, kind="selfplay") as store:
        assert store.kind == "selfplay"
    with GameStore.open(tmp_path / "b.db", writer=True) as store:  # as it was made
        assert store.kind == "selfplay"
    with pytest.raises(UsageError, match="canonical, selfplay"):
        GameStore.open(tmp_path / "c.db", writer=True, kind="other")
    assert not (tmp_path / "c.db").exists()
    change(tmp_path / "b.db", "UPDATE meta SET value = 'x' WHERE key = 'kind'")
    with GameStore.open(tmp_path / "b.db") as store, pytest.raises(DataError, match=r"meta\.kind"):
        _ = store.kind


# --- versions


def old_store(path, version):
    """A store as the program of that version made it, with games."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    for number, game in enumerate(GAMES):
        values = {
            **derived(game, verified_play(game)),
            "gate_version": 1,
            "ingested_at": 1.7e9 + number,
            "status": "quarantined" if number == 3 else "verified",
            "split": "never" if number == 4 else "train",
            "record": to_bytes(game),
        }
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO games ({names}) VALUES ({marks})", tuple(values.values()))
        connection.executemany(
            "INSERT INTO game_agents VALUES (?, ?, ?, ?, ?)",
            [(game.id, i, a.agent_hash, a.model_id, a.spec) for i, a in enumerate(game.agents, 1)],
        )
    connection.commit()
    connection.close()


def schema_of(path):
    return sorted(rows(path, "SELECT type, name, sql FROM sqlite_schema"))


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_store_of_every_earlier_version_is_brought_up_to_date(path, tmp_path, version):
    old_store(path, version)
    before = rows(path, "SELECT * FROM games ORDER BY seq")
    with pytest.raises(DataError, match=rf"version {version}; expected {VERSION}.*games verify"):
        GameStore.open(path)
    GameStore.update(path)
    with GameStore.open(path) as reader:
        assert reader.count() == reader.count("square8_2p", purpose="selfplay") == 5
        assert reader.counts() == {"square8_2p": 5}
        assert [game.id for _, game, _ in reader.records()] == [
            game.id for i, game in enumerate(GAMES) if i != 3
        ]
    assert counts_agree(path)
    assert rows(path, "SELECT * FROM games ORDER BY seq") == before
    with GameStore.open(path, writer=True) as store:
        assert store.kind == "canonical"
        assert store.ingest([(game, None) for game in GAMES]).added == 1  # the one withdrawn
    GameStore.open(tmp_path / "new.db", writer=True).close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")
    assert json.loads(json.dumps(rows(path, "PRAGMA user_version"))) == [[VERSION]]


def test_an_update_that_fails_leaves_the_old_version(path):
    old_store(path, 1)
    change(path, "CREATE TABLE progress (input TEXT)")  # in the way
    with pytest.raises(DataError, match="progress"):
        GameStore.open(path, writer=True)
    assert rows(path, "PRAGMA user_version") == [(1,)]
    change(path, "DROP TABLE progress")
    GameStore.open(path, writer=True).close()
    assert counts_agree(path)


def test_a_newer_store_is_refused(path):
    GameStore.open(path, writer=True).close()
    change(path, f"PRAGMA user_version = {VERSION + 1}")
    for writer in (False, True):
        with pytest.raises(RefusedError, match=f"version {VERSION + 1}"):
            GameStore.open(path, writer=writer)
    GameStore.update(path)  # not newer than it
    assert rows(path, "PRAGMA user_version") == [(VERSION + 1,)]


def test_damaged_shares_are_named(path):
    GameStore.open(path, writer=True).close()
    change(path, "UPDATE meta SET value = 'ten' WHERE key = 'val_percent'")
    with GameStore.open(path, writer=True) as store, pytest.raises(DataError, match="ten"):
        store.ingest([(GAMES[0], None)])
