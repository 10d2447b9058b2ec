"""The commands around a loop: what they say of one that runs, is stale or is not there."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ringrift.cli.loop.start import as_run
from ringrift.cli.reference.schemas import schema_of
from ringrift.core.emergency import halt, halted
from ringrift.core.files import lock
from ringrift.core.paths import Paths
from ringrift.loop.events import Events, utc
from ringrift.loop.resuming import resumed
from ringrift.loop.status import STATUS_FILE

sys.path.insert(0, str(Path(__file__).parents[1]))
from loop.test_status import status as a_status

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parent))
from json_schema import problems

sys.path.pop(0)


@pytest.fixture
def root(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths


def write_status(paths, *, age_s=1.0, **more):
    tree = {**a_status(), "at": utc(time.time() - age_s), **more}
    path = paths.root / STATUS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    return tree


def held(paths):
    return lock(paths.coordination / "loop.lock", what="loop")


# --- status


def test_without_a_loop_the_code_is_3_and_the_newest_status_is_shown(ringrift, root):
    code, out, _ = ringrift("--root", root.root, "loop", "status")
    assert (code, out) == (3, "no loop runs: ringrift loop start\n")
    write_status(root, age_s=90)
    code, out, _ = ringrift("--root", root.root, "loop", "status")
    assert code == 3
    assert "no loop runs; the last one, since" in out
    assert "1m30s ago" in out


@pytest.mark.parametrize(
    ("more", "age_s", "code"),
    [({}, 1, 0), ({"health": "degraded"}, 1, 1), ({}, 299, 0), ({}, 301, 1)],
)
def test_a_running_loop_is_healthy_degraded_or_stale(ringrift, root, more, age_s, code):
    write_status(root, age_s=age_s, **more)
    with held(root):
        found, out, _ = ringrift("--root", root.root, "loop", "status", "--json")
        assert found == code
        tree = json.loads(out)
        assert problems(schema_of("loop status"), tree) == []
        assert (tree["ok"], tree["running"]) == (code == 0, True)
        found, out, _ = ringrift("--root", root.root, "loop", "status")
        assert found == code
        assert ("STALE" in out) is (age_s > 300)
        for words in ("square8_2p", "134/200", "promoted", "hex8_2p  unborn", "cpu 71 %"):
            assert words in out


def test_one_configuration_is_shown_alone_and_another_is_refused(ringrift, root):
    write_status(root)
    with held(root):
        line = ("--root", root.root, "loop", "status", "--json", "--config-key")
        assert list(json.loads(ringrift(*line, "hex8_2p")[1])["configs"]) == ["hex8_2p"]
        code, out, _ = ringrift(*line, "hex8_3p")
        assert code == 2
        assert json.loads(out)["error"]["hint"] == "square8_2p, hex8_2p"


def test_a_loop_that_has_not_looked_yet_is_starting(ringrift, root):
    with held(root):
        code, out, _ = ringrift("--root", root.root, "loop", "status")
    assert (code, out) == (0, "a loop is starting: it has not looked yet\n")


@pytest.mark.slow
def test_watching_prints_each_new_status_as_published_and_ends_with_0(spawn, root):
    write_status(root)
    process = spawn("--root", str(root.root), "loop", "status", "--watch", "--json")
    first = json.loads(process.stdout.readline())
    write_status(root, age_s=0, profile="other")
    second = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert [first["profile"], second["profile"]] == ["quick", "other"]
    line = schema_of("loop status")["x-line"]
    assert problems(line, first) == problems(line, second) == []


# --- halt and resume


def test_halt_and_resume_write_and_remove_the_file(ringrift, root):
    code, out, _ = ringrift("--root", root.root, "loop", "halt", "--reason", "too hot")
    assert code == 0
    assert "too hot" in out
    assert halted(root.root).reason == "too hot"
    assert ringrift("--root", root.root, "loop", "halt", "--reason", "again")[0] == 0
    assert halted(root.root).reason == "too hot"
    assert ringrift("--root", root.root, "loop", "resume")[0] == 0
    assert halted(root.root) is None
    code, _, err = ringrift("--root", root.root, "loop", "resume")
    assert code == 1
    assert "nothing is halted" in err


def test_one_configuration_is_halted_alone(ringrift, root):
    assert ringrift("--root", root.root, "loop", "halt", "--config-key", "hex8_2p")[0] == 0
    assert halted(root.root) is None
    assert halted(root.root, "hex8_2p") is not None
    halt(root.root, reason="all")
    _, out, _ = ringrift("--root", root.root, "loop", "resume", "--config-key", "hex8_2p")
    assert "still there: this data root is halted" in out
    code, _, err = ringrift("--root", root.root, "loop", "halt", "--config-key", "hex9_2p")
    assert code == 2
    assert "unknown configuration" in err


def test_resume_lets_a_configuration_go_on_that_failures_hold(ringrift, root):
    tree = a_status()
    tree["configs"]["hex8_2p"] |= {"state": "held", "failures": 3}
    write_status(root, configs=tree["configs"])
    line = ("--root", root.root, "loop", "resume", "--config-key")
    assert ringrift(*line, "square8_2p")[0] == 1
    before = time.time()
    code, out, _ = ringrift(*line, "hex8_2p", "--json")
    assert (code, json.loads(out)["failed"]) == (0, ["hex8_2p"])
    assert resumed(root.root, ["hex8_2p"])["hex8_2p"] >= before
    assert resumed(root.root, ["square8_2p"]) == {}


# --- events


def write_events(root):
    log = Events(root.root / "logs" / "unified_loop")
    log.write("loop_started")
    log.write("milestone", "square8_2p", name="beats_random", minutes=4.0)
    log.write("milestone", "hex8_2p", name="first_model", minutes=0.1)
    return log


def test_events_are_chosen_by_kind_time_and_configuration(ringrift, root):
    write_events(root)
    line = ("--root", root.root, "loop", "events")
    _, out, _ = ringrift(*line)
    assert [text.split(maxsplit=1)[1] for text in out.splitlines()] == [
        "loop started",
        "square8_2p  milestone: beats_random after 4.0 min",
        "hex8_2p  milestone: first_model after 0.1 min",
    ]
    words = ("--since", "1h", "--kind", "milestone", "--config-key", "hex8_2p", "--json")
    _, out, _ = ringrift(*line, *words)
    tree = json.loads(out)
    assert problems(schema_of("loop events"), tree) == []
    assert [event["data"]["name"] for event in tree["events"]] == ["first_model"]
    assert ringrift(*line, "--since", "0")[1] == "no events\n"
    for words in (("--kind", "promotd"), ("--since", "soon")):
        assert ringrift(*line, *words)[0] == 2
    assert ringrift(*line, "--kind", "promotd")[2].strip().endswith("try promoted")


@pytest.mark.slow
def test_following_prints_what_was_and_what_comes(spawn, root):
    log = write_events(root)
    process = spawn("--root", str(root.root), "loop", "events", "--follow", "--json")
    numbers = [json.loads(process.stdout.readline())["seq"] for _ in range(3)]
    log.write("loop_stopped")
    numbers.append(json.loads(process.stdout.readline())["seq"])
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err, numbers) == (0, "", [1, 2, 3, 4])


# --- plan


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def played(root):
    """A root with games, two champions of square8_2p and a candidate."""
    from ringrift.models.decisions import append, read_chain
    from ringrift.nets.nnue.file import init_nnue
    from ringrift.records import AgentRef, GameStore, build_record
    from ringrift.rules import BoardSpec, Position

    spec = BoardSpec.create("square8", 2)
    agents = [AgentRef(spec="random", agent_hash="0" * 64)] * 2
    games = []
    for seed in range(3):
        position, moves = Position.of(spec), []
        while not position.is_over:
            legal = position.legal_packed()
            moves.append(int(legal[seed % len(legal)]))
            position.play(moves[-1])
        games.append(build_record(spec, seed, agents, moves))
    with GameStore.open(root.game_store, writer=True) as store:
        store.ingest([(game, None) for game in games])
    made = [
        init_nnue(spec, folder=root.model_objects, seed=seed, hidden=32, policy=True)
        for seed in range(3)
    ]
    chain = read_chain(root.decisions, "square8_2p")
    for path in made[:2]:
        chain = append(root.decisions, chain, kind="promoted", candidate=path.stem, reason="a test")
    return root


@pytest.mark.slow
def test_a_plan_changes_no_file_and_names_states_gates_and_jobs(ringrift, played):
    line = ("--root", played.root, "loop", "plan", "--profile", "quick", "--min-games", "5")
    before = hashes(played.root)
    code, out, _ = ringrift(*line, "--json")
    assert code == 0
    tree = json.loads(out)
    assert problems(schema_of("loop plan"), tree) == []
    assert list(tree["configs"]) == ["square8_2p"]
    assert tree["configs"]["square8_2p"]["trigger"] >= 1
    code, out, _ = ringrift(*line)
    assert code == 0
    assert out.startswith("square8_2p  ")
    after = hashes(played.root)
    sidecars = {f"data/games/games.db-{end}" for end in ("wal", "shm")}  # SQLite's, of a reader
    assert {name: value for name, value in after.items() if name not in sidecars} == before


@pytest.mark.slow
def test_two_plans_of_the_same_facts_name_the_same_jobs(ringrift, played):
    line = ("--root", played.root, "loop", "plan", "--profile", "quick", "--json")
    first, second = (json.loads(ringrift(*line)[1]) for _ in range(2))
    assert first["jobs"] == second["jobs"]


@pytest.mark.slow
def test_a_report_draws_png_svg_and_the_points(ringrift, played):
    write_events(played).write(
        "games_ingested",
        "square8_2p",
        1,
        games=3,
        total=3,
        new_games=3,
        trigger=5,
        games_per_hour=100.0,
        job_seconds={"selfplay": 30.0, "train": 10.0},
    )
    code, out, _ = ringrift("--root", played.root, "loop", "report", "--json")
    assert code == 0
    tree = json.loads(out)
    assert [Path(file).name for file in tree["files"]] == [
        "square8_2p.png",
        "square8_2p.svg",
        "square8_2p.json",
    ]
    png, svg, points = (Path(file).read_bytes() for file in tree["files"])
    assert png.startswith(b"\x89PNG")
    assert b"<svg" in svg
    tree = json.loads(points)
    assert tree["time_shares"][0]["selfplay"] == 0.75
    assert [each["kind"] for each in tree["decisions"]] == ["promoted"]
    assert tree["rates"][0]["games_per_hour"] == 100.0


# --- start, stop, options


def test_start_on_a_root_with_a_loop_is_exit_75_naming_it(ringrift, root):
    with held(root):
        code, _, err = ringrift("--root", root.root, "loop", "start", "--profile", "quick")
    assert code == 75
    assert f"process {os.getpid()} on" in err
    assert "loop stop" in err


def test_stop_without_a_loop_is_exit_3(ringrift, root):
    code, out, _ = ringrift("--root", root.root, "loop", "stop", "--json")
    assert (code, json.loads(out)["pid"]) == (3, None)


HOLDER = """
import signal, sys, time
from pathlib import Path
from ringrift.core.files import lock
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with lock(Path(sys.argv[1]), what="loop"):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(root):
    started = []

    def start(how):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(root.coordination / "loop.lock"), how],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        process.stdout.readline()
        threading.Thread(target=process.wait, daemon=True).start()  # as its shell would
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.stdout.close()


