"""Check the clock, the limits and the open files of this machine (`core.md` 11)."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ringrift.cli.checks.model import Check, Context, Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringrift.core.limits import Verdict

LEAST_YEAR = 2024
WARN_OFFSET_S = 1.0
FAIL_OFFSET_S = 5.0
HUB_S = 1.5
LEAST_OPEN_FILES = 4096
SET_CLOCK = "setting the clock, and a service that keeps it (chrony, systemd-timesyncd)"


def check_clock(context: Context) -> Iterable[Finding]:
    """Compare the clock with the hub's, or without a hub with the file system's and the counter's.

    A hub tells its time in whole seconds: half a second and half the round trip are its doubt.
    """
    wall_s = context.facts.wall_s()
    year = datetime.fromtimestamp(wall_s, UTC).year
    if year < LEAST_YEAR:
        yield fail("clock", f"it is said to be {year}", SET_CLOCK)
        return
    hub = context.environ.get("RINGRIFT_COORDINATOR_URL", "").strip()
    if hub:
        measured = hub_offset(hub, context)
        if measured is None:
            yield warn(
                "clock",
                f"{year}; the hub of RINGRIFT_COORDINATOR_URL does not tell its time",
                "ringrift node status on the hub",
            )
            return
        offset_s, doubt_s = measured
        words = f"{abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'} the hub"
        sure_s = max(0.0, abs(offset_s) - doubt_s)
        yield _judged(sure_s, f"{words} (within {doubt_s:.1f} s)")
        return
    offset_s = file_offset(context)
    drift_s = _drift(context)
    worst_s = max(abs(offset_s), abs(drift_s))
    yield _judged(
        worst_s,
        f"no hub is set; {abs(offset_s):.1f} s from the file system's clock, "
        f"{abs(drift_s):.1f} s from the steady one",
    )


def _judged(offset_s: float, seen: str) -> Finding:
    if offset_s > FAIL_OFFSET_S:
        return fail("clock", seen, SET_CLOCK)
    if offset_s > WARN_OFFSET_S:
        return warn("clock", seen, SET_CLOCK)
    return ok("clock", seen)


def hub_offset(url: str, context: Context) -> tuple[float, float] | None:
    """Return our clock less the hub's and the doubt, both in seconds; `None` without an answer."""
    import http.client

    parts = urlsplit(url if "://" in url else f"http://{url}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=HUB_S)
        try:
            asked_s = context.facts.wall_s()
            connection.request("GET", "/health")
            date = connection.getresponse().headers["Date"]
            answered_s = context.facts.wall_s()
        finally:
            connection.close()
        hub_s = parsedate_to_datetime(date).timestamp() + 0.5
    except (OSError, http.client.HTTPException, TypeError, ValueError):
        return None
    return (asked_s + answered_s) / 2 - hub_s, 0.5 + (answered_s - asked_s) / 2


def file_offset(context: Context) -> float:
    """Return our clock less the one by which the root's file system stamps files, in seconds."""
    where = context.root if context.root is not None and context.root.is_dir() else None
    try:
        return _file_offset(context, where)
    except OSError:  # `file-system` says what is wrong there
        return _file_offset(context, None)


def _file_offset(context: Context, folder: Path | None) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"now")
        file.flush()
        return context.facts.wall_s() - os.fstat(file.fileno()).st_mtime


def _drift(context: Context) -> float:
    """Return how far the clock runs from the steady one over 50 ms: it jumps where it is set."""
    wall_s, steady_s = context.facts.wall_s(), time.monotonic()
    time.sleep(0.05)
    return (context.facts.wall_s() - wall_s) - (time.monotonic() - steady_s)


def check_open_files(context: Context) -> Iterable[Finding]:
    """Compare the limit of open files with what a hub needs."""
    found = context.facts.open_files
    if found >= LEAST_OPEN_FILES or found < 0:  # -1 is no limit
        yield ok("open-files", f"{found:,}" if found >= 0 else "no limit")
    else:
        yield warn(
            "open-files",
            f"{found:,}; {LEAST_OPEN_FILES:,} wanted",
            f"ulimit -n {LEAST_OPEN_FILES}, or LimitNOFILE of the service",
        )


def check_limits(context: Context) -> Iterable[Finding]:
    """Read memory, CPU, GPUs and load against the limits; `space` judges the disk.

    A machine that is busy is no broken one: the gravest state is a warning.
    """
    from ringrift.core.limits import Resource, State, judge

    verdicts = judge(context.facts.read(place(context)), context.settings.limits)
    raised = [verdict for verdict in verdicts if verdict.limit.raised]
    for verdict in raised:
        yield warn(
            "limits",
            f"{verdict.key} {verdict.critical:g} lies above the table's value",
            f"{verdict.key} without a value of its own",
        )
    others = [verdict for verdict in verdicts if verdict.resource is not Resource.DISK]
    held = [verdict for verdict in others if verdict.state in (State.WARNING, State.CRITICAL)]
    for verdict in held:
        effect = "nothing new starts" if verdict.state is State.CRITICAL else "near its limit"
        yield warn("limits", f"{verdict.reason}: {effect}", f"ending other work, or {verdict.key}")
    if not raised and not held:
        yield ok("limits", "; ".join(_words(verdict) for verdict in others))


def _words(verdict: Verdict) -> str:
    if verdict.used is None:
        return f"{verdict.name} unknown"
    unit = "" if verdict.resource == "load" else " %"
    return f"{verdict.name} {verdict.used:.1f} of {verdict.critical:g}{unit}"


def place(context: Context) -> Path:
    """Return the folder whose file system counts: the data root, else the working folder."""
    return context.root if context.root is not None else Path.cwd()


CHECKS = (
    Check(name="clock", run=check_clock, limit_s=5),
    Check(name="limits", run=check_limits, limit_s=3),
    Check(name="open-files", run=check_open_files, limit_s=1),
)
