"""The loop in the background: it comes up, is halted and goes on in seconds, and ends in time."""

import hashlib
import json
import os
import signal
import time

import psutil
import pytest

from ringrift.cluster.hub import read_state
from ringrift.core.emergency import halt, resume
from ringrift.core.paths import Paths

from . import live

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START = ("loop", "start", "--profile", "quick", "--metrics-port", "0", "--seed", "11")
SOON_S = 5.0
STOP_S = 60.0
MANY_GAMES = {"RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "5000"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def family(pid, root):
    """The loop's process, all below it, and the hub's server."""
    loop = psutil.Process(pid)
    state = read_state(Paths(root).cluster / "hub")
    assert state is not None
    return [loop, *loop.children(recursive=True), psutil.Process(state.pid)]


def begin(root, **variables):
    code, out, err = live.call(root, "--yes", "--json", *START, **variables)
    assert code == 0, err
    return json.loads(out)


def await_games(root, more_than, limit_s):
    begun = time.monotonic()
    while live.games(root) <= more_than:
        assert time.monotonic() - begun < limit_s
        time.sleep(0.1)
    return time.monotonic() - begun


def hashes(root):
    """The content of every file of a root, by its name."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.timed
def test_start_halt_resume_stop_and_plan(root):
    started = begin(root, **MANY_GAMES)
    assert live.call(root, *START, **MANY_GAMES)[0] == 75
    await_games(root, 8, 120)
    halt(root, reason="a test", by="somebody")
    time.sleep(SOON_S)
    stood = live.games(root)
    time.sleep(3)
    assert live.games(root) == stood
    assert next(e["data"]["reason"] for e in live.events(root, "halted")).endswith("a test")
    resume(root)
    await_games(root, stood, SOON_S)
    everyone = family(started["pid"], root)
    begun = time.monotonic()
    code, _, err = live.call(root, "loop", "stop", "--timeout", str(STOP_S))
    assert code == 0, err
    assert time.monotonic() - begun < STOP_S
    assert not psutil.wait_procs(everyone, 2)[1]
    assert live.call(root, "loop", "stop")[0] == 3
    live.check_whole(root)
    before = hashes(root)
    assert live.call(root, "loop", "plan", "--profile", "quick")[0] == 0
    assert hashes(root) == before


@pytest.mark.acceptance
def test_a_stop_in_each_state_ends_in_time_and_loses_nothing(root):
    """At once, in self-play, in a training, between: each stop ends within its time, with 0."""
    slow = {"RINGRIFT_TRAINING__HIDDEN_DIM": "256", "RINGRIFT_TRAINING__BATCH_SIZE": "32"}
    took = {}
    for state in ("starting", "playing", "training", "evaluating", "training"):
        begin(root, **slow)
        begun = time.monotonic()
        while state != "starting" and state not in shown(root):
            assert time.monotonic() - begun < 300
            time.sleep(0.1)
        begun = time.monotonic()
        code, _, err = live.call(root, "loop", "stop", "--timeout", str(STOP_S), **slow)
        assert code == 0, (state, err)
        took[state] = time.monotonic() - begun
    assert max(took.values()) < STOP_S, took
    live.check_whole(root)


def shown(root):
    """What the status file says the configuration and its jobs are at."""
    path = Paths(root).loop / "status.json"
    try:
        status = json.loads(path.read_text())
    except (OSError, ValueError):
        return ()
    kinds = {"train": "training", "match": "evaluating", "selfplay": "playing"}
    return {kinds.get(job["kind"]) for job in status["jobs"]}


@pytest.mark.acceptance
def test_a_stop_that_is_not_heard_ends_with_75_and_kill_ends_all(root):
    pid = begin(root, **MANY_GAMES)["pid"]
    await_games(root, 8, 120)
    everyone = family(pid, root)
    os.kill(pid, signal.SIGSTOP)  # hears nothing
    code, _, err = live.call(root, "loop", "stop", "--timeout", "1")
    assert code == 75
    assert "--kill" in err
    assert psutil.pid_exists(pid)
    code, _, err = live.call(root, "loop", "stop", "--timeout", "1", "--kill")
    assert code == 0, err
    assert not psutil.wait_procs(everyone, 2)[1]
    begin(root, **MANY_GAMES)
    await_games(root, live.games(root), 120)
    assert live.call(root, "loop", "stop")[0] == 0
    live.check_whole(root)
