"""Matches as jobs of a running loop: the games of a local match, each once, and nothing left open."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import Hub, read_state
from ringrift.cluster.jobs import JobQueue
from ringrift.cluster.keys import node_key
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.errors import NotRunningError
from ringrift.core.paths import Paths
from ringrift.core.settings import Settings
from ringrift.evaluation.matches import MatchAborted, stored, stored_games
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan
from ringrift.evaluation.players import MatchPlayers, play_match, play_matches
from ringrift.evaluation.sprt import SequentialTest
from ringrift.loop.distributed_matches import hub_players
from ringrift.loop.following import followed
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position

from .live import await_, call, command, end_hub, environ, finish, said, start

SPEC = BoardSpec.create("square8", 2)
SIDES = ("heuristic:mode=light", "random")
MATCH = ("eval", "match", "--agent", SIDES[0], "--agent", SIDES[1], "--no-wait", "--json")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data root of a loop that plays nothing of its own."""
    root = tmp_path_factory.mktemp("loop") / "root"
    loop = start(root, "--only", "collect")
    try:
        await_(loop, root, lambda: is_led(root))
        yield root
        loop.send_signal(signal.SIGTERM)
        assert finish(loop, root)[0] in (0, 143), said(root)[-2000:]
    finally:
        if loop.poll() is None:
            os.killpg(loop.pid, signal.SIGKILL)
            loop.wait()
        end_hub(root)


def is_led(root):
    try:
        with hub_players(Paths(root), Settings()):
            return True
    except NotRunningError:
        return False


def plan_of(games, *specs, **changes):
    agents = tuple(participant(text, SPEC) for text in specs or SIDES)
    return MatchPlan.of_games(
        games, **{"purpose": "manual", "spec": SPEC, "agents": agents, "seed": 7, **changes}
    )


def play_there(root, *plans, **options):
    with (
        hub_players(Paths(root), Settings()) as players,
        followed(Paths(root).game_store) as store,
    ):
        return play_matches(plans, store, players, **options)


def games_of(store, run):
    return sorted(record.id for _, record, _ in store.records(SPEC.config, run=run))


def stored_there(root, run):
    with followed(Paths(root).game_store) as store:
        return games_of(store, run)


def open_jobs(root):
    state = read_state(Paths(root).cluster / "hub")
    with Bus(state.url, node_key(Paths(root).cluster / "node.nk"), node="test") as bus:
        return [found.job for found in bus.run(JobQueue(bus.js, Subjects()).open())]


def test_the_games_of_some_plans_come_each_once(root):
    plans = [plan_of(34), plan_of(4, "random", "random")]
    seen = []
    results = play_there(root, *plans, on_progress=lambda tally: seen.append(tally.counted))
    assert len(set(seen)) > 1  # it was told of on the way
    with GameStore.open(Paths(root).game_store) as store:
        for plan, result in zip(plans, results, strict=True):
            records = list(stored_games(plan, store))  # each is the game that the plan says
            assert sorted(record.meta.index for record in records) == list(range(plan.games))
            assert (result.games, result.complete) == (plan.games, True)
            assert result.score == stored(plan, store).result().score
        assert {plan.hash for plan in plans} <= {row.hash for row in store.plans.all()}
    assert open_jobs(root) == []
    assert play_there(root, *plans) == results  # nothing is left to play


def test_a_verdict_cancels_what_is_open(root):
    test = SequentialTest(elo0=0, elo1=50, alpha=0.05, beta=0.05, min_games=20, max_games=600)
    # Searches make games slow enough for a verdict to come long before the last of them.
    plan = plan_of(600, "mcts:sims=32", "random", test=test, seed=8)
    (result,) = play_there(root, plan)
    assert result.verdict == "accept"
    assert open_jobs(root) == []
    assert len(stored_there(root, plan.hash)) < plan.games / 2


def test_a_command_that_is_told_to_stop_leaves_nothing_open(root):
    plan = plan_of(200, seed=9)
    (result,) = play_there(root, plan, stop=lambda: bool(stored_there(root, plan.hash)))
    assert not result.complete
    assert open_jobs(root) == []
    (result,) = play_there(root, plan_of(200, seed=9))
    assert (result.complete, result.games) == (True, 200)
    assert len(stored_there(root, plan.hash)) == 200