def test_stop_ends_the_loop_in_order(ringrift, root, holder):
    process = holder("ready")
    code, out, _ = ringrift("--root", root.root, "loop", "stop", "--timeout", "10", "--json")
    assert (code, json.loads(out)["pid"]) == (0, process.pid)


def test_a_loop_that_does_not_end_is_exit_75_and_kill_ends_it(ringrift, root, holder):
    holder("deaf")
    line = ("--root", root.root, "loop", "stop", "--timeout", "0.5")
    code, _, err = ringrift(*line)
    assert code == 75
    assert "still runs after 0.5 s" in err
    assert ringrift(*line, "--kill")[0] == 0
    assert ringrift(*line)[0] == 3


def test_start_hands_its_own_words_to_run():
    words = ["--root", "x", "loop", "start", "--profile", "quick", "--seed", "3"]
    assert as_run(words) == ["--root", "x", "loop", "run", "--profile", "quick", "--seed", "3"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("plan", "--configs", "square9_2p"), "unknown 'square9_2p'"),
        (("plan", "--only", "trian"), "unknown 'trian'"),
        (("plan", "--only", ","), "expected a comma list"),
        (("start", "--dry-run", "--until", "beats_everyone"), "unknown 'beats_everyone'"),
        (("iterate", "--dry-run", "--promotion-threshold", "0.5"), "above 0.5"),
        (("iterate", "--dry-run", "--promotion-confidence", "1"), "below 1"),
        (("iterate", "--dry-run", "--promotion-pool-threshold", "1"), "below 1"),
        (("iterate", "--dry-run", "--selfplay-engine-mode", "wild"), "--selfplay-engine-mode"),
        (("iterate", "--dry-run", "--replay-db", "data/games/replay.db"), "all live in"),
        (("iterate", "--dry-run", "--staging-db-dir", "staging"), "waits for it in"),
        (("iterate", "--dry-run", "--holdout-db", "holdout.db"), "all live in"),
        (("iterate", "--dry-run", "--quarantine-db", "quarantine.db"), "--quarantine-db"),
        (("iterate", "--dry-run", "--board", "square9"), "unknown configuration"),
        (("watch", "--daemon", "--check-once"), "one at a time"),
    ],
)
def test_bad_requests_are_usage_errors_that_name_the_option(ringrift, root, words, text):
    code, _, err = ringrift("--root", root.root, "loop", *words)
    assert code == 2
    assert text in err


@pytest.mark.parametrize("name", ["--allow-legacy", "--allow-pending-gate"])
def test_unverified_games_are_refused_with_a_sentence(ringrift, root, name):
    code, _, err = ringrift("--root", root.root, "loop", "iterate", name)
    assert code == 4
    assert "unverified games cannot be trained on" in err
