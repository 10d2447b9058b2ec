"""Clock, limits and open files: each planted defect shows on its line, and on no other."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ringrift.cli.checks.machine import check_clock, check_limits, check_open_files
from ringrift.core.readings import Gpu, Space

from .conftest import GIB, calm


@contextmanager
def hub(ahead_s):
    """A hub on loopback whose clock is ahead of ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/health"
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() + ahead_s, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("skew_s", "state"), [(10.0, "fail"), (-10.0, "fail"), (2.5, "warn"), (-2.5, "warn")]
)
def test_a_clock_beside_the_file_system_s(machine, only, skew_s, state):
    line = only(machine(wall_s=lambda: time.time() + skew_s), "clock", state)
    assert f"{abs(skew_s):.1f} s from the file system's clock" in line.seen
    assert line.remedy.startswith("setting the clock")


def test_a_clock_that_was_never_set(machine):
    (line,) = check_clock(machine(wall_s=lambda: 1000.0))
    assert (line.state, line.seen) == ("fail", "it is said to be 1970")


def test_a_clock_that_jumps(machine):
    times = [time.time()] * 3
    context = machine(wall_s=lambda: times.pop(0) if times else time.time() + 8)
    (line,) = check_clock(context)
    assert line.state == "fail"
    assert "8.0 s from the steady one" in line.seen


@pytest.mark.parametrize(
    ("ahead_s", "state"),
    [(0.0, "ok"), (3.0, "warn"), (-3.0, "warn"), (9.0, "fail"), (-9.0, "fail")],
)
def test_the_clock_is_compared_with_the_hub_s(machine, ahead_s, state):
    with hub(ahead_s) as url:
        (line,) = check_clock(machine(environ={"RINGRIFT_COORDINATOR_URL": url}))
    assert line.state == state
    assert ("behind the hub" if ahead_s > 0.6 else "the hub") in line.seen


def test_a_hub_that_does_not_answer_is_a_warning(machine):
    (line,) = check_clock(machine(environ={"RINGRIFT_COORDINATOR_URL": "http://127.0.0.1:1"}))
    assert line.state == "warn"
    assert "does not tell its time" in line.seen


def test_a_full_memory_is_a_warning(machine, only):
    full = Space(used_percent=93.0, available_bytes=GIB, total_bytes=16 * GIB)
    line = only(machine(read=lambda path: calm(path, memory=full)), "limits", "warn")
    assert line.seen == "93.0 % of memory in use, limit 80 %: nothing new starts"
    assert "limits.memory_critical" in line.remedy


def test_a_busy_gpu_is_named(machine, only):
    full = Space(used_percent=75.0, available_bytes=GIB, total_bytes=4 * GIB)
    gpu = Gpu(index=1, name="GPU", memory=full)
    line = only(machine(read=lambda path: calm(path, gpus=(gpu,))), "limits", "warn")
    assert "GPU 1's memory" in line.seen


def test_a_limit_above_the_table_is_shown(machine, only):
    settings = machine().settings
    limits = settings.limits.model_copy(update={"memory_critical": 95.0})
    context = replace(machine(), settings=settings.model_copy(update={"limits": limits}))
    line = only(context, "limits", "warn")
    assert line.seen == "limits.memory_critical 95 lies above the table's value"


def test_what_cannot_be_read_is_unknown_and_no_warning(machine):
    context = machine(read=lambda path: calm(path, memory=None, load=None))
    (line,) = check_limits(context)
    assert line.state == "ok"
    assert "memory unknown" in line.seen


def test_few_open_files_are_a_warning(machine, only):
    line = only(machine(open_files=1024), "open-files", "warn")
    assert line.seen == "1,024; 4,096 wanted"
    assert "ulimit -n 4096" in line.remedy


def test_no_limit_of_open_files_is_enough(machine):
    (line,) = check_open_files(machine(open_files=-1))
    assert line.state == "ok"
