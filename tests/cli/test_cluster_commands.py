"""`ringrift cluster` against a real hub: its jobs, its streams, its backup."""

import json
import os
import signal
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from ringrift.cli.reference.schemas import schema_of
from ringrift.cluster.attempts import Attempts, FailedAttempt
from ringrift.cluster.bus import Bus
from ringrift.cluster.claims import Claims, Place
from ringrift.cluster.hub import Hub, is_healthy
from ringrift.cluster.jobs import JobQueue, JobResult
from ringrift.cluster.keys import node_key
from ringrift.cluster.lease import Lease
from ringrift.cluster.streams import Subjects, ensure
from ringrift.core.paths import Paths

sys.path.insert(0, str(Path(__file__).parent))
from json_schema import problems

sys.path.pop(0)

SUBJECTS = Subjects()
VERIFY = {
    "kind": "verify",
    "config": "hex8_2p",
    "spec": {"config": "hex8_2p", "model": "m1", "champion": "m0"},
}


@pytest.fixture
def paths(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    return paths


@pytest.fixture
def hub(paths):
    key = node_key(paths.cluster / "node.nk")
    with Hub(paths.cluster / "hub", users=(key.public,)) as hub:
        yield hub


@pytest.fixture
def bus(hub, paths):
    with Bus(hub.state.url, node_key(paths.cluster / "node.nk"), node="one") as bus:
        bus.run(ensure(bus.js, SUBJECTS, games_bytes=64 << 20))
        yield bus


@pytest.fixture
def call(ringrift, paths, monkeypatch):
    """Run a command with --json: (code, the object it printed)."""

    def run(*words, root=paths.root):
        monkeypatch.setenv("RINGRIFT_NODE_ID", "one")
        code, out, err = ringrift("--root", root, "cluster", *words, "--json")
        assert "Traceback" not in err
        found = json.loads(out)
        name = "error" if "error" in found and isinstance(found["error"], dict) else None
        assert problems(schema_of(name or found["command"]), found) == []
        return code, found

    return run


@pytest.fixture
def job_file(tmp_path):
    def write(**changes):
        path = tmp_path / "job.json"
        path.write_text(json.dumps({**VERIFY, **changes}))
        return path

    return write


COMMANDS = [
    ("hub", "status"),
    ("hub", "status", "--repair"),
    ("hub", "backup"),
    ("jobs", "list"),
    ("jobs", "show", "a"),
    ("jobs", "cancel", "a"),
    ("jobs", "retry", "a"),
    ("jobs", "dead"),
    ("jobs", "watch"),
]


def test_without_a_hub_each_ends_with_3_and_one_line(ringrift, paths, job_file):
    for words in [*COMMANDS, ("jobs", "submit", str(job_file()))]:
        code, out, err = ringrift("--root", paths.root, "cluster", *words)
        assert (code, out) == (3, ""), words
        (line,) = err.splitlines()
        assert line.startswith("error: no hub runs on this data root")
        assert line.endswith("try ringrift loop start")
    assert not (paths.cluster / "node.nk").exists()


def test_a_job_is_filed_listed_shown_and_cancelled(call, bus, job_file, paths):
    code, found = call("jobs", "submit", job_file(), "--dry-run")
    assert (code, found["answer"]) == (0, "checked")
    assert call("jobs", "list")[1]["jobs"] == []
    code, filed = call("jobs", "submit", job_file(reason="a test", prio=0))
    assert (code, filed["answer"]) == (0, "filed")
    assert call("jobs", "submit", job_file(reason="a test", prio=0))[1]["answer"] == "open"

    (row,) = call("jobs", "list")[1]["jobs"]
    assert (row["id"], row["status"], row["node"], row["prio"]) == (filed["id"], "waiting", None, 0)
    claims = Claims(bus, noted=paths.cluster / "claims")
    assert claims.next([Place("verify", "cpu", 0)]) is not None
    (row,) = call("jobs", "list")[1]["jobs"]
    assert (row["status"], row["node"]) == ("taken", "one")
    for words, count in (
        (("--kind", "verify", "--config-key", "hex8_2p", "--status", "taken"), 1),
        (("--node", "one"), 1),
        (("--node", "two"), 0),
        (("--status", "waiting"), 0),
        (("--kind", "train"), 0),
    ):
        assert call("jobs", "list", *words)[1]["total"] == count

    code, shown = call("jobs", "show", filed["id"][:8])
    assert (code, shown["job"]["spec"], shown["reason"]) == (0, VERIFY["spec"], "a test")
    code, _ = call("jobs", "cancel", filed["id"][:8], "--dry-run")
    assert (code, call("jobs", "list")[1]["counts"]) == (0, {"taken": 1})
    assert call("jobs", "cancel", filed["id"][:8], "--reason", "enough")[0] == 0
    code, shown = call("jobs", "show", filed["id"])
    assert (shown["status"], shown["error"]) == ("cancelled", "enough")
    code, failed = call("jobs", "cancel", filed["id"])
    assert (code, "has ended: cancelled" in failed["error"]["message"]) == (1, True)
    assert call("jobs", "submit", job_file(reason="a test", prio=0))[1]["answer"] == "done"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec": {**VERIFY["spec"], "modl": 1}}, "spec.modl: Extra inputs"),
        ({"needs": {"cpus": 2}}, "needs.cpus: unknown key"),
        ({"prios": 0}, "prios: unknown key"),
        ({"kind": "sleep"}, "kind: Input should be"),
        ({"config": "hex9_2p"}, "config: found 'hex9_2p'"),
        ({"config": "hex8_3p"}, "spec.config: found 'hex8_2p'"),
        ({"timeout_s": 0}, "timeout_s: "),
        ({"kind": "bench"}, "unknown kind of job 'bench'"),
    ],
)
def test_a_wrong_key_is_named_with_its_path_before_any_hub_is_asked(call, job_file, changes, said):
    path = job_file(**changes)
    code, found = call("jobs", "submit", path)
    assert code == 2
    assert said in found["error"]["message"]
    assert str(path) in json.dumps(found["error"])


