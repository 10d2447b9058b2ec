"""Work that children of an agent do in tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

from ringrift.cluster.job_child import Outcome
from ringrift.core.errors import BusyError, DataError


def nothing(context):
    return Outcome(numbers={"n": context.job.spec["n"]})


def sleep(context):
    """Note the start in a shared file, sleep `s` seconds, tell how far it is."""
    _note(context, f"start {context.job.spec['n']} {os.getpid()} {context.attempt}")
    end_s = time.monotonic() + context.job.spec["s"]
    while time.monotonic() < end_s:
        if context.stop():
            _note(context, f"stopped {context.job.spec['n']}")
            return Outcome(complete=False)
        context.report(left_s=round(end_s - time.monotonic(), 1), hold=context.hold())
        time.sleep(0.02)
    return Outcome(numbers={"n": context.job.spec["n"], "nice": os.nice(0)})


def deaf(context):
    """Hear nothing of a stop."""
    _note(context, f"start {context.job.spec['n']} {os.getpid()}")
    time.sleep(60)
    return Outcome()


def hungry(context):
    """Hold ever more memory."""
    held = []
    while not context.stop():
        held.append(b"x" * (32 << 20))
        time.sleep(0.02)
    return Outcome()


def failing(context):
    print("about to fail")
    if context.job.spec["how"] == "data":
        raise DataError("row 7 is bad", where="games.db")
    if context.job.spec["how"] == "defect":
        return 1 / 0
    if context.job.spec["how"] == "busy":
        raise BusyError("the spool is full")
    if context.job.spec["how"] == "nan":
        return Outcome(numbers={"loss": float("nan")})
    if context.job.spec["how"] == "twice" and context.attempt < 3:
        raise DataError(f"attempt {context.attempt}")
    return Outcome(numbers={"attempt": context.attempt})


def printing(context):
    print("to the log", flush=True)
    print("and errors", file=sys.stderr)
    return Outcome()


def with_children(context):
    """Start programs that do not look after themselves, and wait for ever."""
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    _note(context, "start 0 " + " ".join(str(child.pid) for child in children))
    time.sleep(60)
    return Outcome()


def _note(context, line):
    with (Path(context.root).parent / "notes").open("a") as file:
        file.write(line + "\n")
