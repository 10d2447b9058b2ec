"""The real loop in processes of its own: to the end, after Ctrl-C, after kill -9 at any instant."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cli.reference.schemas import schema_of
from ringrift.core.paths import Paths

from .real_loop import CONFIG, GENERATIONS, LIMIT_S, check_whole, finish, start

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from json_schema import problems

sys.path.pop(0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def shown(root):
    words = ["config", "show", "--config-key", CONFIG, "--profile", "quick", "--json"]
    code, out, err = finish(start(root, words=words, metrics=""))
    assert code == 0, err
    return json.loads(out)


def test_the_loop_ends_and_says_what_it_did(tmp_path):
    code, out, err = finish(start(tmp_path, "--json", metrics="--metrics-port 0"))
    assert code == 0, err
    games = check_whole(tmp_path)
    assert "metrics on http://127.0.0.1:" in err
    last = next(Paths(tmp_path).runs.glob("*/*/metrics.jsonl")).read_text().splitlines()[-1]
    counted = {
        name: value
        for name, value in json.loads(last)["values"].items()
        if name.startswith("ringrift_loop_games_total")
    }
    assert sum(counted.values()) == len(games)
    result = json.loads(out)
    assert problems(schema_of("loop run"), result) == []
    assert result["complete"]
    assert len(result["generations"]) == GENERATIONS
    assert result["exam"]["games"] == 6
    assert f"{CONFIG}: no model yet - starting from random weights (model " in err
    assert "generation 1" in err
    saved = json.loads(next(Paths(tmp_path).runs.glob("*/*/settings.json")).read_text())
    assert saved["hyperparameters"] == shown(tmp_path)["hyperparameters"]
    assert saved["settings"] == shown(tmp_path)["settings"]
    assert saved["versions"]["torch"]
    # Deleting the event log changes nothing but history: the run is still finished.
    folder = next((Paths(tmp_path).runs / CONFIG).iterdir())
    (folder / "events.jsonl").unlink()
    code, _, err = finish(start(tmp_path, "--resume"))
    assert code == 2
    assert "no unfinished run" in err


@pytest.mark.timed
def test_ctrl_c_stops_with_130_and_a_second_loop_is_refused(tmp_path):
    process = start(tmp_path)
    run = Paths(tmp_path).runs / CONFIG
    deadline = time.monotonic() + LIMIT_S
    while not any("games_ingested" in p.read_text() for p in run.glob("*/events.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    code, _, err = finish(start(tmp_path))
    assert code == 75
    assert f"held by process {process.pid}" in err
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    begun = time.monotonic()
    code, _, err = finish(process)
    assert code == 130
    assert time.monotonic() - begun < 30
    assert "To go on: ringrift" in err
    code, _, err = finish(start(tmp_path, "--resume"))
    assert code == 0, err
    check_whole(tmp_path)


def finished(root):
    return next((Paths(root).runs / CONFIG).glob("*/report.json"), None) is not None


def kill_and_resume(folder, kills, seed):
    """Kill loops `kills` times after random times, going on with each until it has ended.

    A loop that ends before all kills were made is checked, and another root takes its place.
    """
    rng = random.Random(seed)
    made = 0
    while made < kills:
        root = folder / f"after-{made}-kills"
        root.mkdir()
        while made < kills and not finished(root):
            process = start(root)
            try:
                process.communicate(timeout=rng.uniform(1.0, 14.0))
            except subprocess.TimeoutExpired:
                if made % 2:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()  # its children must follow by themselves
                process.communicate()
                made += 1
        if not finished(root):
            code, _, err = finish(start(root))
            assert code == 0, err
        check_whole(root)


def test_three_kills_lose_nothing(tmp_path):
    kill_and_resume(tmp_path, 3, seed=1)


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3])
def test_ten_kills_lose_nothing(tmp_path, seed):
    kill_and_resume(tmp_path, 10, seed=seed)