def test_what_is_no_json_is_6(call, tmp_path):
    path = tmp_path / "job.json"
    for text in ("{", "[]"):
        path.write_text(text)
        assert call("jobs", "submit", path)[0] == 6
    assert call("jobs", "submit", tmp_path / "none.json")[0] == 6


def test_names_that_no_job_has_are_2(call, bus, job_file):
    filed = call("jobs", "submit", job_file())[1]["id"]
    for words in (
        ("jobs", "show", "zz"),
        ("jobs", "show", ""),
        ("jobs", "cancel", "0" * 64),
        ("jobs", "retry", filed[:6]),
        ("jobs", "list", "--kind", "sleep"),
        ("jobs", "list", "--status", "asleep"),
        ("jobs", "watch", "--config-key", "hex9_2p"),
    ):
        assert call(*words)[0] == 2, words


def give_up(bus, job, nodes=("one",) * 3):
    attempts = Attempts(bus.js, SUBJECTS)
    for number, node in enumerate(nodes, start=1):
        failed = FailedAttempt(
            job_id=job.id,
            kind=job.kind,
            config=job.config,
            node=node,
            attempt=number,
            at=time.time(),
            error={"type": "DataError", "message": f"bad {number}", "tail": "line 7"},
        )
        bus.run(attempts.tell(failed))
    assert len(bus.run(attempts.settle("one"))) == 1


def test_dead_letters_are_listed_tried_again_and_purged(call, bus, job_file):
    filed = call("jobs", "submit", job_file())[1]["id"]
    (open_job,) = bus.run(JobQueue(bus.js, SUBJECTS).open())
    give_up(bus, open_job.job)
    code, found = call("jobs", "dead")
    assert code == 0
    assert [each["message"] for each in found["dead"][0]["attempts"]] == ["bad 1", "bad 2", "bad 3"]
    _, shown = call("jobs", "show", filed[:10])
    assert (shown["status"], len(shown["failed_attempts"])) == ("failed", 3)
    assert shown["job"]["spec"] == VERIFY["spec"]
    assert call("jobs", "retry", filed[:10], "--dry-run")[0] == 0
    assert call("jobs", "list")[1]["counts"] == {"failed": 1}
    assert call("jobs", "retry", filed[:10])[0] == 0
    assert call("jobs", "list")[1]["counts"] == {"waiting": 1}

    give_up(bus, open_job.job, nodes=("one", "two", "three"))
    code, found = call("jobs", "retry", filed)
    assert (code, found["error"]["hint"]) == (4, "--force")
    assert call("jobs", "retry", filed, "--force")[0] == 0
    give_up(bus, open_job.job)
    assert call("jobs", "dead", "--purge", "--kind", "train")[1]["dead"] == []
    assert call("jobs", "dead", "--purge", "--dry-run")[1]["purged"] is False
    assert call("jobs", "dead", "--purge")[1]["purged"] is True
    assert call("jobs", "dead")[1]["dead"] == []
    assert call("jobs", "list")[1]["counts"] == {"failed": 1}


def test_watch_tells_each_change(bus, ringrift, paths, call, job_file):
    filed = call("jobs", "submit", job_file())[1]["id"]
    result = JobResult(
        job_id=filed,
        kind="verify",
        config="hex8_2p",
        node="two",
        status="done",
        started_at=1.0,
        ended_at=time.time(),
        attempts=1,
    )
    later = threading.Timer(0.5, lambda: bus.run(JobQueue(bus.js, SUBJECTS).store(result)))
    later.start()
    words = ("--root", paths.root, "cluster", "jobs", "watch", "--duration", "2.5", "--json")
    code, out, _ = ringrift(*words)
    later.join()
    *changes, last = map(json.loads, out.splitlines())
    schema = schema_of("cluster jobs watch")
    assert code == 0
    assert problems(schema, last) == []
    (change,) = changes
    assert problems(schema["x-line"], change) == []
    assert (change["id"], change["status"], change["node"]) == (filed, "done", "two")
    assert (last["changes"], last["open"]) == ({"done": 1}, 0)


