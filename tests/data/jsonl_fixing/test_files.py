"""Files are replaced whole, their old bytes are kept, what is in use is left alone."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard

from ringrift.core.errors import DataError
from ringrift.data.jsonl_fixing import FixOptions, fix_file, writers_of
from ringrift.data.jsonl_fixing.busy import busy

LONG_AGO_S = 1_600_000_000


def objects(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def mixed(write, fields, game, seven_broken):
    """Three sound lines, two wrong ones and seven broken ones, and one that is empty."""
    broken = [line for lines in seven_broken.values() for line in lines]
    sound = [fields(game(seed=seed)) for seed in (10, 11, 12)]
    wrong = [fields(game(seed=13), winner=...), fields(game(seed=14), move_count=1)]
    path = write(*broken[:4], sound[0], wrong[0], "", sound[1], *broken[4:], wrong[1], sound[2])
    return path, sound, [fields(game(seed=13)), fields(game(seed=14))], broken


def test_clean_takes_out_exactly_the_broken_ones(mixed, tmp_path):
    path, sound, corrected, broken = mixed
    old = path.read_bytes()
    options = FixOptions(correct=True, clean=True, quarantine=tmp_path / "out")
    report = fix_file(path, options)
    assert report.out.total() == len(broken) == 7
    assert report.out["malformed"] == 2
    assert dict(report.corrected) == {"winner": 1, "move_count": 1}
    left = [json.loads(line) for line in path.read_text().splitlines() if line]
    assert left == [sound[0], corrected[0], sound[1], corrected[1], sound[2]]
    assert "\n\n" in path.read_text()
    assert report.backup.read_bytes() == old
    assert report.backup.name.startswith("games.jsonl.bak-")
    kept = sorted(
        line for p in (tmp_path / "out").rglob("*.jsonl") for line in p.read_text().splitlines()
    )
    assert kept == sorted(b if isinstance(b, str) else json.dumps(b) for b in broken)
    folders = {p.name: p for p in (tmp_path / "out").iterdir()}
    assert folders.keys() == report.out.keys()
    (told,) = folders["timeout"].glob("*.json")
    assert json.loads(told.read_text())["lines"][0]["detail"].startswith("a limit ended the game")


def test_a_second_run_changes_nothing(mixed, tmp_path):
    path, *_ = mixed
    options = FixOptions(correct=True, clean=True, quarantine=tmp_path / "out")
    fix_file(path, options)
    before = contents(tmp_path)
    again = fix_file(path, options)
    assert (again.changed, again.backup, again.skipped) == (False, None, None)
    assert (again.corrected.total(), again.out.total(), again.lines) == (0, 0, 5)
    assert contents(tmp_path) == before


def test_the_backup_restores_the_file(mixed):
    path, *_ = mixed
    old = path.read_bytes()
    report = fix_file(path, FixOptions(correct=True, clean=True))
    assert path.read_bytes() != old
    report.backup.replace(path)
    assert path.read_bytes() == old
    assert path.stat().st_mtime == LONG_AGO_S


def test_without_clean_broken_lines_stay(mixed, tmp_path):
    path, _, _, broken = mixed
    lines = path.read_text().count("\n")
    report = fix_file(path, FixOptions(correct=True, quarantine=tmp_path / "out"))
    assert report.changed
    assert report.out.total() == 7
    assert path.read_text().count("\n") == lines
    assert sum(p.read_bytes().count(b"\n") for p in (tmp_path / "out").rglob("*.jsonl")) == 7
    for line in broken:
        assert (line if isinstance(line, str) else json.dumps(line)) in path.read_text()


def test_a_dry_run_tells_and_writes_nothing(mixed, tmp_path):
    path, *_ = mixed
    before = contents(tmp_path)
    options = FixOptions(correct=True, clean=True, quarantine=tmp_path / "out", dry_run=True)
    report = fix_file(path, options)
    assert (report.changed, report.backup) == (True, None)
    assert (report.corrected.total(), report.out.total()) == (2, 7)
    assert contents(tmp_path) == before
    assert not (tmp_path / "out").exists()
    change = next(e for e in report.examples if "changes" in e)["changes"][0]
    assert (change["field"], change["found"]) == ("winner", None)


def test_looking_alone_writes_nothing(mixed, tmp_path):
    path, *_ = mixed
    before = contents(tmp_path)
    report = fix_file(path, FixOptions())
    assert not report.changed
    assert contents(tmp_path) == before


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_packed_files_stay_packed(mixed, tmp_path, packing):
    path, sound, corrected, _ = mixed
    pack = gzip.compress if packing == "gzip" else zstandard.ZstdCompressor().compress
    data = pack(path.read_bytes())
    packed = tmp_path / f"games.jsonl.{packing}"
    packed.write_bytes(data)
    os.utime(packed, (LONG_AGO_S, LONG_AGO_S))
    report = fix_file(packed, FixOptions(correct=True, clean=True))
    assert report.backup.read_bytes() == data
    new = packed.read_bytes()
    unpack = zstandard.ZstdDecompressor().decompressobj().decompress
    text = gzip.decompress(new) if packing == "gzip" else unpack(new)
    left = [json.loads(line) for line in text.splitlines() if line]
    assert left == [sound[0], corrected[0], sound[1], corrected[1], sound[2]]
    again = fix_file(packed, FixOptions(correct=True, clean=True))
    assert not again.changed
    assert packed.read_bytes() == new


def test_a_damaged_archive_is_skipped_and_named(mixed, tmp_path):
    path, *_ = mixed
    packed = tmp_path / "cut.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-30])
    os.utime(packed, (LONG_AGO_S, LONG_AGO_S))
    before = packed.read_bytes()
    report = fix_file(packed, FixOptions(correct=True, clean=True))
    assert "cannot be unpacked" in report.skipped
    assert packed.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl"):
        fix_file(tmp_path / "none.jsonl", FixOptions())


# --- files in use


def test_a_young_file_is_skipped(mixed):
    path, *_ = mixed
    os.utime(path)
    before = path.read_bytes()
    report = fix_file(path, FixOptions(correct=True, clean=True))
    assert "may still be growing" in report.skipped
    assert path.read_bytes() == before


def test_the_limit_of_age_is_a_minute(mixed):
    path, *_ = mixed
    assert busy(path, now_s=LONG_AGO_S + 59.0) is not None
    assert busy(path, now_s=LONG_AGO_S + 61.0) is None


HOLD = """
import sys
with open(sys.argv[1], sys.argv[2]) as file:
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """Start a process that has a file open."""
    started = []

    def hold(path, mode):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "open\n"
        return process

    yield hold
    for process in started:
        process.communicate("")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc on this machine")
