"""The host's table: whose tasks run, who may join, and that no row outlives its process."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from ringrift.core import host_table
from ringrift.core.errors import RefusedError
from ringrift.core.host_table import HostTable, host_folder, start_ticks


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def table():
    with HostTable.open() as opened:
        yield opened


def start(code: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def sleeper() -> subprocess.Popen:
    return subprocess.Popen(["sleep", "60"])


def test_a_task_says_what_it_is_and_leaves_with_its_block(table, tmp_path):
    import psutil

    with table.registered(
        category="training",
        command="train nn",
        root=tmp_path,
        job="j1",
        device=1,
        memory_bytes=3,
        disk_bytes=4,
        disk_path=tmp_path,
        gpu_bytes=5,
    ) as task:
        assert table.tasks() == [task]
        assert (task.pid, task.start_ticks) == (os.getpid(), start_ticks(os.getpid()))
        assert abs(task.started_at - psutil.Process().create_time()) < 0.01
        assert abs(task.registered_at - time.time()) < 60
        assert (task.root, task.disk_path, task.device) == (str(tmp_path), str(tmp_path), 1)
        needs = (task.needs_memory_bytes, task.needs_disk_bytes, task.needs_gpu_bytes)
        assert needs == (3, 4, 5)
        assert table.tasks(root=tmp_path, category="training") == [task]
        assert table.tasks(root=tmp_path / "other") == []
        assert table.tasks(category="selfplay") == []
    assert table.tasks() == []
    table.remove(task)  # it has left already: no error


def test_the_table_is_strict(table):
    table.tasks()
    with sqlite3.connect(table.path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO tasks VALUES (1, 'x', 1, 1, 'c', 'c', NULL, NULL, NULL, 0, 0, NULL, 0, 0)"
        )


def test_a_killed_process_leaves_no_task(table):
    child = sleeper()
    table.add(category="selfplay", command="x", pid=child.pid)
    assert [task.pid for task in table.tasks()] == [child.pid]
    child.send_signal(signal.SIGKILL)
    deadline_s = time.monotonic() + 5
    while table.tasks() and time.monotonic() < deadline_s:  # a zombie counts as gone
        time.sleep(0.01)
    assert table.tasks() == []
    child.wait()
    assert [task.pid for task in table.purge()] == [child.pid]
    assert table.purge() == []


def test_a_pid_that_was_given_away_is_another_process(table):
    task = table.add(category="selfplay", command="x")
    table._connection().execute("UPDATE tasks SET start_ticks = start_ticks - 1")
    assert not table.tasks()
    assert table.add(category="selfplay", command="y", accept=lambda others: not others)
    table.remove(task)
    assert [found.command for found in table.tasks()] == ["y"]


def test_an_ended_process_cannot_be_registered(table):
    child = sleeper()
    child.kill()
    child.wait()
    with pytest.raises(RefusedError, match=str(child.pid)):
        table.add(category="x", command="y", pid=child.pid)


RACER = """
import sys
from ringrift.core.host_table import HostTable
sys.stdin.readline()
task = HostTable.open().add(category="x", command="y", accept=lambda others: len(others) < 2)
print(task is not None, flush=True)
sys.stdin.readline()
"""


def test_of_processes_that_start_at_once_only_as_many_join_as_are_accepted(table):
    racers = [start(RACER) for _ in range(6)]  # the file does not exist yet: they also race for it
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.stdout.readline().strip() for racer in racers]
    assert sorted(answers) == ["False"] * 4 + ["True"] * 2
    assert len(table.tasks()) == 2
    for racer in racers:
        racer.communicate("end\n")
    assert table.tasks() == []


def test_a_failing_accept_registers_nothing(table):
    def fail(_others):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table.add(category="x", command="y", accept=fail)
    assert table.tasks() == []
    assert table.add(category="x", command="y") is not None


@pytest.mark.timed
def test_readers_do_not_wait_for_somebody_who_registers(table):
    child = sleeper()
    table.add(category="x", command="dead", pid=child.pid)
    child.kill()
    child.wait()
    seen = []

    def accept(_others):
        with HostTable.open() as other:
            seen.append((other.tasks(), time.monotonic()))
        return True

    began_s = time.monotonic()
    table.add(category="x", command="y", accept=accept)
    assert seen[0][0] == []
    assert seen[0][1] - began_s < 5


FORKED = """
import os
from ringrift.core.host_table import HostTable
table = HostTable.open()
with table.registered(category="x", command="y"):
    parent = bool(os.fork())
    if parent:
        os.wait()
        print("after the child", len(table.tasks()), flush=True)
print("parent" if parent else "child", len(table.tasks()), flush=True)
"""


def test_a_forked_child_that_leaves_the_block_takes_no_task_with_it():
    out, _ = start(FORKED).communicate()
    assert out.splitlines() == ["child 1", "after the child 1", "parent 0"]


def test_an_error_in_the_block_removes_the_task(table):
    def work():
        with table.registered(category="x", command="y"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert table.tasks() == []


def test_any_thread_may_use_it(table):
    counts = []

    def work():
        with table.registered(category="x", command="y"):
            counts.append(len(table.tasks()))
        table.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 8
    assert table.tasks() == []


def test_a_table_that_somebody_deleted_is_made_anew(table):
    table.add(category="x", command="old")
    for path in table.path.parent.glob("host.db*"):
        path.unlink()
    assert table.tasks() == []
    assert table.add(category="x", command="new") is not None
    with HostTable.open() as other:
        assert [task.command for task in other.tasks()] == ["new"]


def test_looking_for_the_table_creates_nothing(tmp_path):
    assert HostTable.find() is None
    assert list(tmp_path.iterdir()) == []
    HostTable.open().tasks()
    assert HostTable.find() is not None


def test_the_folder_is_private_and_lies_where_the_system_says(tmp_path, monkeypatch):
    folder = host_folder()
    assert folder == tmp_path / "ringrift"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert host_folder().stat().st_mode & 0o777 == 0o700
    for missing in ("", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", missing)
        monkeypatch.setattr(host_table.tempfile, "gettempdir", lambda: str(tmp_path))
        assert host_folder() == tmp_path / f"ringrift-{os.getuid()}"


def test_a_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ringrift").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="somebody else"):
        host_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / "ringrift").mkdir()
    os.chown(tmp_path / "ringrift", 12345, 12345)
    with pytest.raises(RefusedError) as caught:
        host_folder()
    assert caught.value.exit_code == 4
