"""What is read from the machine: disks, containers' bounds, others' CPU and load, no GPU."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core import cgroups, cpu_account, readings
from ringrift.core.cpu_account import OwnTime, Sample, Samples
from ringrift.core.host_table import HostTable
from ringrift.core.log import setup_logging
from ringrift.core.process_reading import Process, ancestors, read_process, runnable_threads, tree

MIB = 1 << 20
GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(autouse=True)
def _own_host(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(readings, "_said_at_s", {})
    readings._machine.begin()
    yield
    readings._machine.begin()


def start(code: str, *arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


# Containers: real groups where the kernel offers them, written ones for the other generation.


class Group:
    """A real group of version 1 controllers, removed at the end."""

    def __init__(self, name: str, **bounds: dict[str, int]) -> None:
        self.folders = [GROUPS / controller / name for controller in bounds]
        for folder, settings in zip(self.folders, bounds.values(), strict=True):
            try:
                folder.mkdir()
                for file, number in settings.items():
                    (folder / file).write_text(str(number))
            except OSError as error:
                self.remove()
                pytest.skip(f"no groups of version 1 can be made here: {error}")

    def remove(self) -> None:
        for folder in self.folders:
            for _ in range(50):
                if not folder.exists():
                    break
                try:
                    folder.rmdir()
                except OSError:  # its last process is just ending
                    time.sleep(0.1)


@pytest.fixture
def group(request):
    made = []

    def make(**bounds):
        made.append(Group(f"ringrift-test-{os.getpid()}-{len(made)}", **bounds))
        return made[-1]

    yield make
    for each in made:
        each.remove()


IN_GROUP = """
import json, os, sys
for folder in sys.argv[1:]:
    open(os.path.join(folder, "cgroup.procs"), "w").write(str(os.getpid()))
from pathlib import Path
from ringrift.core import readings
from ringrift.core.limits import judge, thread_budget
from ringrift.core.settings import Settings
readings.prime()
kept = []
for line in sys.stdin:
    work = json.loads(line)
    if "mib" in work:
        kept.append(bytearray(work["mib"] << 20))
    if "file" in work:
        Path(work["file"]).write_bytes(bytes(200 << 20))
    if "burn_s" in work:
        import time
        end = time.process_time() + work["burn_s"]
        while time.process_time() < end: pass
    look = readings.read(Path("/"))
    print(json.dumps({
        "percent": look.memory.used_percent, "total": look.memory.total_bytes,
        "free": look.memory.available_bytes, "bound": str(look.bound), "cpus": look.cpus,
        "cpu": look.cpu_percent, "load": look.load, "budget": thread_budget(),
        "states": {v.name: v.state for v in judge(look, Settings().limits)},
        "reasons": {v.name: v.reason for v in judge(look, Settings().limits)},
    }), flush=True)
