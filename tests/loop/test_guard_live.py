"""The real loop on a machine in trouble: it holds at the limit, says why, and goes on whole."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from ringrift.loop.status import read_status

from . import live

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEFAULT_LIMITS = {
    "RINGRIFT_LIMITS__CPU_CRITICAL": "80",
    "RINGRIFT_LIMITS__CPU_WARNING": "70",
    "RINGRIFT_LIMITS__LOAD_CRITICAL_MULTIPLIER": "1.5",
}
HOG = "import sys, time; data = b'x' * int(sys.argv[1]); print('full', flush=True); time.sleep(600)"
SPIN = "while True: pass"
DISK_BYTES = 4 << 30  # a command that produces wants 2 GB free
MANY_GAMES = {"RINGRIFT_TRAINING__TRIGGER_THRESHOLD_GAMES": "2000"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    yield folder
    live.end_hub(folder)


def begin(root, **variables):
    """Start a loop that has a model and plays, and is far from a training."""
    process = live.start(root, "--metrics-port", "0", **{**MANY_GAMES, **variables})
    live.await_(process, root, lambda: live.games(root) > 8)
    return process


def level(root):
    changes = live.events(root, "guard_level")
    return changes[-1]["data"]["level"] if changes else "ok"


def await_level(process, root, wanted, word="", limit_s=60.0):
    """Wait until the event log says the guard's level, with a word of the reason."""

    def says_it():
        changes = live.events(root, "guard_level")
        data = changes[-1]["data"] if changes else {"level": "ok", "reasons": []}
        return data["level"] == wanted and (not word or word in " ".join(data["reasons"]))

    return live.await_(process, root, says_it, limit_s)


def held_for(root):
    """What the status says holds the loop at the critical level, empty if nothing does."""
    status = read_status(root)
    held = status is not None and status["resources"]["level"] == "critical"
    return " ".join(status["warnings"]) if held else ""


def workers(process):
    return live.children(process, "job_child")


def check_no_game_comes(root, seconds=3.0):
    before = live.games(root)
    time.sleep(seconds)
    assert live.games(root) == before


def check_goes_on(process, root):
    before = live.games(root)
    live.await_(process, root, lambda: live.games(root) > before, 90)


def check_end(process, root):
    """It ends in order, and every game is there once and replays."""
    process.terminate()
    code, _, err = live.finish(process, root, 120)
    assert code == 0, err[-3000:]
    assert "Traceback" not in err
    live.check_whole(root)


@pytest.mark.timed
def test_critical_memory_ends_the_workers_until_there_is_room_again(root):
    machine = psutil.virtual_memory()
    critical = machine.percent + 10
    size = int(13 / 100 * machine.total)
    if critical > 90:
        pytest.skip("too little free memory on this machine for a memory hog")
    process = begin(root, RINGRIFT_LIMITS__MEMORY_CRITICAL=f"{critical:.1f}")
    hog = subprocess.Popen([sys.executable, "-c", HOG, str(size)], stdout=subprocess.PIPE)
    try:
        hog.stdout.readline()
        await_level(process, root, "critical", "memory")
        live.await_(process, root, lambda: not workers(process), 15)
        time.sleep(1)  # what was finished is on its way to the store
        check_no_game_comes(root)
        code, out, _ = live.call(root, "loop", "status")
        assert code == 1
        assert "memory" in out
    finally:
        hog.kill()
        hog.communicate()
    await_level(process, root, "ok")
    check_goes_on(process, root)
    check_end(process, root)


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
    live.end_hub(folder / "root")
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.acceptance
def test_a_full_disk_holds_the_loop_before_anything_is_torn(small_disk):
    root = small_disk / "root"
    root.mkdir()
    process = begin(root, RINGRIFT_LIMITS__DISK_CRITICAL="70", RINGRIFT_LIMITS__DISK_WARNING="65")
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(0.75 * DISK_BYTES))
    await_level(process, root, "critical", "disk")
    live.await_(process, root, lambda: not workers(process), 15)
    time.sleep(1)
    check_no_game_comes(root)
    filler.unlink()
    await_level(process, root, "ok")
    check_goes_on(process, root)
    check_end(process, root)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
def test_others_work_on_all_cores_holds_new_games_until_it_ends(root):
    if psutil.cpu_percent(5.0) > 40:
        pytest.skip("others work on this machine already")
    process = begin(root, **DEFAULT_LIMITS)
    spinners = [
        subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(4 * (os.cpu_count() or 1))
    ]
    try:
        # the load of others comes and goes with our own work; their share of the cores stays
        live.await_(process, root, lambda: "of the CPUs" in held_for(root), 240)
        time.sleep(10)  # those under way are played to their end
        check_no_game_comes(root, 10)
        assert workers(process)  # CPUs alone end nobody
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    live.await_(process, root, lambda: level(root) != "critical", 240)
    check_goes_on(process, root)
    check_end(process, root)
