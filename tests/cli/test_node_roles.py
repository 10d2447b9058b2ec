"""`ringrift node roles`: who holds what, and the end of registered tasks."""

import json
import os
import signal
import subprocess

import pytest

from ringrift.core.host_table import HostTable, start_ticks
from ringrift.core.roles import hold_role


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    host = tmp_path / "host"
    host.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(host))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def command(ringrift, root):
    def run(*words):
        return ringrift("--root", root, "node", "roles", *words)

    return run


@pytest.fixture
def sleepers():
    """Start processes that sleep; what the test leaves is killed."""
    started = []

    def start():
        process = subprocess.Popen(["sleep", "60"])
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def answer(result):
    code, out, _err = result
    return code, json.loads(out)


def test_status_of_an_idle_host_writes_nothing(command, root, tmp_path):
    code, fields = answer(command("--json"))
    assert code == 0
    assert fields["tasks"] == []
    assert not any(state["held"] for state in fields["roles"])
    assert {state["role"] for state in fields["roles"]} == {
        "orchestrator",
        "training",
        "tournament",
        "collector",
        "provisioner",
        "guard",
    }
    assert command("--status")[0] == 0
    assert list(root.iterdir()) == []
    assert list((tmp_path / "host").iterdir()) == []


def test_status_names_holders_and_tasks(command, root, sleepers):
    table = HostTable.open()
    process = sleepers()
    table.add(category="selfplay", command="ringrift selfplay run", root=root, pid=process.pid)
    with hold_role(root, "guard", command="ringrift loop run"):
        code, fields = answer(command("--json"))
        assert code == 0
        (held,) = [state for state in fields["roles"] if state["held"]]
        assert (held["role"], held["holder"]["pid"]) == ("guard", os.getpid())
        (task,) = fields["tasks"]
        assert (task["pid"], task["command"]) == (process.pid, "ringrift selfplay run")
        assert task["started_at"].endswith("Z")
        _, out, _ = command("--status")
    assert "ringrift loop run" in out
    assert "ringrift selfplay run" in out


def test_check_role_tells_free_from_held(command, root):
    code, fields = answer(command("--check-role", "orchestrator", "--json"))
    assert (code, fields["free"]) == (0, True)
    with hold_role(root, "orchestrator", command="ringrift loop run"):
        code, fields = answer(command("--check-role", "orchestrator", "--json"))
        assert (code, fields["ok"], fields["free"]) == (75, False, False)
        code, out, _ = command("--check-role", "orchestrator")
        assert code == 75
        assert f"orchestrator is held by process {os.getpid()} on" in out
        assert "ringrift loop run" in out
    assert command("--check-role", "orchestrator")[0] == 0


def test_check_role_training_asks_for_a_device(command, root):
    with hold_role(root, "training", device=3):
        assert command("--check-role", "training", "--device", "3")[0] == 75
        assert command("--check-role", "training", "--device", "2")[0] == 0


def test_cleanup_removes_dead_rows_only(command, root, sleepers):
    table = HostTable.open()
    dead, alive = sleepers(), sleepers()
    for process in (dead, alive):
        table.add(category="selfplay", command="x", root=root, pid=process.pid)
    dead.kill()
    dead.wait()
    for words, dry in ((("--cleanup", "--dry-run"), True), (("--cleanup",), False)):
        code, fields = answer(command(*words, "--json"))
        assert code == 0
        assert fields["dry_run"] is dry
        assert [task["pid"] for task in fields["tasks"]] == [dead.pid]
    assert answer(command("--cleanup", "--json"))[1]["tasks"] == []
    assert start_ticks(alive.pid)


def test_kill_category_ends_the_tasks_of_this_root_and_category_only(command, root, sleepers):
    table = HostTable.open()
    wanted, other_category, other_root, stranger = (sleepers() for _ in range(4))
    table.add(category="selfplay", command="a", root=root, pid=wanted.pid)
    table.add(category="training", command="b", root=root, pid=other_category.pid)
    table.add(category="selfplay", command="c", root=root / "x", pid=other_root.pid)
    code, _, err = command("--kill-category", "selfplay")
    assert code == 2, "without a terminal it needs --yes"
    assert "--yes" in err
    assert str(wanted.pid) in err
    code, fields = answer(command("--kill-category", "selfplay", "--dry-run", "--json"))
    assert (code, [task["pid"] for task in fields["tasks"]]) == (0, [wanted.pid])
    assert wanted.poll() is None
    code, fields = answer(command("--kill-category", "selfplay", "--yes", "--json"))
    assert code == 0
    assert [(task["pid"], task["result"]) for task in fields["tasks"]] == [(wanted.pid, "ended")]
    assert wanted.wait() == -signal.SIGTERM
    for process in (other_category, other_root, stranger):
        assert process.poll() is None


def test_a_category_without_tasks_is_nothing_to_do(command):
    code, fields = answer(command("--kill-category", "selfplay", "--json"))
    assert (code, fields["tasks"]) == (0, [])


def test_a_task_that_cannot_be_ended_is_exit_5(command, root):
    with HostTable.open().registered(category="selfplay", command="me", root=root):
        code, fields = answer(command("--kill-category", "selfplay", "--yes", "--json"))
    assert code == 5
    assert fields["tasks"][0]["result"] == "this process"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--status", "--cleanup"), "one at a time"),
        (("--check-role", "boss"), "expected one of orchestrator"),
        (("--device", "0"), "--check-role training"),
        (("--check-role", "guard", "--device", "0"), "--check-role training"),
    ],
)
def test_words_that_do_not_fit_are_usage_errors(command, words, text):
    code, _, err = command(*words)
    assert code == 2
    assert text in err
