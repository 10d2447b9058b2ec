"""The real loop in processes of its own: to the end, after Ctrl-C, after kill -9 at any instant."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from ringrift.core.paths import Paths
from ringrift.loop.control import STORE
from ringrift.models.decisions import read_chain
from ringrift.models.registry import model_ids
from ringrift.records.store import GameStore

CONFIG = "square8_2p"
TINY = {
    "RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "8",
    "RINGRIFT_TRAINING__MODEL_SIZE": "micro",
    "RINGRIFT_TRAINING__BATCH_SIZE": "64",
    "RINGRIFT_TRAINING__MAX_REUSE": "1",
    "RINGRIFT_SELFPLAY__MCTS_SIMULATIONS": "4",
    "RINGRIFT_SELFPLAY__CHEAP_SIMULATIONS": "2",
    "RINGRIFT_EVALUATION__SIMULATIONS": "2",
    "RINGRIFT_EVALUATION__FLOOR_GAMES": "4",
    "RINGRIFT_EVALUATION__EXAM_GAMES": "6",
    "RINGRIFT_PROMOTION__MIN_GAMES": "4",
    "RINGRIFT_PROMOTION__MAX_GAMES": "8",
}
GENERATIONS = 2
GAMES = 8
LIMIT_S = 540

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def command(root, *more):
    main = "from ringrift.cli.main import main; main()"
    words = ["--root", str(root), "loop", "run", "--profile", "quick", "--yes"]
    words += ["--generations", str(GENERATIONS), "--seed", "11", *more]
    return [sys.executable, "-c", main, *words]


def start(root, *more):
    environ = {name: value for name, value in os.environ.items() if "RINGRIFT" not in name}
    return subprocess.Popen(
        command(root, *more),
        env={**environ, **TINY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def check_whole(root):
    """No game twice, each replays to its hash, every stage done once, the run complete."""
    paths = Paths(root)
    with GameStore.open(paths.games / STORE) as store:
        assert store.verify_all().failures == ()
        games = [record for _, record, _ in store.records(CONFIG)]
    keys = [(game.meta.run, game.meta.index) for game in games]
    assert len(keys) == len(set(keys))
    assert len({game.id for game in games}) == len(games)
    selfplay = [game for game in games if game.meta.purpose == "selfplay"]
    assert len(selfplay) == GENERATIONS * GAMES
    chain = read_chain(paths.decisions, CONFIG)
    assert [d.generation for d in chain.decisions] == [None, *range(1, GENERATIONS + 1)]
    assert chain.champion in model_ids(paths.model_objects)
    folders = list((paths.runs / CONFIG).iterdir())
    assert len(folders) == 1
    report = json.loads((folders[0] / "report.json").read_text())
    assert len(report["generations"]) == GENERATIONS
    assert report["exam"]["games"] == 6
    seqs = [json.loads(line)["seq"] for line in (folders[0] / "events.jsonl").open()]
    assert seqs == sorted(set(seqs))
    return games


def test_the_loop_ends_and_says_what_it_did(tmp_path):
    code, out, err = finish(start(tmp_path, "--json"))
    assert code == 0, err
    check_whole(tmp_path)
    result = json.loads(out)
    assert result["complete"]
    assert len(result["generations"]) == GENERATIONS
    assert result["exam"]["games"] == 6
    assert f"{CONFIG}: no model yet - starting from random weights (model " in err
    assert "generation 1" in err
    # Deleting the event log changes nothing but history: the run is still finished.
    folder = next((Paths(tmp_path).runs / CONFIG).iterdir())
    (folder / "events.jsonl").unlink()
    code, _, err = finish(start(tmp_path, "--resume"))
    assert code == 2
    assert "no unfinished run" in err


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
