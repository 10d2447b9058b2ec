"""End processes together with everything they started, and nothing else (`core.md` 7).

A process is named by its pid and its start time in kernel ticks: a pid that now belongs to another
process is never signalled.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ringrift.core.host_table import start_ticks
from ringrift.core.process_reading import tree

if TYPE_CHECKING:
    from collections.abc import Iterable

GRACE_S = 10.0
_LEFTOVER_GRACE_S = 1.0
_KILLED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.02


class ProcessName(NamedTuple):
    """Name one process for good."""

    pid: int
    start_ticks: int

    @property
    def alive(self) -> bool:
        """Whether this very process runs; one that ended but was not waited for does not."""
        return start_ticks(self.pid) == self.start_ticks


def this_process() -> ProcessName:
    """Return the name of the running process."""
    return ProcessName(os.getpid(), start_ticks(os.getpid()) or 0)


def family(leader: ProcessName) -> set[ProcessName]:
    """Return a process, its descendants and its session, as far as they run.

    The session holds those whose parent has ended; it counts only for a leader of its own.
    """
    found: set[ProcessName] = set()
    if leader.alive:
        below = tree([leader.pid]).values()
        found |= {ProcessName(one.pid, one.start_ticks) for one in below if not one.ended}
    if start_ticks(leader.pid) in (leader.start_ticks, None):
        found |= _session(leader.pid)
    return found - {this_process()}


def end_processes(leaders: Iterable[ProcessName], *, grace_s: float = GRACE_S) -> list[ProcessName]:
    """End processes with their families and return those that even SIGKILL did not end.

    The leaders get SIGTERM and `grace_s` to stop in order; what is left of their families gets
    SIGTERM and a second, then SIGKILL.
    """
    asked = [leader for leader in leaders if leader != this_process()]
    known: set[ProcessName] = set()
    for leader in asked:
        known |= family(leader)
    _signal([leader for leader in asked if leader.alive], signal.SIGTERM)
    _wait_for_end(asked, grace_s)
    known = _grown(asked, known)
    if known and not any(leader.alive for leader in asked):
        _signal(known, signal.SIGTERM)
        _wait_for_end(known, _LEFTOVER_GRACE_S)
    deadline_s = time.monotonic() + _KILLED_WITHIN_S
    while (known := _grown(asked, known)) and time.monotonic() < deadline_s:
        _signal(known, signal.SIGKILL)
        _wait_for_end(known, 0.2)
    return sorted(known)


def _grown(leaders: list[ProcessName], known: set[ProcessName]) -> set[ProcessName]:
    """Return those of `known` that run, with what they started since."""
    living = {process for process in known if process.alive}
    for process in {*leaders, *living}:
        living |= family(process)
    return living


def _signal(processes: Iterable[ProcessName], number: signal.Signals) -> None:
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            # The handle stays with its process: a pid given away between look and signal is safe.
            if process.alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            continue
        finally:
            os.close(handle)


def _wait_for_end(processes: Iterable[ProcessName], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < deadline_s:
        time.sleep(_LOOK_EVERY_S)
        left = [process for process in left if process.alive]


def _session(number: int) -> set[ProcessName]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = ((pid, start_ticks(pid)) for pid in pids if _session_of(pid) == number)
    return {ProcessName(pid, ticks) for pid, ticks in found if ticks is not None}


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