@pytest.mark.acceptance
def test_killed_and_repeated_it_goes_on_and_says_what_a_local_match_says(root, tmp_path):
    words = (*MATCH, "--games", "150", "--seed", "3")
    first = subprocess.Popen(
        command(root, *words, "--distributed"), env=environ(), stdout=subprocess.DEVNULL
    )
    runs = Paths(root).runs / "eval"
    known = set(runs.glob("*/plan.json"))
    deadline_s = time.monotonic() + 120
    while not (new := set(runs.glob("*/plan.json")) - known) or not open_jobs(root):
        assert first.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    first.kill()
    first.wait()
    run = json.loads(new.pop().read_bytes())
    code, out, err = call(root, *words, "--distributed")
    assert code == 0, err
    found = json.loads(out)
    assert found["plan"] == run
    code, out, err = call(tmp_path, *words)
    assert code == 0, err
    local = json.loads(out)
    assert [found[name] for name in ("run", "games", "counts", "by_seat", "status")] == [
        local[name] for name in ("run", "games", "counts", "by_seat", "status")
    ]
    with GameStore.open(Paths(tmp_path).game_store) as store:
        assert stored_there(root, found["run"]) == games_of(store, found["run"])
    assert open_jobs(root) == []


@pytest.mark.acceptance
def test_a_tournament_comes_to_the_table_of_a_local_one(root, tmp_path):
    words = ("eval", "tournament", "--baselines-only", "--run", "--games", "2", "--no-wait")
    there, here = (
        call(place, *words, *more, "--json", RINGRIFT_EVALUATION__BASELINE_MODELS=json.dumps(SIDES))
        for place, more in ((root, ["--distributed"]), (tmp_path, []))
    )
    assert there[0] == here[0] == 0, there[2] + here[2]
    found, local = (
        json.loads(out)["configurations"][0]["tournament"] for _, out, _ in (there, here)
    )
    assert found["complete"]
    assert [row["wins"] for row in found["table"]] == [row["wins"] for row in local["table"]]
    code, _, err = call(root, *words, "--distributed", "--db", "other.db")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.acceptance
def test_two_nodes_of_which_one_is_killed_play_the_games_of_a_local_match(root, tmp_path):
    program = Path(__file__).with_name("other_node.py")
    other = subprocess.Popen(
        [sys.executable, program, root, tmp_path / "other", "other"],
        stdout=subprocess.PIPE,
        text=True,
        env=environ(),
        start_new_session=True,
    )
    plan = plan_of(240, seed=12)

    def kill_at_work(tally):
        if other.poll() is None and tally.counted > 16:
            while not int(other.stdout.readline()):
                pass
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()

    try:
        assert other.stdout.readline()
        (result,) = play_there(root, plan, on_progress=kill_at_work)
    finally:
        if other.poll() is None:
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()
        other.stdout.close()
    assert other.returncode == -signal.SIGKILL
    assert result.complete
    with (
        GameStore.open(tmp_path / "here.db", writer=True) as store,
        MatchPlayers(workers=1) as here,
    ):
        local = play_match(plan, store, here)
        assert stored_there(root, plan.hash) == games_of(store, plan.hash)
    assert (result.counts, result.by_seat) == (local.counts, local.by_seat)


def test_a_game_that_is_aborted_twice_ends_the_match(root, tmp_path):
    moves = "; ".join(move.text for move in Position.of(SPEC).legal_moves())
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfor line in sys.stdin:\n    word = line.split()[0]\n"
        f"    if word in ('id', 'legal'):\n        print('id q' if word == 'id' else 'legal {moves}',"
        " flush=True)\n    if word == 'go':\n        sys.exit('out of wood')\n"
    )
    quitter = f"engine:{shlex.join([sys.executable, '-S', str(program)])}"
    with pytest.raises(MatchAborted, match=r"was aborted twice at ply .*out of wood"):
        play_there(root, plan_of(2, quitter, "random"))
    assert open_jobs(root) == []


def test_a_hub_without_a_leader_is_no_place_to_play(tmp_path):
    paths = Paths(tmp_path / "root")
    key = node_key(paths.cluster / "node.nk")
    with (
        pytest.raises(NotRunningError, match="no job bus is running"),
        hub_players(paths, Settings()),
    ):
        pass
    with (
        Hub(paths.cluster / "hub", users=(key.public,)) as hub,
        Bus(hub.state.url, key, node="one") as bus,
    ):
        bus.run(ensure(bus.js, Subjects(), games_bytes=1 << 26))
        with (
            pytest.raises(NotRunningError, match="no loop leads its jobs"),
            hub_players(paths, Settings()),
        ):
            pass