"""


class Inside:
    """A process in real groups that reads what we tell it to."""

    def __init__(self, group: Group) -> None:
        self.process = start(IN_GROUP, *map(str, group.folders))

    def look(self, **work):
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def test_in_a_group_of_512_mb_the_percentages_follow_the_group(group, tmp_path):
    made = group(memory={"memory.limit_in_bytes": 512 * MIB})
    inside = Inside(made)
    first = inside.look()
    assert first["total"] == 512 * MIB
    assert first["bound"] == str(made.folders[0])
    assert first["percent"] < 30
    assert first["states"]["memory"] == "ok"
    second = inside.look(mib=200)
    assert second["percent"] - first["percent"] == pytest.approx(100 * 200 / 512, abs=3)
    assert first["free"] - second["free"] == pytest.approx(200 * MIB, abs=15 * MIB)
    # A hog of this group: critical there, while the machine itself has room.
    hog = inside.look(mib=200)
    assert hog["states"]["memory"] == "critical"
    assert "the container's memory" in hog["reasons"]["memory"]
    inside.end()
    assert readings.read_memory().total_bytes > 512 * MIB


def test_file_pages_that_can_be_dropped_are_no_use(group, tmp_path):
    inside = Inside(group(memory={"memory.limit_in_bytes": 512 * MIB}))
    before = inside.look()
    after = inside.look(file=str(tmp_path / "big"))
    assert after["percent"] - before["percent"] < 10
    inside.end()


def test_a_real_quota_sets_cpus_and_the_own_group_is_what_counts(group):
    made = group(cpu={"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": 50_000}, cpuacct={})
    inside = Inside(made)
    inside.look()
    look = inside.look(burn_s=0.4)  # at half a CPU: 0.8 s
    assert look["cpus"] == 0.5
    assert look["budget"] == 1
    assert look["load"] is None
    assert look["states"]["load"] == "unknown"
    # All that was used in this group is ours, however busy the machine is.
    assert look["cpu"] < 30
    inside.end()


def test_others_in_the_own_group_are_others(group):
    made = group(cpu={"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": 50_000}, cpuacct={})
    inside = Inside(made)
    inside.look()
    other = start("while True: pass")
    for folder in made.folders:
        (folder / "cgroup.procs").write_text(str(other.pid))
    # A reading covers what passed since the one before: the first includes the other's start.
    for _ in range(10):
        time.sleep(1.5)
        look = inside.look()
        if look["cpu"] > 60:
            break
    other.kill()
    other.communicate()
    assert look["cpu"] > 60
    inside.end()


def proc(folder: Path, *, mounts: list[tuple[str, Path, str, str]], groups: str) -> Path:
    """Write the two files of a process: (root, point, kind, options) of each mount, its groups."""
    folder.mkdir()
    lines = [
        f"{30 + index} 25 0:{index} {root} {point} rw,relatime shared:1 - {kind} none rw,{options}"
        for index, (root, point, kind, options) in enumerate(mounts)
    ]
    (folder / "mountinfo").write_text("\n".join(["20 1 8:1 / / rw - ext4 /dev/x rw", *lines]))
    (folder / "cgroup").write_text(groups)
    return folder


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_dot_", ".")).write_text(f"{text}\n")
    return folder


def test_of_all_groups_of_version_2_the_lowest_bound_wins(tmp_path):
    mount = write(tmp_path / "fs")
    write(
        mount / "a",
        memory_dot_max=1000,
        memory_dot_current=900,
        memory_dot_stat="anon 1\ninactive_file 300",
        cpu_dot_max="300000 100000",
        cpu_dot_stat="usage_usec 5000000\nuser_usec 1",
    )
    write(
        mount / "a" / "b",
        memory_dot_max="max",
        memory_dot_current=800,
        memory_dot_stat="inactive_file 1",
        cpu_dot_max="150000 100000",
        cpu_dot_stat="usage_usec 2500000",
    )
    write(mount / "a" / "b" / "c", memory_dot_max=2000, memory_dot_current=1, cpu_dot_max="max 10")
    me = proc(tmp_path / "p", mounts=[("/", mount, "cgroup2", "x")], groups="0::/a/b/c\n")
    bound = cgroups.memory_bound(me)
    assert (bound.group, bound.limit_bytes, bound.used_bytes) == (mount / "a", 1000, 600)
    quota = cgroups.cpu_bound(me)
    assert (quota.group, quota.cpus, quota.busy_s) == (mount / "a" / "b", 1.5, 2.5)
    assert cgroups.available_cpus(me) == min(1.5, cgroups.host_cpus())


def test_a_container_that_sees_only_its_part_of_the_tree_finds_its_group(tmp_path):
    mount = write(tmp_path / "fs", memory_dot_limit_in_bytes=700, memory_dot_usage_in_bytes=70)
    mounts = [("/docker/abc", mount, "cgroup", "memory")]
    me = proc(tmp_path / "p", mounts=mounts, groups="5:memory:/docker/abc\n")
    assert cgroups.memory_bound(me).used_bytes == 70
    # The names of groups outside of what is mounted mean nothing here.
    other = proc(tmp_path / "q", mounts=mounts, groups="5:memory:/elsewhere/../../x\n")
    assert cgroups.memory_bound(other).limit_bytes == 700


def test_version_1_without_a_bound_is_none(tmp_path):
    mount = write(
        tmp_path / "fs", memory_dot_limit_in_bytes=(1 << 63) - 4096, memory_dot_usage_in_bytes=70
    )
    cpu = write(tmp_path / "cpu", cpu_dot_cfs_quota_us=-1, cpu_dot_cfs_period_us=100_000)
    mounts = [("/", mount, "cgroup", "memory"), ("/", cpu, "cgroup", "cpu,cpuacct")]
    me = proc(tmp_path / "p", mounts=mounts, groups="5:memory:/\n4:cpu,cpuacct:/\n")
    assert cgroups.memory_bound(me) is None
    assert cgroups.cpu_bound(me) is None
    assert cgroups.available_cpus(me) == cgroups.host_cpus()


def test_a_quota_and_its_account_may_be_mounted_apart(tmp_path):
    cpu, account = tmp_path / "cpu", tmp_path / "acct"
    write(cpu / "x" / "y", cpu_dot_cfs_quota_us=25_000, cpu_dot_cfs_period_us=100_000)
    write(account / "x" / "y", cpuacct_dot_usage=7_000_000_000)
    mounts = [("/", cpu, "cgroup", "cpu"), ("/", account, "cgroup", "cpuacct")]
    me = proc(tmp_path / "p", mounts=mounts, groups="4:cpu:/x/y\n3:cpuacct:/x/y\n")
    assert cgroups.cpu_bound(me).busy_s == 7
    assert cgroups.cpu_bound(me).cpus == 0.25
    bare = proc(tmp_path / "q", mounts=mounts[:1], groups="4:cpu:/x/y\n")
    assert cgroups.cpu_bound(bare).busy_s is None


def test_no_groups_at_all_is_no_bound(tmp_path):
    assert cgroups.memory_bound(tmp_path / "nothing") is None
    assert cgroups.cpu_bound(tmp_path / "nothing") is None


# Disks.


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is not permitted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_fills_up(small_disk):
    empty = readings.read(small_disk / "not" / "yet" / "there").disk
    assert empty.total_bytes == 20 * MIB
    assert empty.used_percent < 1
    (small_disk / "file").write_bytes(bytes(14 * MIB + 4096))
    full = readings.read_disk(small_disk)
    assert full.used_percent == pytest.approx(70.02, abs=0.1)
    assert full.available_bytes == pytest.approx(6 * MIB, abs=8192)


# CPU and load of others.


def process(pid, *, parent=1, busy=0.0, reaped=0.0, started=0.0, state="S", threads=1):
    return Process(pid, parent, state, busy, reaped, threads, int(started * 100), 0)


def test_an_ended_child_counts_once_whether_it_is_waited_for_or_not():
    account = OwnTime()
    assert account.update([process(1, busy=50), process(2, parent=1, busy=10)], 100) == 0
    grown = [process(1, busy=51), process(2, parent=1, busy=14)]
    assert account.update(grown, 105) == 5
    # It used one second more, ended and was waited for: its parent now has all 15.
    assert account.update([process(1, busy=51, reaped=15)], 110) == 6
    # The same without anybody waiting: nothing falls.
    account.update([process(1, busy=51, reaped=15), process(3, parent=1, busy=4, started=111)], 115)
    assert account.update([process(1, busy=52, reaped=15)], 120) == 11


def test_a_grandchild_that_ended_with_its_parent_counts_once():
    account = OwnTime()
    account.update([process(1), process(2, parent=1, busy=3), process(3, parent=2, busy=7)], 10)
    assert account.update([process(1, reaped=12)], 20) == pytest.approx(2)


def test_a_process_that_became_ours_brings_no_past_but_a_new_child_all_of_its_time():
    account = OwnTime()
    account.update([process(1)], 100)
    adopted, born = process(2, busy=500, started=10), process(3, parent=1, busy=2, started=101)
    assert account.update([process(1), adopted, born], 105) == 2
    assert account.update([process(1), process(2, busy=501, started=10), born], 110) == 3


def test_a_reused_pid_is_another_process():
    account = OwnTime()
    account.update([process(1), process(2, parent=1, busy=100, started=1)], 10)
    assert account.update([process(1), process(2, parent=1, busy=1, started=11)], 20) == 1


@given(st.lists(st.dictionaries(st.integers(1, 5), st.tuples(st.floats(0, 9), st.floats(0, 9)))))
def test_our_time_never_falls(looks):
    account, before = OwnTime(), 0.0
    for index, look in enumerate(looks):
        now = account.update(
            [process(pid, parent=pid - 1, busy=a, reaped=b) for pid, (a, b) in look.items()], index
        )
        assert now >= before
        before = now


def sample(at, total, own=0.0, load=0.0):
    return Sample(at_s=at, total_s=total, own_s=own, own_load=load)


def test_the_mean_is_over_what_there_is_up_to_a_minute_and_without_us():
    samples = Samples()
    assert samples.percent_of_others(2) is None
    samples.add(sample(0, 100))
    assert samples.percent_of_others(2) is None
    assert not samples.due(0.4)
    assert samples.due(0.5)
    samples.add(sample(10, 110, own=5))
    assert samples.percent_of_others(2) == pytest.approx(25)  # 5 of 20 processor seconds
    for second in range(20, 131, 10):  # idle since: after a minute the first ones are forgotten
        samples.add(sample(second, 110, own=5))
    assert samples.percent_of_others(2) == 0
    samples.add(sample(140, 110, own=9))  # ours seen later than all: never below nothing
    assert samples.percent_of_others(2) == 0
    samples.add(sample(200, 500, own=9))
    assert samples.percent_of_others(2) == 100


def test_a_thread_enters_the_load_average_as_slowly_as_the_kernel_lets_it():
    running = process(1, state="R", started=1000)
    assert cpu_account._share_of_load(running, 1000.0) == 0
    assert cpu_account._share_of_load(running, 1060.0) == pytest.approx(0.632, abs=0.001)
    assert cpu_account._share_of_load(running, 2000.0) == pytest.approx(1)
    assert cpu_account._share_of_load(process(1, state="S"), 2000.0) == 0


BURN = """
import subprocess, sys, time
if len(sys.argv) > 1:  # leave a grandchild that is nobody's child here
    for _ in range(2):
        burner = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True,
                                  stdout=subprocess.DEVNULL)
        print(burner.pid, flush=True)
