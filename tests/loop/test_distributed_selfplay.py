"""Self-play as jobs of a running loop: the games of a local run, each once, and nothing left open."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import connected_nodes, read_state
from ringrift.cluster.jobs import JobQueue
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import Subjects
from ringrift.core.paths import Paths
from ringrift.records.store import GameStore

from .live import await_, call, command, end_hub, environ, finish, said, start
from .test_distributed_matches import is_led

PLAY = ("selfplay", "run", "--engine-mode", "random-only", "--no-wait", "--json")
FEW = (*PLAY, "--num-games", "24", "--max-moves", "60")
MANY = (*PLAY, "--num-games", "400")

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data root of a loop that plays nothing of its own; its node is called `here`."""
    root = tmp_path_factory.mktemp("loop") / "root"
    loop = start(root, "--only", "collect", RINGRIFT_NODE_ID="here")
    try:
        await_(loop, root, lambda: is_led(root) and Paths(root).game_store.is_file())
        yield root
        loop.send_signal(signal.SIGTERM)
        assert finish(loop, root)[0] in (0, 143), said(root)[-2000:]
    finally:
        if loop.poll() is None:
            os.killpg(loop.pid, signal.SIGKILL)
            loop.wait()
        end_hub(root)


def ask(root, work):
    state = read_state(Paths(root).cluster / "hub")
    with Bus(state.url, node_key(Paths(root).cluster / "node.nk"), node="test") as bus:
        return bus.run(work(JobQueue(bus.js, Subjects())))


def open_jobs(root):
    return [found.job for found in ask(root, lambda queue: queue.open())]


def play(root, *words, **variables):
    code, out, err = call(root, *words, **variables)
    return code, json.loads(out) if out else None, err


def ids(root, run=None):
    with GameStore.open(Paths(root).game_store) as store:
        return store.game_ids(run)


def begun(root, *words):
    """Start a command and wait until games of its run are stored."""
    before = ids(root)
    process = subprocess.Popen(
        command(root, *words), env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline_s = time.monotonic() + 120
    while len(ids(root)) < len(before) + 8 or not open_jobs(root):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return process


@pytest.fixture(scope="module")
def few(root):
    """A run on all nodes."""
    code, found, err = play(root, *FEW, "--hosts", "all")
    assert code == 0, err
    assert "games by node: here 24" in err
    return found


def test_the_games_are_those_of_a_local_run(root, few, tmp_path):
    assert (few["games"], few["complete"], few["unverified"]) == (24, True, 0)
    code, local, err = play(tmp_path, *FEW)
    assert code == 0, err
    assert ids(root, few["run"]) == ids(tmp_path)
    for name in ("plies", "wins", "ends", "victory_types", "agents"):
        assert few[name] == local[name]
    assert open_jobs(root) == []


def test_the_same_command_again_plays_nothing(root, few):
    before = ids(root)
    code, again, err = play(root, *FEW, "--hosts", "here")
    assert code == 0, err
    assert (again["run"], again["games"], again["resumed"]) == (few["run"], 24, 24)
    Path(few["folder"], "header.json").unlink()  # as if it were another folder
    code, again, err = play(root, *FEW, "--hosts", "all", "--output-dir", str(root / "other"))
    assert code == 0, err
    assert (again["games"], again["plies"], again["duplicates"]) == (24, few["plies"], 0)
    assert ids(root) == before


def test_games_that_another_run_has_brought_count_as_duplicates(root, few):
    line = ("selfplay", "soak", *FEW[2:], "--seed", "42", "--opening-random-moves", "0-8")
    code, found, err = play(root, *line, "--swap-sides-probability", "0", "--hosts", "here")
    assert code == 0, err
    assert found["games"] == 24
    assert found["run"] != few["run"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--hosts", "there"], 2, "no node 'there' is connected; there are here"),
        (["--hosts", "all", "--no-record-db"], 2, "--no-record-db and --hosts exclude each other"),
        (["--hosts", "all", "--workers", "2"], 2, "--workers and --hosts exclude each other"),
    ],
)
def test_what_the_nodes_cannot_do_is_refused(root, words, code, told):
    found, _, err = play(root, *FEW, *words)
    assert (found, err.count("\n")) == (code, 1), err
    assert told in err


def test_a_limit_ends_it_and_cancels_what_is_open(root):
    slow = ("--engine-mode", "heuristic-only", "--num-games", "4000")
    line = (*MANY, *slow, "--seed", "5", "--hosts", "all", "--distributed-job-timeout-seconds", "1")
    code, _, err = play(root, *line)
    assert code == 1, err
    assert "of 4000 games were not played in 1 s" in err
    assert open_jobs(root) == []


def test_interrupted_it_cancels_what_is_open_and_goes_on(root, tmp_path):
    line = (*MANY, "--seed", "6", "--hosts", "all")
    process = begun(root, *line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "To go on" in err.decode()
    assert open_jobs(root) == []
    process = begun(root, *line)
    process.kill()
    process.communicate()
    code, found, err = play(root, *line)
    assert code == 0, err
    assert (found["games"], found["duplicates"]) == (400, 0)
    code, _, err = play(tmp_path, *line[:-2])
    assert code == 0, err
    assert ids(root, found["run"]) == ids(tmp_path)
    assert open_jobs(root) == []


def test_two_nodes_of_which_one_is_killed_play_the_games_of_a_local_run(root, tmp_path):
    other = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("other_node.py"), root, tmp_path / "o", "other"],
        stdout=subprocess.PIPE,
        text=True,
        env=environ(),
        start_new_session=True,
    )
    line = (*MANY, "--seed", "7")
    try:
        assert other.stdout.readline()
        state = read_state(Paths(root).cluster / "hub")
        assert {"here", "other"} <= connected_nodes(state.monitor_port)
        process = begun(root, *line, "--hosts", "all")
        while not int(other.stdout.readline()):
            assert process.poll() is None
        os.killpg(other.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    finally:
        if other.poll() is None:
            os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        other.stdout.close()
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["games"] == 400
    code, _, err = play(tmp_path / "local", *line)
    assert code == 0, err
    assert ids(root, found["run"]) == ids(tmp_path / "local")


def test_a_node_that_is_named_plays_alone(root, tmp_path):
    other = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("other_node.py"), root, tmp_path / "o", "other"],
        stdout=subprocess.PIPE,
        text=True,
        env=environ(),
        start_new_session=True,
    )
    try:
        assert other.stdout.readline()
        code, found, err = play(root, *FEW, "--seed", "8", "--hosts", "other")
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        other.stdout.close()
    assert code == 0, err
    assert found["games"] == 24
    assert "games by node: other 24" in err


def test_canonical_games_of_the_nodes_pass_every_check(root):
    line = ("selfplay", "canonical", "--board-type", "hex8", "--engine-mode", "random-only")
    code, found, err = play(root, *line, "--num-games", "8", "--hosts", "all", "--json")
    assert code == 0, err
    assert (found["canonical_ok"], found["db_stats"]["games_total"]) == (True, 8)