def test_a_file_that_another_process_writes_is_skipped(mixed, holder):
    path, *_ = mixed
    before = path.read_bytes()
    reader = holder(path, "r")
    assert reader.pid not in writers_of(path)
    assert busy(path) is None
    writer = holder(path, "a")
    report = fix_file(path, FixOptions(correct=True, clean=True))
    assert report.skipped == f"open for writing by process {writer.pid}"
    assert path.read_bytes() == before
    writer.communicate("")
    assert fix_file(path, FixOptions(correct=True, clean=True)).changed


def test_without_proc_a_lock_tells(mixed, tmp_path):
    path, *_ = mixed
    assert writers_of(path, proc=tmp_path / "nothing") == []
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'rb+')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        assert writers_of(path, proc=tmp_path / "nothing") == [0]
        process.communicate("")


# --- killed at any moment

KILLED = """
import sys
from pathlib import Path
from ringrift.data.jsonl_fixing import FixOptions, fix_file
options = FixOptions(correct=True, clean=True, quarantine=Path(sys.argv[2]))
print("ready", flush=True)
fix_file(Path(sys.argv[1]), options)
"""


@pytest.mark.acceptance
def test_killed_at_20_moments_nothing_is_lost(mixed, tmp_path):
    path, *_ = mixed
    old = path.read_bytes() * 20
    path.write_bytes(old)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    calm = tmp_path / "calm" / "games.jsonl"
    calm.parent.mkdir()
    calm.write_bytes(old)
    os.utime(calm, (LONG_AGO_S, LONG_AGO_S))
    started = time.monotonic()
    fix_file(calm, FixOptions(correct=True, clean=True, quarantine=tmp_path / "calm-out"))
    seconds = time.monotonic() - started
    for moment in range(20):
        path.write_bytes(old)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
        command = [sys.executable, "-c", KILLED, str(path), str(tmp_path / "out")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(seconds * 1.2 * moment / 20)
            process.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (old, calm.read_bytes())
        fix_file(path, FixOptions(correct=True, clean=True, quarantine=tmp_path / "out"))
        assert path.read_bytes() == calm.read_bytes()
    (backup,) = path.parent.glob("games.jsonl.bak-*")
    assert backup.read_bytes() == old
    kept = {p.relative_to(tmp_path / "calm-out") for p in (tmp_path / "calm-out").rglob("*.jsonl")}
    for name in kept:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "calm-out" / name).read_bytes()
