"""Which stores `--db` means, by content."""

import sqlite3
from contextlib import closing

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.data.stores import database_kind, store_files
from ringrift.records import GameStore


@pytest.fixture
def folder(tmp_path):
    for name in ("a.db", "b.db", "sub/c.db"):
        GameStore.open(tmp_path / name, writer=True).close()
    for name, table in (("other.db", "t"), ("replays.db", "game_moves")):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute(f"CREATE TABLE {table} (x)")
    (tmp_path / "text.db").write_text("{}\n")
    return tmp_path


def test_files_folders_and_patterns(folder, tmp_path):
    a, b, c = folder / "a.db", folder / "b.db", folder / "sub" / "c.db"
    default = tmp_path / "games.db"
    assert store_files([folder], default) == [a, b]
    assert store_files([c, folder / "*.db", a], default) == [c, a, b]
    assert store_files([folder / "sub"], default) == [c]
    assert store_files([], a) == [a]
    (folder / "link.db").symlink_to(a)
    assert store_files([a, folder / "link.db"], default) == [a]


def test_what_is_none_is_named(folder, tmp_path):
    with pytest.raises(UsageError, match=r"no game store .*games\.db"):
        store_files([], tmp_path / "games.db")
    with pytest.raises(UsageError, match=r"nope\.db"):
        store_files([folder / "nope.db"], folder / "a.db")
    with pytest.raises(UsageError, match=r"\*\.sqlite"):
        store_files([folder / "*.sqlite"], folder / "a.db")
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match="empty"):
        store_files([folder / "empty"], folder / "a.db")
    for name, kind in (
        ("other.db", "database"),
        ("replays.db", "gamereplaydb"),
        ("text.db", "json"),
    ):
        with pytest.raises(DataError, match=kind):
            store_files([folder / name], folder / "a.db")


def test_kinds(folder):
    kinds = {path.name: database_kind(path) for path in folder.glob("*.db")}
    assert kinds == {
        "a.db": "store",
        "b.db": "store",
        "other.db": "database",
        "replays.db": "gamereplaydb",
        "text.db": "jsonl",
    }
