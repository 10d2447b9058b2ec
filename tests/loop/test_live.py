"""The real loop in processes of its own: a first cycle, a stop, halts, kill -9 of every part."""

import json
import os
import random
import signal
import time

import psutil
import pytest

from ringrift.core.paths import Paths

from . import live

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONTROL_MB = 150


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def order_of(root):
    return [event["kind"] for event in live.events(root)]


def test_a_first_cycle_from_nothing(root):
    """From an empty folder to a decision; control stays small and loads no compiler."""
    process = live.start(root, "--max-cycles", "1", "--json")
    control = psutil.Process(process.pid)
    live.await_(process, root, lambda: "games_ingested" in order_of(root))
    maps = "\n".join(each.path for each in control.memory_maps())
    for library in ("torch", "numba", "llvmlite"):
        assert f"/{library}/" not in maps
    peak_mb = 0.0
    while process.poll() is None:
        try:
            peak_mb = max(peak_mb, control.memory_info().rss / 1e6)
        except psutil.Error:
            break
        time.sleep(0.5)
    code, out, err = live.finish(process, root)
    assert code == 0, err
    assert 0 < peak_mb < CONTROL_MB
    wanted = ["model_initialised", "games_ingested", "training_started", "training_finished"]
    found = order_of(root)
    at = [found.index(kind) for kind in wanted]
    assert at == sorted(at)
    assert "match_finished" in found
    assert found[-1] == "loop_stopped"
    assert any(kind in found for kind in live.DECIDING)
    result = json.loads(out)
    assert result["ended"] == "cycles"
    assert result["cycles"] == 1
    records = live.check_whole(root)
    assert len(records) > 24
    code, out, _ = live.call(root, "loop", "status", "--json")
    assert code == 3  # nothing runs any more


def kill_something(process, root, rng):
    """Kill -9 one part of a loop, or all of it; tell what and whether the loop is gone."""
    what = rng.choice(("group", "control", "hub", "worker", "keeper"))
    if what == "group":
        live.kill_group(process)
        return what, True
    if what == "control":  # its children must follow by themselves
        process.kill()
        process.communicate()
        return what, True
    if what == "hub":
        live.kill_hub(root)
        return what, False
    words = ("job_child",) if what == "worker" else ("spawn_main",)
    victims = live.children(process, *words)
    if victims:
        rng.choice(victims).kill()
    return what, False


def kills_lose_nothing(root, kills, cycles, seed, slice_s):
    rng = random.Random(seed)
    process = live.start(root)
    made = []
    while len(made) < kills:
        time.sleep(rng.uniform(*slice_s))
        if process.poll() is not None:
            code, _, err = live.finish(process, root)
            pytest.fail(f"the loop ended with {code} after {made}: {err[-3000:]}")
        what, gone = kill_something(process, root, rng)
        made.append(what)
        if gone:
            process = live.start(root)
    live.await_(process, root, lambda: len(live.decisions(root)) >= cycles)
    stood = live.games(root)
    live.await_(process, root, lambda: live.games(root) > stood)  # the last one is at work
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = live.finish(process, root)
    assert code == 0, err[-3000:]
    live.check_whole(root)
    assert Paths(root).spool.exists()
    return made


def test_five_kills_lose_nothing(root):
    kills_lose_nothing(root, 5, 2, seed=1, slice_s=(2.0, 8.0))


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_fifty_kills_lose_nothing(root):
    made = kills_lose_nothing(root, 50, 6, seed=2, slice_s=(1.0, 15.0))
    assert len(set(made)) == 5
