"""A tournament that is killed with -9 at ten instants comes to the table of one that is not."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unhurried import UNHURRIED

GAMES = 20
SIX = [
    "random",
    "heuristic",
    "heuristic:mode=light",
    "alphabeta:depth=2",
    "alphabeta:depth=3",
    "alphabeta:depth=4",
]
LINE = [
    *(str(Path(sys.executable).with_name("ringrift")), "--yes", "--json", "eval", "tournament"),
    *("--baselines-only", "--run", "--games", str(GAMES), "--no-wait", "-j", "2"),
]


def begin(root):
    environment = {
        **os.environ,
        "RINGRIFT_ROOT": str(root),
        "RINGRIFT_EVALUATION__BASELINE_MODELS": json.dumps(SIX),
        **UNHURRIED,
    }
    return subprocess.Popen(
        LINE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def stored(root):
    path = root / "data" / "games" / "games.db"
    if not path.is_file():
        return set()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM games")}
    except sqlite3.OperationalError:  # the tables are being made
        return set()
    finally:
        connection.close()


def finished(root):
    out, _ = (process := begin(root)).communicate(timeout=900)
    assert process.returncode == 0
    return json.loads(out)["configurations"][0]["tournament"]


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_killed_at_ten_instants_the_table_is_the_same(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for root in (whole, killed):
        root.mkdir()
    expected = finished(whole)
    assert expected["complete"]
    assert expected["games"] == 15 * GAMES
    for number in range(10):
        process = begin(killed)
        before, deadline_s = len(stored(killed)), time.monotonic() + 300
        while len(stored(killed)) < before + 2 + number:
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert len(stored(killed)) < 15 * GAMES
    assert finished(killed) == expected
    assert stored(killed) == stored(whole)
    reports = [next(Path(root, "data", "tournaments").glob("*.json")) for root in (whole, killed)]
    assert reports[0].read_bytes() == reports[1].read_bytes()
