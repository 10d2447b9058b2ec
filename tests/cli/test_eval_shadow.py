"""`eval shadow` with real models, real games, and a real end of the daemon."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.errors import RingriftError
from ringrift.nets.nnue.file import init_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec

sys.path.insert(0, str(Path(__file__).parent))
from json_schema import problems

sys.path.pop(0)

CONFIG = "square8_2p"
PROGRAM = Path(sys.executable).with_name("ringrift")


@pytest.fixture
def root(tmp_path, monkeypatch, ringrift):
    folder = tmp_path / "root"
    assert ringrift("--root", folder, "--yes", "config", "init")[0] == 0
    monkeypatch.setenv("RINGRIFT_ROOT", str(folder))
    return folder


def add_model(folder, seed):
    return init_nnue(BoardSpec.create("square8", 2), folder=folder, seed=seed, hidden=32)


def test_without_a_model_there_is_nothing_to_do(root, ringrift):
    code, out, _ = ringrift("eval", "shadow", "--json")
    assert (code, json.loads(out)["results"]) == (0, [])
    assert ringrift("eval", "shadow", "--dry-run")[:2] == (0, "no model to measure\n")
    assert not (root / "data" / "games" / "games.db").exists()


def test_a_plan_lists_the_matches(root, ringrift):
    model = add_model(root / "models" / "objects", 1).stem
    code, out, _ = ringrift("eval", "shadow", "--full", "--quick", "--dry-run", "--json")
    found = json.loads(out)
    assert problems(schema_of("eval shadow"), found) == []
    assert (code, found["results"]) == (0, [])
    assert {plan["model_id"] for plan in found["plans"]} == {model}
    assert [plan["games"] for plan in found["plans"]] == [10, 50, 50, 50, 50]
    assert not (root / "data" / "games" / "games.db").exists()


def test_a_daemon_takes_no_other_switch(root, ringrift):
    del root
    for words in (["--quick"], ["--once"], ["--dry-run"]):
        assert ringrift("eval", "shadow", "--daemon", *words)[0] == 2
    assert ringrift("eval", "shadow", "--config-key", "square8_9p")[0] == 2


@pytest.mark.timed
@pytest.mark.acceptance
@pytest.mark.slow
def test_a_quick_round_of_16_simulations_ends_within_60_s(root, ringrift):
    add_model(root / "models" / "objects", 1)
    began_s = time.monotonic()
    code, out, _ = ringrift("eval", "shadow", "--quick", "--sims", "16", "--json")
    assert code == 0
    assert problems(schema_of("eval shadow"), json.loads(out)) == []
    (result,) = json.loads(out)["results"]
    assert (result["games_played"], result["success"]) == (10, True)
    assert time.monotonic() - began_s < 60


@pytest.mark.acceptance
@pytest.mark.slow
def test_a_daemon_measures_what_is_dropped_and_ends_with_0_on_sigterm(root, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    daemon = subprocess.Popen(
        [
            PROGRAM, "eval", "shadow", "--daemon", "--watch-dir", folder, "--http-port", "8799",
            "--config-key", CONFIG, "--shadow-games", "2", "--sims", "2", "--no-wait", "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: ask("/health")["ok"])
        second = subprocess.run(
            [PROGRAM, "eval", "shadow", "--daemon", "--no-wait"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 75
        assert "shadow service" in second.stderr
        model = add_model(tmp_path / "made", 3)
        (folder / "new.safetensors").write_bytes(model.read_bytes())
        (folder / "cut.safetensors").write_bytes(model.read_bytes()[:-100])
        found = wait_for(lambda: len(r := ask("/results")["results"]) >= 2 and r)
        good = next(r for r in found if r["success"])
        assert (good["model_id"], good["opponent"]) == (model.stem, "heuristic")
        bad = next(r for r in found if not r["success"])
        assert "cut.safetensors" in bad["error"]
        assert (bad["win_rate"], bad["elo_estimate"]) == (None, None)
        assert ask("/status")["configs"][CONFIG]["rounds"] == 1
        assert json.loads(
            next((root / "models" / "objects").glob("*/*.json")).read_text()
        )["label"] == "watched"  # fmt: skip
        began_s = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        out, err = daemon.communicate(timeout=40)
        assert daemon.returncode == 0, err
        assert time.monotonic() - began_s < 30
        assert sum(json.loads(line)["success"] for line in out.splitlines()) == 1
        assert re.search(r"http://127\.0\.0\.1:8799", err)
    finally:
        daemon.kill()


@pytest.mark.acceptance
@pytest.mark.slow
def test_sigterm_in_a_round_ends_it_within_30_s_and_leaves_no_partial_result(root):
    add_model(root / "models" / "objects", 1)
    daemon = subprocess.Popen(
        [
            PROGRAM, "eval", "shadow", "--daemon", "--http-port", "0", "--config-key", CONFIG,
            "--shadow-games", "2000", "--sims", "16", "--no-wait", "--json",
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: stored_games(root) > 4)
        began_s = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=60)
        assert (daemon.returncode, time.monotonic() - began_s < 30) == (0, True)
        for line in out.splitlines():
            result = json.loads(line)
            assert (result["success"], result["win_rate"], result["elo_estimate"]) == (
                False,
                None,
                None,
            )
        assert stored_games(root) > 4  # its games stay
    finally:
        daemon.kill()


def stored_games(root):
    try:
        with GameStore.open(root / "data" / "games" / "games.db") as store:
            return store.count(CONFIG, purpose="match")
    except RingriftError:  # the store is being made
        return 0


def ask(page):
    connection = http.client.HTTPConnection("127.0.0.1", 8799, timeout=10)
    connection.request("GET", page)
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def wait_for(answer, *, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if found := answer():
                return found
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("it never came")
