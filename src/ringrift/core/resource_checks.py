"""Decide whether a job of some size may start: limits, free space and what others reserved.

`ringrift.core.resource_guard` offers this as functions, `ringrift.cli.heavy` asks it for commands.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.limits import Resource, State, Verdict, judge
from ringrift.core.readings import GIB, read, running_tasks
from ringrift.core.reservations import of_others, outstanding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ringrift.core.host_table import Task
    from ringrift.core.readings import Readings
    from ringrift.core.settings.limits import Limits

KEEP_READINGS_S = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Name one resource that a job may not take, and why."""

    verdict: Verdict
    reason: str


class ResourceChecks:
    """Answer for one data root: its limits, its disk, and what others have reserved.

    `read`, `clock` and `sleep` can be given, so that tests need no full disk.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        path: Path,
        read: Callable[[Path], Readings] = read,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.limits = limits
        self.path = path
        self._read = read
        self._clock = clock
        self._sleep = sleep
        self._kept: dict[Path, tuple[float, Readings]] = {}

    def readings(self, path: Path | None = None, *, fresh: bool = False) -> Readings:
        """Return a look at the machine that is at most a second old."""
        path = self.path if path is None else path
        now_s = self._clock()
        kept = self._kept.get(path)
        if kept is None or fresh or now_s - kept[0] >= KEEP_READINGS_S:
            kept = self._kept[path] = (now_s, self._read(path))
        return kept[1]

    def verdicts(self, path: Path | None = None) -> tuple[Verdict, ...]:
        """Judge that look by the limits."""
        return judge(self.readings(path), self.limits)

    def refusals(
        self,
        *,
        disk_gb: float | None = None,
        memory_gb: float | None = None,
        gpu_gb: float | None = None,
        device: int = 0,
        cpu: bool = False,
        path: Path | None = None,
        tasks: Iterable[Task] | None = None,
        fresh: bool = False,
    ) -> list[Refusal]:
        """Return what stands against a job that needs this much; `None` is not looked at.

        `tasks` are those whose reservations count, unless given all of other processes. A failed
        reading is no refusal.
        """
        readings = self.readings(path, fresh=fresh)
        tasks = list(of_others(running_tasks()) if tasks is None else tasks)
        promised = outstanding(tasks, path=readings.path, device=device)
        needs = {
            Resource.DISK: (disk_gb, promised.disk_bytes),
            Resource.MEMORY: (memory_gb, promised.memory_bytes),
            Resource.GPU: (gpu_gb, promised.gpu_bytes),
        }
        found: list[Refusal] = []
        for verdict in judge(readings, self.limits):
            if verdict.resource in (Resource.CPU, Resource.LOAD):
                if cpu and verdict.state is State.CRITICAL:
                    found.append(Refusal(verdict, verdict.reason))
                continue
            needed_gb, promised_bytes = needs[verdict.resource]
            if needed_gb is None or verdict.device not in (None, device):
                continue
            reason = _against(verdict, needed_gb, promised_bytes)
            if reason is not None:
                found.append(Refusal(verdict, reason))
        return found

    def wait(
        self,
        timeout_s: float,
        interval_s: float,
        ready: Callable[[], bool],
    ) -> bool:
        """Ask `ready` until it agrees or the time is over; return its last answer."""
        deadline_s = self._clock() + timeout_s
        while not ready():
            left_s = deadline_s - self._clock()
            if left_s <= 0:
                return False
            self._sleep(min(interval_s, left_s))
        return True


def _against(verdict: Verdict, needed_gb: float, promised_bytes: int) -> str | None:
    """Return why a space cannot take a job of this size; `None` if it can."""
    space = verdict.space
    if space is None:
        return None
    if verdict.state is State.CRITICAL:
        return verdict.reason
    promised_percent = 100.0 * promised_bytes / space.total_bytes
    if promised_bytes and space.used_percent + promised_percent >= verdict.critical:
        return (
            f"{verdict.name}: {space.used_percent:.1f} % in use and {promised_percent:.1f} % "
            f"reserved by running tasks, limit {verdict.critical:g} %"
        )
    free_gb = (space.available_bytes - promised_bytes) / GIB
    if free_gb < needed_gb:
        reserved = f" after {promised_bytes / GIB:.2f} GB reserved" if promised_bytes else ""
        return f"{verdict.name}: {free_gb:.2f} GB free{reserved}, {needed_gb:g} GB needed"
    return None
