"""The data root: each planted defect shows on its line, and on no other."""

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ringrift.cli.checks import root as checks
from ringrift.cli.checks.root import folders_of
from ringrift.core.errors import SettingsError
from ringrift.core.paths import MARKER
from ringrift.core.readings import Space

from .conftest import GIB, calm


@contextmanager
def tmpfs(folder, options):
    """Mount a file system in memory; only root may, elsewhere the test is skipped."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_no_root_is_a_warning_that_says_what_to_do(machine, only):
    line = only(replace(machine(), root=None), "root", "warn")
    assert "ringrift config init" in line.remedy


def test_a_root_that_does_not_exist(machine, only, tmp_path):
    line = only(replace(machine(), root=tmp_path / "nowhere"), "root")
    assert line.remedy == f"ringrift config init {tmp_path / 'nowhere'}"


def test_a_root_that_is_refused(machine, only):
    context = replace(machine(), root=None, root_problem="a data root inside another is refused")
    assert "inside another" in only(context, "root").seen


def test_a_missing_marker(machine, only, root):
    (root / MARKER).unlink()
    line = only(machine(), "marker")
    assert str(root) in line.seen
    assert "ringrift config init" in line.remedy


def test_missing_folders_are_a_warning(machine, only, root):
    (root / "data" / "npz").rmdir()
    (root / "releases").rmdir()
    line = only(machine(), "folders", "warn")
    assert "data/npz" in line.seen
    assert "releases" in line.seen
    assert line.remedy == "ringrift doctor --fix"


def test_a_file_in_place_of_a_folder(machine, only, root):
    (root / "spool").rmdir()
    (root / "spool").write_text("")
    line = only(machine(), "folders")
    assert line.seen == "spool is no folder"
    assert str(root / "spool") in line.remedy


def test_a_folder_without_write_right(machine, only, root):
    with tmpfs(root / "data" / "games", "ro,size=1m"):
        line = only(machine(), "folders")
    assert line.seen == "cannot write data/games: Read-only file system"
    assert str(root / "data" / "games") in line.remedy


def test_a_small_disk(machine, only, root):
    def read(path):
        from ringrift.core.readings import read_disk

        return calm(path, disk=read_disk(path))

    with tmpfs(root / "logs", "size=64m"):
        context = machine(read=lambda _path: read(root / "logs"))
        line = only(context, "space")
    assert "0.1 GiB free" in line.seen
    assert "2 GiB wanted" in line.seen


def test_a_full_disk_fails_on_its_line_alone(machine, bad_lines, tmp_path):
    """To the last byte: what cannot be tried for want of space is a warning that points there."""
    from ringrift.core.paths import Paths
    from ringrift.core.readings import read_disk

    small = tmp_path / "small"
    small.mkdir()
    with tmpfs(small, "size=1m,nr_inodes=100"):
        Paths(small).create()
        filler = small / "data" / "games" / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * (2 << 20))
        context = machine(root=small, read=lambda path: calm(path, disk=read_disk(path)))
        # Inodes are still free: empty files can be made, so that only writing into them fails.
        bad = bad_lines(context)
    assert [line.check for line in bad if line.state == "fail"] == ["space"]
    assert {line.check for line in bad} <= {"space", "folders", "file-system", "clock"}
    assert "0.0 GiB free" in next(line.seen for line in bad if line.check == "space")


@pytest.mark.parametrize(("percent", "words"), [(66.0, "warning from 65 %"), (71.0, "no job")])
def test_a_disk_beyond_its_limits_is_a_warning(machine, only, percent, words):
    disk = Space(used_percent=percent, available_bytes=9 * GIB, total_bytes=30 * GIB)
    line = only(machine(read=lambda path: calm(path, disk=disk)), "space", "warn")
    assert words in line.seen
    assert "--root" in line.remedy


def test_a_network_file_system(machine, only, monkeypatch):
    monkeypatch.setattr(checks, "file_system", lambda _path: "nfs4")
    line = only(machine(), "file-system")
    assert "nfs4" in line.seen
    assert line.remedy == "--root on a local disk"


def test_a_file_system_whose_locks_do_nothing(machine, only, monkeypatch):
    @contextmanager
    def no_lock(_path):
        yield

    monkeypatch.setattr(checks, "lock", no_lock)
    assert "locks do not exclude" in only(machine(), "file-system").seen


def test_a_file_system_that_refuses_an_operation(machine, only, monkeypatch):
    def refuse(_path, _data):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(checks, "write_atomic", refuse)
    assert "Operation not supported" in only(machine(), "file-system").seen


def test_the_trial_leaves_nothing_behind(machine, bad_lines, root):
    before = sorted(root.rglob("*"))
    assert bad_lines(machine()) == []
    assert sorted(root.rglob("*")) == before


def test_invalid_settings_are_listed(machine, bad_lines):
    problems = tuple(
        SettingsError(f"problem {n}", where=f"f.yaml:{n}", hint=f"hint {n}") for n in range(5)
    )
    bad = bad_lines(replace(machine(), settings_problems=problems))
    assert {line.check for line in bad} == {"settings"}
    assert [line.state for line in bad] == ["fail"] * 4
    assert (bad[0].seen, bad[0].remedy) == ("problem 0 (f.yaml:0)", "hint 0")
    assert "2 more" in bad[-1].seen


def test_a_warning_of_the_settings_is_one_here(machine, only):
    context = replace(machine(), settings_warnings=("unknown environment variable RINGRIFT_X",))
    assert "RINGRIFT_X" in only(context, "settings", "warn").seen


def test_invalid_hyperparameters(machine, only, root):
    (root / "config" / "hyperparameters.json").write_text('{"defaults": {"learning_rat": 1}}')
    line = only(machine(), "hyper-parameters")
    assert "learning_rat" in line.seen
    assert "hyperparameters.json" in line.seen
    assert "learning_rate" in line.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hosts: [", "YAML"),
        ("hosts:\n  a: {ssh_host: x}\n  a: {ssh_host: y}\n", ":3 hosts.a stands twice"),
        ("hosts:\n  a: {ssh_user: root}\n", ":2 hosts.a has no ssh_host"),
    ],
)
def test_an_invalid_hosts_file(machine, only, root, text, words):
    (root / "config" / "distributed_hosts.yaml").write_text(text)
    line = only(machine(), "hosts")
    assert words in line.seen
    assert "distributed_hosts.yaml" in line.seen


def test_a_good_hosts_file(machine, bad_lines, root):
    (root / "config" / "distributed_hosts.yaml").write_text("hosts:\n  a: {ssh_host: x}\n")
    assert bad_lines(machine()) == []


def test_a_stale_partial_file(machine, only, root):
    stale, young = root / "runs" / ".a.partial", root / "runs" / ".b.partial"
    for path in (stale, young):
        path.write_text("")
    old_s = time.time() - 3700
    os.utime(stale, (old_s, old_s))
    line = only(machine(), "leftovers", "warn")
    assert line.seen == f"1 partial files older than 1 h, such as {stale}"
    assert line.remedy == "ringrift doctor --fix"


TAKES_A_LOCK = """
import fcntl, json, os, subprocess, sys
from ringrift.core import files
path = sys.argv[1]
handle = os.open(path, os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
owner = {"pid": os.getpid(), "started_at": files._process_start(), "locked_at": "2024-01-01T00:00:00Z"}
os.write(handle, json.dumps({**owner, "host": files.socket.gethostname()}).encode())
if len(sys.argv) > 2:
    child = subprocess.Popen(["sleep", "60"], pass_fds=[handle], stdout=-3, stderr=-3)
    print(child.pid)
"""


def test_a_lock_that_a_left_child_holds(machine, only, root):
    path = root / "data" / "coordination" / "loop.lock"
    done = subprocess.run(
        [sys.executable, "-c", TAKES_A_LOCK, str(path), "child"],
        capture_output=True,
        text=True,
        check=True,
    )
    left = int(done.stdout)
    try:
        line = only(machine(), "leftovers", "warn")
    finally:
        os.kill(left, signal.SIGKILL)
    assert f"{path} is held by process {left}" in line.seen
    assert line.remedy == f"ending process {left}"


def test_a_free_lock_of_an_ended_process_is_no_defect(machine, bad_lines, root):
    path = root / "data" / "coordination" / "loop.lock"
    subprocess.run([sys.executable, "-c", TAKES_A_LOCK, str(path)], check=True)
    assert bad_lines(machine()) == []
    from ringrift.cli.checks.leftovers import check_leftovers

    (found,) = check_leftovers(machine())
    assert "1 locks of ended processes, free to take" in found.seen


def test_every_folder_of_a_root_is_looked_at(root):
    made = {path for path in root.rglob("*") if path.is_dir()}
    assert set(folders_of(root)) == made