def test_the_hub_tells_how_it_stands(call, bus, hub, paths):
    with Lease(bus, key="leader", ttl_s=6, incarnation=lambda: 7, node="one", alone=True) as lease:
        assert lease.wait(10)
        code, found = call("hub", "status")
        assert code == 0
        assert found["server"]["pid"] == hub.state.pid
        assert found["server"]["incarnation"] == hub.state.incarnation
        assert found["server"]["memory_bytes"] > 1 << 20
        assert {each["condition"] for each in found["holds"]} == {"ok"}
        deadline_s = time.monotonic() + 10
        while found["leader"]["term"] != str(lease.term) and time.monotonic() < deadline_s:
            time.sleep(0.5)  # until it was renewed
            found = call("hub", "status")[1]
        assert (found["leader"]["node"], found["leader"]["term"]) == ("one", str(lease.term))
    assert call("hub", "status")[1]["leader"] is None


def test_wrong_streams_are_named_and_repaired(call, bus, ringrift, paths):
    bus.run(bus.js.delete_stream("KV_committed"))
    bus.run(bus.js.delete_stream("GAMES"))
    bus.run(bus.js.add_stream(StreamConfig(name="GAMES", subjects=["rr.game.>"], max_age=60.0)))
    bus.run(bus.js.publish("rr.game.one.r", b"x"))
    code, found = call("hub", "status")
    assert (code, found["ok"], found["changes"]) == (1, False, [])
    bad = {each["name"]: each for each in found["holds"] if each["condition"] != "ok"}
    assert {name: each["condition"] for name, each in bad.items()} == {
        "GAMES": "differs",
        "committed": "missing",
    }
    assert "max_age" in {each["setting"] for each in bad["GAMES"]["differences"]}
    code, found = call("hub", "status", "--repair")
    assert (code, len(found["changes"])) == (0, 2)
    assert next(e for e in found["holds"] if e["name"] == "GAMES")["messages"] == 1

    bus.run(bus.js.delete_stream("JOBS"))
    bus.run(bus.js.add_stream(StreamConfig(name="JOBS", subjects=["rr.job.>"], allow_direct=True)))
    code, out, _ = ringrift("--root", paths.root, "cluster", "hub", "status")
    assert code == 1
    assert "retention limits; expected workqueue" in out
    assert "--repair" in out
    code, found = call("hub", "status", "--repair")  # nobody to ask
    assert (code, "stream JOBS" in found["error"]["message"]) == (2, True)
    code, found = call("hub", "status", "--repair", "--yes")
    assert (code, found["changes"]) == (0, ["stream JOBS made anew"])


def test_a_hub_that_does_not_run_is_started_for_its_repair(call, paths):
    key = node_key(paths.cluster / "node.nk")
    with (
        Hub(paths.cluster / "hub", users=(key.public,)) as hub,
        Bus(hub.state.url, key, node="one") as bus,
    ):
        bus.run(ensure(bus.js, SUBJECTS, games_bytes=64 << 20))
        bus.run(bus.js.delete_stream("EVENTS"))
    assert call("hub", "status")[0] == 3
    code, found = call("hub", "status", "--repair")
    assert (code, found["changes"]) == (0, ["stream EVENTS made"])
    assert not is_healthy(found["server"]["monitor_port"])
    assert call("hub", "status")[0] == 3


def test_a_hub_that_does_not_answer_is_3(call, hub):
    os.kill(hub.state.pid, signal.SIGSTOP)
    try:
        code, found = call("jobs", "list")
    finally:
        os.kill(hub.state.pid, signal.SIGCONT)
    assert (code, "does not answer" in found["error"]["message"]) == (3, True)


def test_a_backup_is_written_once(call, bus, tmp_path, paths):
    target = tmp_path / "hub.tar"
    code, found = call("hub", "backup", "--output", target, "--dry-run")
    assert (code, found["bytes"], target.exists()) == (0, None, False)
    code, found = call("hub", "backup", "--output", target)
    assert (code, found["bytes"]) == (0, target.stat().st_size)
    with tarfile.open(target) as archive:
        assert "hub/JOBS/stream.tar.s2" in archive.getnames()
    assert call("hub", "backup", "--output", target)[0] == 2
    code, found = call("hub", "backup")
    assert (code, found["file"].startswith(str(paths.cluster / "backups"))) == (0, True)