else:
    end = time.process_time() + 0.5
    while time.process_time() < end: pass
    print("burnt", flush=True)
    sys.stdin.readline()
"""


def test_a_real_child_is_ours_before_and_after_its_end():
    account = OwnTime()
    now = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)  # noqa: E731
    account.update(tree([os.getpid()]).values(), now())
    child = start(BURN)
    child.stdout.readline()
    during = account.update(tree([os.getpid()]).values(), now())
    assert 0.5 <= during < 1.0
    child.communicate("end\n")
    after = account.update(tree([os.getpid()]).values(), now())
    assert during <= after < during + 0.3


@pytest.fixture
def orphans():
    """Two processes that fill two CPUs and belong to nobody here."""
    parent = start(BURN, "orphans")
    pids = [int(line) for line in parent.communicate()[0].split()]
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def others_percent(seconds: float) -> float:
    readings._machine.begin()
    readings.prime()
    time.sleep(seconds)
    return readings.read().cpu_percent


@pytest.mark.slow
def test_real_load_of_others_shows_and_registered_tasks_are_no_others(orphans):
    cpus = cgroups.host_cpus()
    foreign = others_percent(2.0)
    assert foreign > 100 * min(2, cpus) / cpus * 0.6
    with HostTable.open() as table:
        for pid in orphans:
            table.add(category="x", command="burn", pid=pid)
    ours = others_percent(2.0)
    # What else runs on this machine meanwhile may be others' too, hence a wide margin.
    assert ours < foreign - 100 * min(2, cpus) / cpus * 0.3


def test_the_first_reading_has_no_cpu_the_next_one_has():
    first = readings.read()
    assert first.cpu_percent is None
    assert readings.read().cpu_percent is None  # too early for a mean
    time.sleep(0.6)
    assert 0 <= readings.read().cpu_percent <= 100
    assert readings.read().load >= 0


def test_a_tree_holds_children_of_threads_too():
    code = """
    import subprocess, sys, threading
    def work(): subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    thread = threading.Thread(target=work); thread.start(); thread.join()
    import threading as t
    t.Thread(target=sys.stdin.read, daemon=True).start()
    print("ready", flush=True); t.Event().wait(60)
    """
    parent = start(code)
    parent.stdout.readline()
    deadline = time.monotonic() + 5
    while (found := tree([parent.pid]))[parent.pid].threads > 2 and time.monotonic() < deadline:
        time.sleep(0.02)  # the thread that was joined is about to end
    children = [pid for pid in found if pid != parent.pid]
    assert len(children) == 1
    assert found[parent.pid].threads == 2
    assert 0 <= runnable_threads(found[parent.pid]) <= 2
    assert os.getpid() in list(ancestors(children[0]))
    for pid in (*children, parent.pid):
        os.kill(pid, signal.SIGKILL)
    parent.communicate()


def test_runnable_threads_are_counted_each():
    code = """
    import hashlib, sys, threading
    def work():
        while True: hashlib.sha256(bytes(1 << 22)).digest()  # runs without the interpreter's lock
    for _ in range(3): threading.Thread(target=work, daemon=True).start()
    print("ready", flush=True); sys.stdin.read()
    """
    busy = start(code)
    busy.stdout.readline()
    seen = []
    while len(seen) < 20 and 3 not in seen:
        seen.append(runnable_threads(read_process(busy.pid)))
        time.sleep(0.02)
    busy.kill()
    busy.communicate()
    assert 3 in seen, seen  # before that the main thread may run too


def test_a_tree_is_the_same_without_the_kernels_lists(monkeypatch):
    child = subprocess.Popen(["sleep", "60"])
    with_lists = set(tree([os.getpid()]))
    from ringrift.core import process_reading

    monkeypatch.setattr(process_reading, "_kernel_lists_children", lambda: False)
    assert set(tree([os.getpid()])) == with_lists
    assert child.pid in with_lists
    child.kill()
    child.wait()


def test_names_with_brackets_do_not_shift_the_fields(tmp_path):
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(program), "60"])
    found = read_process(child.pid)
    assert found.parent == os.getpid()
    child.kill()
    child.wait()
    assert read_process(child.pid) is None


# Readings that fail.


def test_without_nvml_there_are_no_gpus_and_nothing_is_raised(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not even the binding is installed
    assert readings.read().gpus == ()
    assert readings.gpu_memory_of({1}, 0) == 0


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")
def test_without_a_driver_there_are_no_gpus():
    assert readings.read_gpus() == ()


class FakeNvml(types.ModuleType):
    """Two devices: one that answers, one that has fallen off the bus."""

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return f"Device {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        if handle == 1:
            import pynvml

            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return types.SimpleNamespace(used=30, free=70, total=100)

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        return types.SimpleNamespace(gpu=12)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [
            types.SimpleNamespace(pid=7, usedGpuMemory=20),
            types.SimpleNamespace(pid=8, usedGpuMemory=None),
        ]


def test_a_device_that_does_not_answer_has_no_reading_the_other_has(monkeypatch, capsys):
    monkeypatch.setattr(readings, "_load_nvml", lambda: FakeNvml("pynvml"))
    first, second = readings.read_gpus()
    assert (first.name, first.memory.used_percent, first.memory.available_bytes) == (
        "Device 0",
        30,
        70,
    )
    assert first.busy_percent == 12
    assert (second.index, second.memory) == (1, None)
    assert readings.gpu_memory_of({7, 8}, 0) == 20
    readings.read_gpus()
    said = [line for line in capsys.readouterr().err.splitlines() if "reading failed" in line]
    assert len(said) == 1  # once a minute
    assert "GPU 1" in said[0]


def test_a_failed_reading_is_none_and_logged_once_a_minute(monkeypatch, capsys):
    import psutil

    setup_logging("test")

    def fail(*_arguments):
        raise psutil.AccessDenied(1)

    for name in ("disk_usage", "virtual_memory", "cpu_times"):
        monkeypatch.setattr(psutil, name, fail)
    for _ in range(3):
        look = readings.read()
        assert (look.disk, look.memory, look.cpu_percent) == (None, None, None)
    said = [line for line in capsys.readouterr().err.splitlines() if "reading failed" in line]
    assert sorted(line.split("what=")[1].split()[0] for line in said) == ["cpu", "disk", "memory"]
    monkeypatch.setattr(readings.time, "monotonic", lambda: time.perf_counter() + 1e6)
    readings.read()
    assert "reading failed" in capsys.readouterr().err


def test_a_defect_of_ours_is_no_failed_reading(monkeypatch):
    monkeypatch.setattr(readings, "_memory", lambda: 1 + "x")
    with pytest.raises(TypeError):
        readings.read_memory()


def test_a_foreign_table_does_not_stop_the_readings(tmp_path):
    (tmp_path / "ringrift").symlink_to("/")
    assert readings.running_tasks() == []
    assert readings.read().memory is not None


def test_a_forked_child_begins_anew():
    readings.prime()
    child = os.fork()
    if child == 0:
        os._exit(7 if not readings._machine.processor._samples._ring else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_reading_needs_no_heavy_import():
    code = """
    import sys
    import ringrift.core.readings, ringrift.core.limits, ringrift.core.resource_guard, ringrift.core.watch
    print(*sorted({"psutil", "pynvml", "pydantic", "torch", "numba"} & set(sys.modules)))
    """
    out, _ = start(code).communicate()
    assert out.split() == []
