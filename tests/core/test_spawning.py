"""Bounds on starting programs, and the end of all they started: with real processes."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from ringrift.core import ending
from ringrift.core.backpressure import Backpressure
from ringrift.core.emergency import halt
from ringrift.core.ending import ProcessName, end_processes
from ringrift.core.errors import BusyError, SettingsError, UsageError
from ringrift.core.host_table import HostTable, Task, start_ticks
from ringrift.core.spawn_limits import SpawnLimits, current_depth, spawn_status
from ringrift.core.spawning import SpawnLimiter, end_leftovers, shown_command


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RINGRIFT_SPAWN_DEPTH", raising=False)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def gone(pid, within_s=3.0):
    deadline_s = time.monotonic() + within_s
    while start_ticks(pid) is not None:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def script(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    return path


FORK_LOOP = """
import sys
from pathlib import Path
from ringrift.core.errors import BusyError
from ringrift.core.spawning import SpawnLimiter, SpawnLimits

log, depth = Path(sys.argv[1]), int(sys.argv[2])
with log.open("a") as file:
    file.write("started\\n")
try:
    limiter = SpawnLimiter(limits=SpawnLimits(max_depth=depth))
    with limiter.spawn([sys.executable, *sys.argv], category="test") as child:
        sys.exit(child.wait())
