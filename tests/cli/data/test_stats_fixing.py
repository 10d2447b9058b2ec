"""`data stats` corrects and cleans JSON lines on request."""

import json
import os
import random
import sys
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.records import AgentRef, build_record
from ringrift.records.foreign.line_writers import selfplay_line
from ringrift.rules import BoardSpec, Position

sys.path.insert(0, str(Path(__file__).parents[1]))
from json_schema import problems

sys.path.pop(0)

LONG_AGO_S = 1_600_000_000


def line(seed, **changes):
    spec = BoardSpec.create("square8", 2)
    rng, position, moves = random.Random(seed), Position.of(spec), []
    while not position.is_over:
        moves.append(int(rng.choice(position.legal_packed().tolist())))
        position.play(moves[-1])
    agents = [AgentRef(spec="random", agent_hash="0" * 64)] * 2
    fields = json.loads(selfplay_line(build_record(spec, seed, agents, moves), None))
    return {**fields, **changes}


@pytest.fixture
def file(tmp_path):
    """A sound line, one with a wrong winner, one that its writer gave up."""
    path = tmp_path / "games.jsonl"
    lines = [line(1), line(2, winner=7), line(3, status="error")]
    path.write_text("".join(json.dumps(fields) + "\n" for fields in lines))
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path


@pytest.fixture
def stats(ringrift, tmp_path, file):
    def call(*options):
        root = tmp_path / "root"
        return ringrift("--root", root, "--yes", "data", "stats", "--jsonl", file, *options)

    return call


def test_clean_corrects_takes_out_and_keeps_a_backup(stats, file, tmp_path):
    old = file.read_bytes()
    code, out, err = stats("--clean", "--quarantine-dir", tmp_path / "out", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert problems(schema_of("data stats"), found) == []
    (told,) = found["fixing"]["files"]
    assert told["corrected"] == {"winner": 1}
    assert told["quarantinable"] == {"error_status": 1}
    assert Path(told["backup"]).read_bytes() == old
    assert len(file.read_text().splitlines()) == 2
    assert len(list((tmp_path / "out" / "error_status").glob("*.jsonl"))) == 1
    again = json.loads(stats("--clean", "--quarantine-dir", tmp_path / "out", "--json")[1])
    assert (again["fixing"]["changed"], again["fixing"]["corrected"]) == (0, 0)


def test_a_dry_run_tells_the_changes(stats, file):
    old = file.read_bytes()
    code, out, _ = stats("--fix-in-place", "--dry-run", "--allow-empty")
    assert code == 0
    assert "winner 7 -> " in out
    assert "error_status: the game was not played out" in out
    assert "to be changed" in out
    assert file.read_bytes() == old


def test_a_file_in_use_is_named(stats, file):
    os.utime(file)
    code, out, _ = stats("--clean", "--allow-empty")
    assert code == 0
    assert f"{file}: skipped, written" in out


def test_without_json_lines_there_is_nothing_to_fix(ringrift, tmp_path):
    from ringrift.records import GameStore

    with GameStore.open(tmp_path / "games.db", writer=True):
        pass
    line = ("data", "stats", "--db", tmp_path / "games.db", "--clean")
    code, _, err = ringrift("--root", tmp_path / "root", "--yes", *line)
    assert code == 2
    assert "for JSON lines; none is given" in err
