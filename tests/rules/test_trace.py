"""RINGRIFT_TRACE_DEBUG: one line per applied move, from a position and from a replay."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
from ringrift.records.replayer import Replayer
from ringrift.rules import Position
from ringrift.rules.spec import BoardSpec

position = Position.start("square8")
moves = []
for _ in range(6):
    moves.append(int(position.legal_packed()[0]))
    position.play(moves[-1])
Replayer(BoardSpec.create("square8", 2), None, moves).finish()
print(f"{position.hash64:016x}")
"""


def run(tmp_path, value):
    (tmp_path / ".ringrift-root").touch()
    environment = {**os.environ, "RINGRIFT_ROOT": str(tmp_path), "RINGRIFT_TRACE_DEBUG": value}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )


def test_each_applied_move_leaves_its_phases_counts_and_hashes(tmp_path):
    done = run(tmp_path, "yes")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "logs").glob("rules-trace-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["ply"] for row in rows] == [0, 1, 2, 3, 4, 5] * 2
    played, replayed = rows[:6], rows[6:]
    assert played == replayed
    assert played[0]["phase"] == "ring_placement"
    assert all(row["legal"] > 0 for row in rows)
    assert [row["hash_after"] for row in played[:-1]] == [row["hash"] for row in played[1:]]
    assert played[-1]["hash_after"] == done.stdout.strip()


@pytest.mark.parametrize(("value", "code"), [("0", 0), ("perhaps", 1)])
def test_off_writes_nothing_and_another_word_is_refused(tmp_path, value, code):
    done = run(tmp_path, value)
    assert done.returncode == code, done.stderr
    assert not (tmp_path / "logs").exists()
    assert (code == 0) == ("RINGRIFT_TRACE_DEBUG" not in done.stderr)