except BusyError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
def test_a_fork_loop_stops_at_the_thirtieth_spawn(tmp_path):
    path, log = script(tmp_path, FORK_LOOP), tmp_path / "log"
    done = subprocess.run(
        [sys.executable, path, log, "40"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert "30 programs started within 60 s; at most 30" in done.stderr
    assert log.read_text().count("started") == 31, "the first and thirty below it"
    assert HostTable.open().tasks() == []


def test_a_program_may_start_programs_two_levels_deep(tmp_path):
    path, log = script(tmp_path, FORK_LOOP), tmp_path / "log"
    done = subprocess.run(
        [sys.executable, path, log, "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert "depth 2; at most 2" in done.stderr
    assert log.read_text().count("started") == 3


@pytest.mark.parametrize("text", ["-1", "two", "1.5", ""])
def test_a_depth_that_is_no_number_is_a_settings_error(text):
    with pytest.raises(SettingsError, match="RINGRIFT_SPAWN_DEPTH"):
        current_depth({"RINGRIFT_SPAWN_DEPTH": text})


def test_thirty_starts_a_minute_on_the_whole_host(tmp_path):
    now_s = 1000.0
    limiters = [SpawnLimiter(tmp_path / name, clock=lambda: now_s) for name in ("a", "b")]
    for number in range(30):
        with limiters[number % 2].spawn(["true"], category="test") as child:
            child.wait()
    with pytest.raises(BusyError, match="the next in 60 s") as caught:
        limiters[0].spawn(["true"], category="test").__enter__()
    assert caught.value.exit_code == 75
    now_s = 1060.0
    with limiters[0].spawn(["true"], category="test") as child:
        assert child.wait() == 0
    now_s = 5.0  # the clock was set back: old starts must not block for long
    with limiters[0].spawn(["true"], category="test") as child:
        assert child.wait() == 0


CHILD = """
import sys
from ringrift.core.errors import BusyError
from ringrift.core.spawning import SpawnLimiter, SpawnLimits

limiter = SpawnLimiter(limits=SpawnLimits(selfplay=3), sleep=lambda _s: None)
sys.stdin.readline()
try:
    with limiter.spawn(["sleep", "60"], category="selfplay") as child:
        print("started", flush=True)
        sys.stdin.readline()
except BusyError as error:
    print(error, flush=True)
"""


def test_of_many_that_start_at_once_as_many_as_the_bound_get_a_place(tmp_path):
    path = script(tmp_path, CHILD)
    starters = [
        subprocess.Popen(
            [sys.executable, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(7)
    ]
    for starter in starters:
        starter.stdin.write("\n")
        starter.stdin.flush()
    answers = [starter.stdout.readline() for starter in starters]
    assert answers.count("started\n") == 3
    assert sum("3 processes of 'selfplay' run; at most 3" in answer for answer in answers) == 4
    tasks = HostTable.open().tasks(category="selfplay")
    assert [task.command for task in tasks] == ["sleep 60"] * 3
    for starter in starters:
        starter.communicate("\n")
    assert all(gone(task.pid) for task in tasks)
    assert HostTable.open().tasks() == []


def test_a_place_is_free_again_after_the_block_or_a_failed_start(root):
    limiter = SpawnLimiter(root)
    for _ in range(2):
        with pytest.raises(UsageError, match="no-such-program"):
            limiter.spawn(["no-such-program"], category="training").__enter__()
    for _ in range(2):
        with limiter.spawn(["sleep", "60"], category="training", job="j1", device=2) as child:
            (task,) = HostTable.open().tasks(root=root)
            assert (task.pid, task.job, task.device) == (child.pid, "j1", 2)
            with pytest.raises(BusyError, match="'training'"):
                limiter.spawn(["true"], category="training").__enter__()
        assert HostTable.open().tasks() == []
        assert child.process.returncode == -signal.SIGTERM


def test_a_place_that_is_just_being_handed_over_is_waited_for(root):
    table = HostTable.open()
    place = table.add(category="training", command="x", job="starting")
    handed_over = threading.Timer(0.1, table.remove, (place,))
    handed_over.start()
    with SpawnLimiter(root).spawn(["true"], category="training") as child:
        assert child.wait() == 0
    handed_over.join()


def test_the_whole_host_has_a_bound_too(root):
    limiter = SpawnLimiter(root, limits=SpawnLimits(max_processes=1))
    with (
        limiter.spawn(["sleep", "60"], category="export"),
        pytest.raises(BusyError, match="'all' run; at most 1"),
    ):
        limiter.spawn(["true"], category="report").__enter__()


def test_near_a_bound_a_start_waits(root):
    waits_s = []
    limiter = SpawnLimiter(root, limits=SpawnLimits(selfplay=6), sleep=waits_s.append)
    children = [limiter.spawn(["sleep", "60"], category="selfplay") for _ in range(6)]
    try:
        for child in children:
            child.__enter__()
        assert waits_s == [1.0]
        assert limiter.pressure("selfplay").refused
    finally:
        for child in reversed(children):
            child.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("used", "state", "delay_s"),
    [(0, "normal", 0), (80, "normal", 0), (81, "soft", 1), (95, "soft", 1), (96, "hard", 5)],
)
def test_backpressure_grows_with_the_share_of_a_bound(used, state, delay_s):
    pressure = Backpressure().at(used, 100)
    assert (pressure.state, pressure.delay_s, pressure.refused) == (state, delay_s, False)


@pytest.mark.parametrize(("used", "bound"), [(100, 100), (101, 100), (0, 0), (1, 0)])
def test_backpressure_refuses_at_the_bound(used, bound):
    assert Backpressure().at(used, bound).refused


def test_shares_out_of_order_are_refused():
    with pytest.raises(ValueError, match="soft_share"):
        Backpressure(soft_share=0.9, hard_share=0.5)


def test_a_child_that_registers_itself_counts_once():
    def task(number, pid, job=None):
        return Task(
            id=number,
            pid=pid,
            start_ticks=1,
            started_at=0.0,
            category="selfplay",
            command="x",
            root=None,
            job=job,
            device=None,
            needs_memory_bytes=0,
            needs_disk_bytes=0,
            disk_path=None,
            needs_gpu_bytes=0,
            registered_at=0.0,
        )

    limits = SpawnLimits(selfplay=4)
    assert limits.use([task(1, 7), task(2, 7), task(3, 8)], "selfplay").running == 2
    assert limits.use([task(1, 7, "starting"), task(2, 7, "starting")], "selfplay").running == 2


def test_nothing_starts_while_halted(root):
    halt(root, reason="maintenance", config="hex8_2p")
    limiter = SpawnLimiter(root)
    with limiter.spawn(["true"], category="test", config="square8_2p") as child:
        assert child.wait() == 0
    with pytest.raises(BusyError, match="maintenance"):
        limiter.spawn(["true"], category="test", config="hex8_2p").__enter__()
    assert HostTable.open().tasks() == []
    assert spawn_status(limiter.limits).recent_spawns == 1


BROOD = """
sleep 60 & echo $!
setsid sleep 60 & echo $!
(trap '' TERM; sleep 60; sleep 60) & echo $!
echo end; %s
"""


@pytest.mark.parametrize("last", ["wait", "exit 0", "exec sleep 60"])
def test_all_that_a_program_started_ends_with_the_block(last):
    with SpawnLimiter().spawn(
        ["sh", "-c", BROOD % last], category="test", stdout=subprocess.PIPE, text=True, grace_s=0.2
    ) as child:
        pids = [int(line) for line in iter(child.process.stdout.readline, "end\n")]
        if last == "exit 0":
            os.kill(
                pids.pop(1), signal.SIGTERM
            )  # with a session of its own and no parent it has left
            assert child.wait() == 0
        child.process.stdout.close()
        assert all(start_ticks(pid) for pid in pids)
    assert all(gone(pid) for pid in [child.pid, *pids])


@pytest.mark.timed
def test_a_program_that_ignores_sigterm_is_killed_after_the_grace():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    argv = [sys.executable, "-c", f"{code}; time.sleep(60)"]
    with SpawnLimiter().spawn(argv, category="test", stdout=subprocess.PIPE, grace_s=0.3) as child:
        child.process.stdout.readline()
        child.process.stdout.close()
        before_s = time.monotonic()
    assert 0.3 <= time.monotonic() - before_s < 5
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("timeout_s", "limits"),
    [
        (0.2, SpawnLimits()),
        (None, SpawnLimits(timeout_s=0.2)),
        (math.inf, SpawnLimits(max_age_s=0.2)),
    ],
)
def test_a_program_ends_at_its_time_limit_or_without_one_at_the_greatest_age(timeout_s, limits):
    with SpawnLimiter(limits=limits).spawn(
        ["sleep", "60"], category="test", timeout_s=timeout_s
    ) as child:
        assert child.wait(timeout_s=10) == -signal.SIGTERM
        assert child.timed_out
        assert child.limit_s == 0.2


def test_a_time_limit_may_be_longer_than_the_greatest_age():
    limits = SpawnLimits(max_age_s=0.1)
    with SpawnLimiter(limits=limits).spawn(
        ["sleep", "0.3"], category="test", timeout_s=30
    ) as child:
        assert child.wait() == 0
        assert not child.timed_out


def test_a_forked_child_that_leaves_the_block_ends_nothing():
    with SpawnLimiter().spawn(["sleep", "60"], category="test") as child:
        forked = os.fork()
        if forked == 0:
            try:
                child.end()
            finally:
                os._exit(0)
        os.waitpid(forked, 0)
        assert child.process.poll() is None


STARTER = """
import sys, time
from pathlib import Path
from ringrift.core.spawning import SpawnLimiter

with SpawnLimiter(Path(sys.argv[1])).spawn(["sleep", "60"], category="selfplay") as child:
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_children_of_a_killed_run_are_ended_by_the_next_and_no_others(tmp_path, root):
    path = script(tmp_path, STARTER)
    other = tmp_path / "other"
    starters = [
        subprocess.Popen([sys.executable, path, folder], stdout=subprocess.PIPE, text=True)
        for folder in (root, root, other)
    ]
    pids = [int(starter.stdout.readline()) for starter in starters]
    try:
        for starter in (starters[0], starters[2]):
            starter.kill()
            starter.wait()
        assert [task.pid for task in end_leftovers(root)] == [pids[0]]
        assert gone(pids[0])
        assert start_ticks(pids[1])
        assert start_ticks(pids[2])
        assert end_leftovers(root) == []
        late = end_leftovers(root, clock=lambda: time.time() + 3700)
        assert [task.pid for task in late] == [pids[1]], "its time limit is an hour"
    finally:
        for starter in starters:
            starter.kill()
            starter.wait()
            starter.stdout.close()
        end_leftovers(other)


def test_a_task_that_was_not_spawned_here_is_no_leftover(root):
    with HostTable.open().registered(category="test", command="me", root=root):
        assert end_leftovers(root, clock=lambda: time.time() + 1e9) == []


def test_a_pid_that_belongs_to_another_process_now_is_never_signalled():
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        former = ProcessName(child.pid, start_ticks(child.pid) - 1)
        assert end_processes([former]) == []
        ending._signal([former], signal.SIGKILL)  # given away between look and signal
        time.sleep(0.05)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_this_process_never_ends_itself():
    assert end_processes([ProcessName(os.getpid(), start_ticks(os.getpid()))]) == []


def test_commands_are_shown_without_secrets():
    argv = ["ringrift", "--auth-token", "abc", "--api-key=def", "https://u:pw@host/", "a b"]
    shown = shown_command(argv)
    assert shown == "ringrift --auth-token '***' '--api-key=***' 'https://***@host/' 'a b'"


def test_status_counts_without_making_anything(tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(empty))
    status = spawn_status(SpawnLimits())
    assert (status.recent_spawns, status.depth) == (0, 0)
    assert [(use.category, use.bound) for use in status.uses] == [
        ("selfplay", 48),
        ("tournament", 1),
        ("training", 1),
        ("all", 64),
    ]
    assert list(empty.iterdir()) == []
