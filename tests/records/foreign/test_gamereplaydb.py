"""Replay databases of other programs: schema versions, states, locks, what does not agree."""

import importlib.util
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.core.errors import BusyError, DataError, RefusedError
from ringrift.records.foreign import open_replay_db

_place = Path(__file__).with_name("databases.py")
_module = importlib.util.spec_from_file_location("foreign_databases", _place)
databases = importlib.util.module_from_spec(_module)
_module.loader.exec_module(databases)


@pytest.fixture
def make(tmp_path):
    def make(record, version, **options):
        path = tmp_path / f"schema{version}.db"
        databases.Fixture(path, version).add(record, **{"game_id": "g1", **options})
        return path

    return make


def change(path, sql, *values):
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("version", [1, 4, 7, 18])
@pytest.mark.parametrize(("first_number", "bottom_first"), [(0, False), (1, True)])
def test_each_schema_reads(game, make, read, version, first_number, bottom_first):
    record = game(seed=1)
    path = make(record, version, first_number=first_number, bottom_first=bottom_first)
    (found,), report = read(path)
    assert report.rejected == 0
    assert found.record.moves == record.moves
    assert found.record.result == record.result
    assert found.record.seed == 7
    assert found.record.agents[0].spec == "foreign:type=ai,ai=mcts,difficulty=5"
    if version == 18:
        assert report.ignored_columns == ["games.quality_score"]
        assert found.notes["policy_dropped"] == 1


@pytest.mark.parametrize("version", [0, 19])
def test_other_schemas_are_refused(game, make, version):
    path = make(game(seed=1), 7)
    change(path, "UPDATE schema_metadata SET value = ?", str(version))
    with pytest.raises(RefusedError, match=f"schema '{version}'"), open_replay_db(path):
        pass


@pytest.mark.parametrize(
    ("sql", "reason", "detail"),
    [
        ("UPDATE games SET winner = 3 - winner", "result", "winner"),
        ("UPDATE games SET termination_reason = 'lps_rounds'", "result", "lps_rounds"),
        ("UPDATE games SET termination_reason = 'magic'", "malformed", "magic"),
        ("UPDATE games SET termination_reason = 'timeout'", "result", "timeout"),
        ("UPDATE games SET game_status = 'abandoned'", "error_status", "abandoned"),
        ("UPDATE games SET game_status = 'active', termination_reason = NULL", "incomplete", ""),
        ("UPDATE games SET board_type = 'octagon'", "unknown_board", "octagon"),
        ("UPDATE games SET num_players = 5", "bad_players", "5"),
        ("UPDATE games SET total_moves = 3", "truncated", "3"),
        ("DELETE FROM game_moves WHERE move_number = 11", "truncated", ""),
        ("DELETE FROM game_moves", "zero_moves", ""),
        ("UPDATE game_players SET final_rings_in_hand = 18", "result", "18"),
        ("UPDATE game_state_snapshots SET state_hash = '0123456789abcdef'", "hash", "0123"),
        ("UPDATE game_state_snapshots SET compressed = 1, state_json = x'00'", "truncated", "gzip"),
        ("UPDATE game_initial_state SET initial_state_json = '[1'", "malformed", ""),
    ],
)
def test_what_does_not_agree_rejects_the_game(game, make, read, sql, reason, detail):
    path = make(game(seed=1), 4)
    change(path, sql)
    found, report = read(path)
    assert not found
    assert report.reasons == {reason: 1}, report.examples
    (example,) = report.examples
    assert detail in example["detail"]
    assert (example["game"], example["row"]) == ("g1", 1)


def initial(path, edit):
    connection = sqlite3.connect(path)
    (text,) = connection.execute("SELECT initial_state_json FROM game_initial_state").fetchone()
    fields = json.loads(text)
    edit(fields)
    connection.close()
    change(path, "UPDATE game_initial_state SET initial_state_json = ?", json.dumps(fields))


@pytest.mark.parametrize("size", [25, 13])
def test_both_ways_to_give_a_size_are_known(game, make, read, size):
    path = make(game("hexagonal", 2, seed=1, limit=30), 1, termination_reason="max_moves")
    initial(path, lambda fields: fields["board"].update(size=size))
    found, report = read(path)
    assert len(found) == 1, report.examples


@pytest.mark.parametrize("size", [21, 11])
def test_the_old_hexagonal_board_is_refused_by_name(game, make, read, size):
    path = make(game("hexagonal", 2, seed=1, limit=30), 1, termination_reason="max_moves")
    initial(path, lambda fields: fields["board"].update(size=size))
    _, report = read(path)
    assert report.reasons == {"spec": 1}
    assert "radius 12" in report.examples[0]["detail"]


def test_other_ring_counts_are_refused_unless_they_are_stated(game, make, read):
    path = make(game(seed=1, rings_per_player=10), 1)
    (found,), _ = read(path)
    assert found.record.spec.rings_per_player == 10
    initial(path, lambda fields: fields["rulesOptions"].pop("ringsPerPlayer"))
    _, report = read(path)
    assert report.reasons == {"spec": 1}
    assert "18 rings" in report.examples[0]["detail"]


def test_a_database_that_is_open_is_refused(game, make):
    path = make(game(seed=1), 7)
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('UPDATE games SET winner = 0');"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(BusyError, match="open"), open_replay_db(path):
            pass
        holder.stdin.close()
    with open_replay_db(path) as database:
        assert database.version == 7


def test_reading_leaves_the_file_alone(game, make, read):
    path = make(game(seed=1), 7)
    before = path.read_bytes(), sorted(path.parent.iterdir())
    read(path)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before


def test_other_databases_are_errors(tmp_path, read):
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE things (name)")
    with pytest.raises(DataError, match="table games is missing"):
        read(path)
    path.write_bytes(b"SQLite format 3\0" + b"rubbish" * 500)
    with pytest.raises(DataError, match="damaged"):
        read(path)
