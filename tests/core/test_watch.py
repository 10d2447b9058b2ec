"""Work that runs: when it holds, when it goes on, when it ends, and what looking costs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringrift.core import readings
from ringrift.core.errors import BusyError
from ringrift.core.readings import GIB, Gpu, Readings, Space
from ringrift.core.settings.limits import Limits
from ringrift.core.watch import ResourceWatch


class Machine:
    """Readings and a clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.reads = 0
        self.values = {"disk": 1.0, "memory": 1.0, "cpu": 1.0, "gpu": 1.0, "load": 0.1}

    def read(self, path: Path) -> Readings:
        self.reads += 1

        def space(name):
            used = self.values[name]
            return used and Space(used_percent=used, available_bytes=GIB, total_bytes=GIB)

        return Readings(
            path=path,
            cpus=4.0,
            disk=space("disk"),
            memory=space("memory"),
            cpu_percent=self.values["cpu"],
            load=self.values["load"],
            gpus=(Gpu(index=0, name="x", memory=space("gpu")),),
        )

    def watch(self, **options) -> ResourceWatch:
        return ResourceWatch(
            Limits(), Path("/data"), clock=lambda: self.now_s, read=self.read, **options
        )

    def later(self, **values) -> None:
        self.values.update(values)
        self.now_s += 5


@pytest.fixture
def machine():
    return Machine()


def names(verdicts):
    return [verdict.name for verdict in verdicts]


def test_it_looks_at_most_once_in_its_interval(machine):
    watch = machine.watch(every_s=5.0)
    for _ in range(10):
        watch.verdicts()
        watch.held()
        watch.must_stop()
        machine.now_s += 0.499
    assert machine.reads == 1
    machine.now_s += 0.01
    assert names(watch.verdicts()) == ["disk", "memory", "cpu", "load"]
    assert machine.reads == 2


@pytest.mark.parametrize(("resource", "critical"), [("disk", 70), ("memory", 80), ("cpu", 80)])
def test_what_held_goes_on_two_points_below_and_not_before(machine, resource, critical):
    watch = machine.watch()
    held = []
    for used in (critical - 0.1, critical, critical - 1, critical - 1.9, critical - 2,
                 critical - 0.1, critical + 5, critical - 1, 0.5):  # fmt: skip
        machine.later(**{resource: used})
        held.append(names(watch.held()) == [resource])
    assert held == [False, True, True, True, False, False, True, True, False]


def test_the_load_holds_with_a_margin_of_its_own(machine):
    watch = machine.watch()
    held = []
    for load in (5.99, 6.0, 5.95, 5.92, 5.95):
        machine.later(load=load)
        held.append(bool(watch.held()))
    assert held == [False, True, True, False, False]


def test_a_reading_that_fails_holds_nothing_for_ever(machine):
    watch = machine.watch()
    machine.later(memory=90)
    assert names(watch.must_stop()) == ["memory"]
    machine.later(memory=None)
    assert watch.held() == ()
    assert watch.must_stop() == ()


def test_only_memory_and_disk_end_running_work(machine):
    watch = machine.watch(devices=[0])
    machine.later(cpu=99, load=99, gpu=99)
    assert names(watch.held()) == ["cpu", "gpu 0", "load"]
    assert watch.must_stop() == ()
    machine.later(memory=81, disk=71)
    assert names(watch.must_stop()) == ["disk", "memory"]
    machine.later(memory=79, disk=69)  # still holds new work, but does not end what runs
    assert names(watch.held()) == ["disk", "memory", "cpu", "gpu 0", "load"]
    assert watch.must_stop() == ()


def test_gpus_that_are_not_used_hold_nothing(machine):
    machine.values["gpu"] = 99
    assert machine.watch().held() == ()
    assert machine.watch(devices=[1]).held() == ()


def test_a_check_is_due_every_50_games_or_60_seconds(machine):
    watch = machine.watch()
    due = [games for games in range(1, 151) if watch.due(games)]
    assert due == [50, 100, 150]
    machine.now_s += 59.9
    assert not watch.due(151)
    machine.now_s += 0.2
    assert watch.due(151)
    assert not watch.due(152)
    assert not watch.due(200)
    assert watch.due(201)


def test_a_due_check_raises_what_ends_the_work(machine):
    watch = machine.watch()
    machine.later(disk=71.25)
    watch.check(49)
    with pytest.raises(BusyError) as caught:
        watch.check(50)
    error = caught.value
    assert error.exit_code == 75
    assert error.message == "disk: 71.2 % of the disk in use, limit 70 %"
    assert error.where == "/data"
    assert "limits.disk_critical" in error.hint
    assert "RINGRIFT_LIMITS__DISK_CRITICAL" in error.hint
    machine.later(disk=10)
    watch.check(100)


@pytest.mark.timed
def test_a_thousand_looks_cost_less_than_a_thousandth_of_a_core(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    readings._machine.begin()
    samples = readings._machine.processor._samples
    monkeypatch.setattr(samples, "due", lambda _now_s: True)  # each look takes its CPU sample too
    now_s = 0.0
    watch = ResourceWatch(Limits(), tmp_path, clock=lambda: now_s)
    watch.verdicts()
    before_s = time.process_time()
    for _ in range(1000):
        now_s += 5.0
        watch.held()
    spent_s = time.process_time() - before_s
    print(f"{spent_s:.3f} ms a look, {spent_s / 5000:.5%} of a core")
    assert spent_s / (1000 * 5.0) < 0.001
    readings._machine.begin()


def test_asking_between_two_looks_is_nearly_free(tmp_path):
    watch = ResourceWatch(Limits(), tmp_path)
    watch.verdicts()
    before_s = time.process_time()
    for _ in range(10_000):
        watch.held()
    each_us = (time.process_time() - before_s) * 100
    print(f"{each_us:.2f} us")
    assert each_us < 5


PLAY = """
import os, sys, time
from pathlib import Path
from ringrift.core.errors import BusyError
from ringrift.core.settings.limits import Limits
from ringrift.core.watch import ResourceWatch
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
watch = ResourceWatch(Limits(disk_warning=99, disk_critical=100), Path("/"), every_s=0.05)
try:
    with open(sys.argv[2], "w") as store:
        for game in range(1, 100_000):
            time.sleep(0.001)
            store.write(f"game {game}\\n")
            store.flush()
            watch.check(game)
except BusyError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""
HOG = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
kept = bytearray(430 << 20)
print("full", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def group():
    """A real group of 512 MB, so that the machine itself stays unharmed."""
    folder = Path(f"/sys/fs/cgroup/memory/ringrift-watch-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(512 << 20))
    except OSError as error:
        pytest.skip(f"no groups of version 1 can be made here: {error}")
    yield folder
    for _ in range(50):
        try:
            folder.rmdir()
            break
        except OSError:  # its last process is just ending
            time.sleep(0.1)


def test_work_under_a_memory_hog_ends_with_75_and_keeps_what_it_finished(
    group, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    store = tmp_path / "games"

    started = []

    def start(code, *arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", code, str(group), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    try:
        playing = start(PLAY, str(store))
        while not store.exists() or store.stat().st_size < 1000:
            assert playing.poll() is None
            time.sleep(0.01)
        hog = start(HOG)
        assert hog.stdout.readline() == "full\n"
        out, _ = playing.communicate(timeout=30)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert playing.returncode == 75
    assert "of the container's memory in use, limit 80 %" in out
    games = store.read_text().splitlines()
    assert len(games) % 50 == 0  # it ended at a check
    assert games == [f"game {number}" for number in range(1, len(games) + 1)]
