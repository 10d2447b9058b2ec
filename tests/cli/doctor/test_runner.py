"""Limits of time, checks that raise, and what --fix may touch."""

import hashlib
import os
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

from ringrift.cli.checks.model import Check, ProbeError, fail, ok, run_probe
from ringrift.cli.checks.runner import OutOfTimeError, run_checks, time_limit
from ringrift.cli.checks.table import ALL_CHECKS
from ringrift.core.errors import BusyError


def slow(_context):
    yield ok("slow", "begun")
    time.sleep(30)


def raising(error):
    def run(_context):
        yield ok("raising", "begun")
        raise error

    return Check(name="raising", run=run, limit_s=5)


@pytest.mark.timed
def test_a_check_that_hangs_fails_and_the_others_go_on(machine):
    checks = [
        Check(name="slow", run=slow, limit_s=0.2),
        Check(name="next", run=lambda _: [ok("next", "fine")], limit_s=1),
    ]
    began_s = time.monotonic()
    report = run_checks(machine(), checks)
    assert time.monotonic() - began_s < 2
    assert [(line.check, line.state) for line in report.findings] == [
        ("slow", "ok"),
        ("slow", "fail"),
        ("next", "ok"),
    ]
    assert report.findings[1].seen == "no answer within 0.2 s"
    assert not report.healthy


def test_what_the_run_has_no_time_for_is_a_warning(machine):
    checks = [
        Check(name="slow", run=slow, limit_s=10),
        Check(name="next", run=lambda _: [ok("next", "fine")], limit_s=1),
    ]
    report = run_checks(replace(machine(), quick=True), checks, budget_s=0.5)
    assert [(line.check, line.state) for line in report.findings] == [
        ("slow", "ok"),
        ("slow", "warn"),
        ("next", "warn"),
    ]
    assert report.findings[2].seen == "not run: the time of this run was over"
    assert report.findings[2].remedy == "ringrift doctor without --quick"
    assert report.healthy


@pytest.mark.parametrize(
    ("error", "seen", "remedy"),
    [
        (ZeroDivisionError("by zero\nmore"), "ZeroDivisionError: by zero", "ringrift doctor -v"),
        (BusyError("locked", where="x.db", hint="waiting"), "locked (x.db)", "waiting"),
    ],
)
def test_a_check_that_raises_is_a_failure_with_its_reason(machine, capsys, error, seen, remedy):
    report = run_checks(machine(), [raising(error)])
    assert [line.state for line in report.findings] == ["ok", "fail"]
    assert report.findings[1].seen == seen
    assert report.findings[1].remedy.startswith(remedy)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.timed
def test_the_time_limit_gives_a_former_alarm_back():
    """The alarm may be that of a test's own time limit."""
    rung = []
    former = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, 0.4)
    began_s = time.monotonic()
    try:
        with pytest.raises(OutOfTimeError), time_limit(0.1):
            time.sleep(5)
        time.sleep(0.6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s)
        signal.signal(signal.SIGALRM, former)
    assert len(rung) == 1
    assert 0.3 < rung[0] - began_s < 0.6


def test_in_another_thread_checks_run_without_alarm(machine):
    reports = []
    check = Check(name="a", run=lambda _: [ok("a", "fine")], limit_s=1)
    thread = threading.Thread(target=lambda: reports.append(run_checks(machine(), [check])))
    thread.start()
    thread.join()
    assert reports[0].healthy


def test_a_probe_that_crashes_or_hangs_says_so(monkeypatch):
    environ = dict(os.environ)
    with pytest.raises(ProbeError, match="KeyError: 'nonsense'"):
        run_probe("nonsense", environ=environ, timeout_s=30)
    with pytest.raises(ProbeError, match="no answer within 0 s"):
        run_probe("perft", "square8", "3", environ=environ, timeout_s=0.01)
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    # A shell that is given -P -m ... ends with an error of its own: one line, no traceback.
    with pytest.raises(ProbeError) as found:
        run_probe("perft", environ=environ, timeout_s=5)
    assert "\n" not in str(found.value)


def test_a_repair_that_fails_is_told_and_what_was_done_is_kept(machine):
    def fix(_context, found):
        assert [line.seen for line in found] == ["bad"]
        yield "made one"
        raise PermissionError(13, "Permission denied", "/x")

    check = Check(name="a", run=lambda _: [fail("a", "bad", "x")], limit_s=1, fix=fix)
    report = run_checks(machine(), [check], repair=True)
    assert report.repaired == ("made one",)
    assert "Permission denied" in report.findings[-1].seen


@pytest.mark.timed
def test_a_repair_has_no_more_time_than_the_run(machine):
    def fix(_context, _found):
        yield "made one"
        time.sleep(30)

    check = Check(name="a", run=lambda _: [fail("a", "bad", "x")], limit_s=1, fix=fix)
    report = run_checks(machine(), [check], repair=True, budget_s=0.5)
    assert report.seconds < 2
    assert report.repaired == ("made one",)
    assert "--fix: the time of this run was over" in [line.seen for line in report.findings]


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def plant_defects(root):
    """Two folders missing, stale and young partial files, and files that are nobody's business."""
    (root / "data" / "npz").rmdir()
    (root / "spool").rmdir()
    for name in ("config/unified_loop.yaml", "data/games/a.db", "models/objects/m", "cache/c"):
        (root / name).write_bytes(name.encode())
    (root / "data" / "games" / "notes.partial").write_text("no dot: somebody's own")
    (root / "config" / "unified_loop.yaml").write_text("{}\n")
    stale = root / "runs" / ".a.0123.partial"
    young = root / "runs" / ".b.0123.partial"
    folder = root / ".doctor.x.partial"
    folder.mkdir()
    (folder / "try.db").write_text("left by a killed doctor")
    old_s = time.time() - 7200
    for path in (stale, young):
        path.write_text("partial")
    for path in (stale, folder, root / "data" / "games" / "notes.partial"):
        os.utime(path, (old_s, old_s))
    return stale, folder


def test_fix_makes_folders_and_removes_partial_files_and_nothing_else(machine, root):
    stale, folder = plant_defects(root)
    before = hashes(root)
    report = run_checks(machine(), ALL_CHECKS, repair=True)
    assert [line for line in report.findings if line.state != "ok"] == []
    assert set(report.repaired) == {
        f"made {root / 'data' / 'npz'}",
        f"made {root / 'spool'}",
        f"removed {stale}",
        f"removed {folder}",
    }
    gone = {"runs/.a.0123.partial", ".doctor.x.partial/try.db"}
    assert hashes(root) == {name: digest for name, digest in before.items() if name not in gone}
    assert (root / "spool").is_dir()
    assert (root / "data" / "npz").is_dir()
    assert run_checks(machine(), ALL_CHECKS, repair=True).repaired == ()


def test_without_fix_nothing_is_changed(machine, root):
    plant_defects(root)
    before = hashes(root)
    report = run_checks(machine(), ALL_CHECKS)
    assert {line.check for line in report.findings if line.state != "ok"} == {
        "folders",
        "leftovers",
    }
    assert report.repaired == ()
    assert hashes(root) == before
    assert not (root / "spool").exists()


def test_fix_does_not_turn_any_folder_into_a_data_root(machine, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    report = run_checks(machine(root=bare), ALL_CHECKS, repair=True)
    assert [line.check for line in report.findings if line.state == "fail"] == ["marker"]
    assert list(bare.iterdir()) == []
