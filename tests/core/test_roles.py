"""One holder per role, and the end of registered tasks: with real processes and real locks."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ringrift.core.errors import BusyError, UsageError
from ringrift.core.host_table import HostTable, Task, start_ticks
from ringrift.core.roles import (
    ROLES,
    end_tasks,
    find_dead,
    hold_role,
    remove_dead,
    role_named,
    role_state,
    role_states,
)

HOLDER = """
import sys, time
from pathlib import Path
from ringrift.core.roles import hold_role

device = int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3].isdigit() else None
with hold_role(Path(sys.argv[1]), sys.argv[2], device=device):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path):
    """Start a process that holds a role; all are killed at the end."""
    started = []
    path = tmp_path / "holder.py"
    path.write_text(HOLDER)

    def begin(*arguments):
        process = subprocess.Popen(
            [sys.executable, path, *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_orchestrator_is_refused_naming_the_first(root, start):
    first = start(root, "orchestrator", "--auth-token", "xyzzy")
    with pytest.raises(BusyError) as caught, hold_role(root, "orchestrator"):
        pass
    assert caught.value.exit_code == 75
    text = str(caught.value)
    assert f"the role orchestrator is held by process {first.pid} on " in text
    assert "started 20" in text
    assert f"holder.py {root} orchestrator --auth-token '***'" in text
    assert "xyzzy" not in text
    with hold_role(root.with_name("other"), "orchestrator"):
        pass  # another data root has its own


@pytest.mark.timed
def test_a_role_whose_process_was_killed_is_free_at_once(root, start):
    first = start(root, "collector")
    first.kill()
    first.wait()
    before_s = time.monotonic()
    with hold_role(root, "collector") as holder:
        assert holder.pid == os.getpid()
        assert time.monotonic() - before_s < 0.2
        assert role_state(root, "collector").holder == holder
    state = role_state(root, "collector")
    assert (state.held, state.holder) == (False, None)


def test_training_is_one_per_gpu_of_the_host_whatever_the_root(root, start):
    start(root, "training", 1)
    other = root.with_name("other")
    with (
        pytest.raises(BusyError, match="training on GPU 1 is held"),
        hold_role(other, "training", device=1),
    ):
        pass
    with hold_role(other, "training", device=0), hold_role(other, "training"):
        states = role_states(root, devices=(None, 0, 1, 2))
    held = {state.name for state in states if state.held}
    assert held == {"training", "training on GPU 0", "training on GPU 1"}


def test_every_role_is_shown_and_looking_writes_nothing(root):
    states = role_states(root)
    assert [state.role for state in states] == list(ROLES)
    assert not any(state.held for state in states)
    assert list(root.iterdir()) == []


def test_a_note_of_an_earlier_holder_is_not_taken_for_the_present_ones(root, start):
    first = start(root, "guard")
    first.kill()
    first.wait()
    note = root / "data/coordination/roles/guard.json"
    text = note.read_text()
    with hold_role(root, "guard"):
        note.write_text(text)
        assert role_state(root, "guard").holder.command is None
        note.write_text("no json")
        assert role_state(root, "guard").holder.command is None


def test_whoever_looks_at_a_role_does_not_keep_it_from_being_taken(root):
    with hold_role(root, "tournament"):
        pass
    looking = os.open(role_state(root, "tournament").path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not role_state(root, "tournament").held, "nor does one looker see the other"
    done = threading.Timer(0.05, os.close, (looking,))
    done.start()
    with hold_role(root, "tournament"):
        assert role_state(root, "tournament").held
    done.join()


def test_unknown_roles_are_usage_errors():
    assert role_named("guard") == "guard"
    with pytest.raises(UsageError, match="expected one of orchestrator"):
        role_named("boss")


def test_cleanup_removes_what_ended_processes_left_and_nothing_else(root, start):
    table = HostTable.open()
    with table.registered(category="selfplay", command="here", root=root):
        ended = subprocess.Popen(["sleep", "60"])
        table.add(category="selfplay", command="gone", root=root, pid=ended.pid)
        ended.kill()
        ended.wait()
        killed = start(root, "guard")
        start(root, "collector")
        killed.kill()
        killed.wait()
        found = find_dead(root)
        assert found == find_dead(root), "looking changes nothing"
        tasks, notes = remove_dead(root)
        assert (tasks, notes) == found
        assert [task.command for task in tasks] == ["gone"]
        assert [note.name for note in notes] == ["guard.json"]
        assert [task.command for task in table.tasks()] == ["here"]
        assert role_state(root, "collector").holder.command
        assert remove_dead(root) == ([], [])


def task_of(process, root):
    return HostTable.open().add(category="selfplay", command="x", root=root, pid=process.pid)


def test_tasks_end_with_sigterm_and_after_the_grace_with_sigkill(root):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    processes = [
        subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE),
        subprocess.Popen(
            [sys.executable, "-c", f"{stubborn}; time.sleep(60)"], stdout=subprocess.PIPE
        ),
    ]
    processes[1].stdout.readline()
    tasks = [task_of(process, root) for process in processes]
    results = end_tasks(tasks, grace_s=0.3)
    assert [each.result for each in results] == ["ended", "ended"]
    assert [process.wait() for process in processes] == [-signal.SIGTERM, -signal.SIGKILL]
    for process in processes:
        process.stdout.close()
    assert HostTable.open().tasks() == []


def test_a_task_whose_pid_is_another_process_now_is_left_alone(root):
    process = subprocess.Popen(["sleep", "60"])
    try:
        task = task_of(process, root)
        former = {name: getattr(task, name) for name in task.__dataclass_fields__}
        reused = Task(**{**former, "start_ticks": task.start_ticks - 1})
        assert end_tasks([reused])[0].result == "ended"
        assert start_ticks(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_command_does_not_end_itself(root):
    with HostTable.open().registered(category="selfplay", command="me", root=root) as task:
        assert end_tasks([task])[0].result == "this process"
