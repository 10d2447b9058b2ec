"""The real loop on a machine in trouble: it pauses at the limit, says why, and goes on whole."""

import contextlib
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from ringrift.core.emergency import halt, resume
from ringrift.core.errors import DataError
from ringrift.core.paths import Paths
from ringrift.records.store import GameStore

from .real_loop import CONFIG, LIMIT_S, check_whole, finish, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GENERATIONS = 1
GAMES = 240
MANY = 800  # enough for the minute over which the use of the CPUs is averaged
ENOUGH = {
    "RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": str(GAMES),
    "RINGRIFT_SELFPLAY__MCTS_SIMULATIONS": "16",
}
DEFAULT_LIMITS = {
    "RINGRIFT_LIMITS__CPU_CRITICAL": "80",
    "RINGRIFT_LIMITS__LOAD_CRITICAL_MULTIPLIER": "1.5",
}
HOG = "import sys, time; data = b'x' * int(sys.argv[1]); print('full', flush=True); time.sleep(600)"
SPIN = "while True: pass"
DISK_BYTES = 4 << 30  # a command that produces wants 2 GB free


def begin(root, **variables):
    """Start a loop of one generation that plays long enough to be held."""
    return start(root, "--generations", str(GENERATIONS), **{**ENOUGH, **variables})


def events(root, kind):
    found = []
    for path in (Paths(root).runs / CONFIG).glob("*/events.jsonl"):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the line that is being written
                event = json.loads(line)
                found += [event["data"]] if event["kind"] == kind else []
    return found


def await_(process, condition, limit_s=LIMIT_S):
    begun = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - begun < limit_s
        time.sleep(0.1)
    return time.monotonic() - begun


def games(root):
    path = Paths(root).game_store
    if not path.exists():
        return 0
    try:
        with GameStore.open(path) as store:
            return store.max_seq()
    except DataError:  # it is just being made
        return 0


def held(root):
    changes = events(root, "guard_level")
    return bool(changes) and changes[-1]["held"]


def workers(process):
    """Worker processes and training children; the tracker of shared resources is none."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] if any("spawn_main" in word for word in child.cmdline()) else []
    return found


def playing(root):
    return lambda: games(root) > 8


def check_pause(process, root, word, *, limit_s=LIMIT_S):
    """The loop holds, says the word, and adds no game; returns the games it had."""

    def says_it():
        changes = events(root, "guard_level")
        return bool(changes) and any(word in reason for reason in changes[-1]["reasons"])

    await_(process, says_it, limit_s)
    return games(root)


def check_end(process, root, games_per_generation=GAMES):
    await_(process, lambda: not held(root))
    code, _, err = finish(process)
    assert code == 0, err
    assert "paused: " in err
    assert "going on" in err
    check_whole(root, games_per_generation, GENERATIONS)


@pytest.mark.timed
def test_critical_memory_and_then_an_emergency_stop_hold_the_loop(tmp_path):
    """The games under way end and give their memory back; a stop takes effect within 5 s."""
    machine = psutil.virtual_memory()
    critical = machine.percent + 20
    size = int((critical - machine.percent + 3) / 100 * machine.total)
    if critical > 90:
        pytest.skip("too little free memory on this machine for a memory hog")
    process = begin(tmp_path, RINGRIFT_LIMITS__MEMORY_CRITICAL=str(critical))
    await_(process, playing(tmp_path))
    hog = subprocess.Popen([sys.executable, "-c", HOG, str(size)], stdout=subprocess.PIPE)
    try:
        check_pause(process, tmp_path, "memory")
        await_(process, lambda: not workers(process), 30)
        check_no_game_comes(tmp_path)
    finally:
        hog.kill()
        hog.communicate()
    before = games(tmp_path)
    await_(process, lambda: games(tmp_path) > before)
    begun = time.monotonic()
    halt(tmp_path, reason="a test", by="somebody")
    check_pause(process, tmp_path, "a test")
    await_(process, lambda: not workers(process), 5)
    assert time.monotonic() - begun < 5
    check_no_game_comes(tmp_path)
    begun = time.monotonic()
    resume(tmp_path)
    await_(process, lambda: not held(tmp_path), 5)
    assert time.monotonic() - begun < 5
    check_end(process, tmp_path)


def check_no_game_comes(root):
    before = games(root)
    time.sleep(3)
    assert games(root) == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 GB in a sparse file; needs the right to mount."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=False)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=False)
    if made.returncode or mounted.returncode:
        pytest.skip("no right to mount a loopback file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.acceptance
def test_a_full_disk_pauses_the_loop_before_anything_is_torn(small_disk):
    root = small_disk / "root"
    root.mkdir()
    process = begin(root)
    await_(process, playing(root))
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(0.75 * DISK_BYTES))
    check_pause(process, root, "disk")
    time.sleep(1)
    check_no_game_comes(root)
    filler.unlink()
    check_end(process, root)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_others_work_on_all_cores_holds_new_games_until_it_ends(tmp_path):
    many = {"RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": str(MANY)}
    process = begin(tmp_path, **many, **DEFAULT_LIMITS)
    await_(process, playing(tmp_path))
    spinners = [
        subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        check_pause(process, tmp_path, "of the CPUs", limit_s=240)
        time.sleep(30)  # those under way are played to their end
        before = games(tmp_path)
        time.sleep(10)
        assert games(tmp_path) == before
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    check_end(process, tmp_path, MANY)
