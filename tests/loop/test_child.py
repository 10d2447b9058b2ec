"""Child processes: results and errors come back, a death is noticed, nothing outlives a stop."""

import importlib
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ringrift.core.errors import DataError
from ringrift.loop.child import ChildFailed, ChildStopped, run_child

TARGETS = """
import os, time
from ringrift.core.errors import DataError

def count(report, *, upto):
    for n in range(upto):
        report({"n": n})
    return upto

def domain(report):
    raise DataError("no model", where="a file")

def defect(report):
    return 1 / 0

def die(report):
    os._exit(3)

def sleep(report):
    time.sleep(60)

def threads(report):
    return os.environ["OMP_NUM_THREADS"]
"""

ORPHAN = """
import os, sys
sys.path.insert(0, sys.argv[1])
import child_targets
from ringrift.loop.child import run_child

if __name__ == "__main__":
    run_child(child_targets.sleep, {}, what="x", stop=lambda: print(os.getpid(), flush=True))
"""


@pytest.fixture
def targets(tmp_path, monkeypatch):
    (tmp_path / "child_targets.py").write_text(textwrap.dedent(TARGETS))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "child_targets", raising=False)
    return importlib.import_module("child_targets")


def test_reports_arrive_in_order_and_the_result_after_them(targets):
    seen = []
    assert run_child(targets.count, {"upto": 3}, what="x", on_report=seen.append) == 3
    assert [report["n"] for report in seen] == [0, 1, 2]


def test_a_domain_error_comes_back_with_its_exit_code(targets):
    with pytest.raises(ChildFailed, match="no model") as caught:
        run_child(targets.domain, {}, what="x")
    assert caught.value.exit_code == DataError.exit_code
    assert caught.value.where == "a file"


def test_a_defect_names_its_place(targets):
    with pytest.raises(ChildFailed, match=r"ZeroDivisionError.*child_targets.py"):
        run_child(targets.defect, {}, what="x")


def test_a_death_is_an_error(targets):
    with pytest.raises(ChildFailed, match=r"died without a result \(exit code 3\)"):
        run_child(targets.die, {}, what="x")


@pytest.mark.timed
def test_stop_ends_the_child(targets):
    begun = time.monotonic()
    with pytest.raises(ChildStopped):
        run_child(targets.sleep, {}, what="x", stop=lambda: time.monotonic() > begun + 0.5)
    assert time.monotonic() - begun < 30


def test_the_thread_count_is_the_childs_alone(targets):
    before = os.environ.get("OMP_NUM_THREADS")
    assert run_child(targets.threads, {}, what="x", threads=3) == "3"
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.slow
def test_the_child_of_a_killed_parent_ends(targets, tmp_path):
    del targets
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline().strip() == str(parent.pid)
    children = []
    while not children:
        with Path(f"/proc/{parent.pid}/task/{parent.pid}/children").open() as file:
            found = [int(pid) for pid in file.read().split()]
        children = [pid for pid in found if "spawn_main" in cmdline(pid)]
    time.sleep(1.0)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while any("spawn_main" in cmdline(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def cmdline(pid):
    try:
        with Path(f"/proc/{pid}/cmdline").open("rb") as file:
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
