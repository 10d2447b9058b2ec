"""`eval gate`: tables without games, refusals, and a gate of real games that a kill does not change."""

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

from ringrift.models.decisions import append, read_chain
from ringrift.nets.nnue.file import init_nnue
from ringrift.rules import BoardSpec

CONFIG = "square8_2p"


def make_root(folder, ringrift):
    """A root with a champion, two more models of its configuration, and one of hex8_2p."""
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    objects, spec = folder / "models" / "objects", BoardSpec.create("square8", 2)
    ids = [init_nnue(spec, folder=objects, seed=s, hidden=32, policy=True).stem for s in range(3)]
    other = BoardSpec.create("hex8", 2)
    ids.append(init_nnue(other, folder=objects, seed=5, hidden=32, policy=True).stem)
    chain = read_chain(folder / "models" / "decisions", CONFIG)
    append(folder / "models" / "decisions", chain, kind="promoted", candidate=ids[0], reason="test")
    return ids


@pytest.fixture
def root(tmp_path, monkeypatch, ringrift):
    folder = tmp_path / "root"
    ids = make_root(folder, ringrift)
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    return folder, ids


@pytest.fixture
def gate(ringrift):
    def run(*words):
        code, out, err = ringrift("eval", "gate", *words, "--json")
        return code, json.loads(out), err

    return run


def test_the_table_needs_no_root_and_no_candidate(gate):
    code, found, _ = gate(
        "--estimate-games", "--target-rate", "0.65", "--players", "3", "--board", "sq8"
    )
    assert code == 0
    assert found["z"] == 2.51
    assert found["look_games"][:2] == [30, 51]
    rates = [row["rate"] for row in found["estimates"]]
    assert rates == sorted({0.5, 0.55, 0.6, 0.65, 0.7, 0.75})
    for row in found["estimates"]:
        assert row["promote"] + row["reject"] + row["inconclusive"] == pytest.approx(1)
    code, found, _ = gate("--estimate-games", "--method", "sprt")
    assert (code, found["z"]) == (0, None)
    assert found["test"]["elo1"] == pytest.approx(34.86, abs=0.01)


def test_a_plan_names_both_sides_and_plays_nothing(gate, root):
    folder, ids = root
    code, found, _ = gate("--candidate", ids[1][:12], "--dry-run")
    assert code == 0
    assert (found["candidate"], found["baseline"]) == (ids[1], ids[0])
    assert found["max_games"] == 200
    assert all("sims=64" in spec for spec in found["specs"])
    assert not (folder / "data" / "games" / "games.db").exists()


def test_models_that_make_no_match_are_named(gate, root):
    _, ids = root
    cases = [
        (("--candidate", ids[1][:10] + "zz"), "no model"),
        (("--candidate", ids[3]), "hex8_2p"),
        (("--candidate", ids[1], "--baseline", ids[3]), "a model of hex8_2p; the match is one of"),
        (("--candidate", ids[0]), "same model"),
        ((), "no candidate"),
    ]
    for words, told in cases:
        code, found, _ = gate(*words, "--dry-run")
        assert code == 2
        assert told in found["error"]["message"], words
    _, found, _ = gate("--candidate", "champion2", "--dry-run")
    assert found["error"]["hint"]


def test_numbers_that_make_no_test_are_refused(gate):
    for words, told in [
        (("--threshold", "1.2"), "threshold"),
        (("--confidence", "0.2"), "confidence"),
        (("--min-games", "300"), "min_games"),
        (("--method", "sprt", "--threshold", "0.4"), "expected a rate between 0.5 and 1"),
    ]:
        code, found, _ = gate("--estimate-games", *words)
        assert code == 2
        assert told in found["error"]["message"]


def started(folder, ids, *words):
    program = Path(sys.executable).with_name("ringrift")
    line = [str(program), "--root", str(folder), "eval", "gate"]
    line += ["--candidate", ids[1], "--sims", "2", "--min-games", "16", "--max-games", "40"]
    return subprocess.Popen(
        [*line, "-j", "1", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **UNHURRIED},
        start_new_session=True,
    )


def stored(folder):
    store = folder / "data" / "games" / "games.db"
    if not store.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as games:
            return games.execute("SELECT COUNT(*) FROM games").fetchone()[0]
    except sqlite3.OperationalError:  # being made
        return 0


@pytest.mark.acceptance
def test_killed_and_repeated_it_decides_the_same(tmp_path, ringrift):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    ids = make_root(whole, ringrift)
    assert make_root(broken, ringrift) == ids
    out, err = started(whole, ids).communicate(timeout=280)
    wanted = json.loads(out)
    assert wanted["decision"] in ("promote", "reject", "inconclusive"), err
    kills = 0
    while stored(broken) < 12:
        process = started(broken, ids)
        before, deadline = stored(broken), time.monotonic() + 200
        while stored(broken) <= before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
            process.communicate()
        else:
            _, err = process.communicate()
            assert process.returncode in (0, 1), err
        assert kills < 20
    assert kills
    output = tmp_path / "result.json"
    process = started(broken, ids, "--output", str(output))
    out, err = process.communicate(timeout=280)
    found = json.loads(out)
    assert process.returncode == (0 if found["decision"] == "promote" else 1), err
    for name in ("decision", "games", "counts", "score", "looks", "z", "elo_diff", "plan"):
        assert found[name] == wanted[name], name
    assert json.loads(output.read_text())["decision"] == found["decision"]
    assert Path(broken / "runs" / "eval" / found["plan"][:12] / "result.json").is_file()
    again = started(broken, ids)
    out, _ = again.communicate(timeout=100)
    assert json.loads(out)["counts"] == found["counts"]
