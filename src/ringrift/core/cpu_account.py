"""Tell the processor time and load of others from our own (`core.md` 5).

Ours are this process, everything below it, and the trees of the tasks in the host's table. Two cores
that we fill ourselves must not look like a busy machine.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.process_reading import Process, runnable_threads, tree

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_S = 60.0
LEAST_APART_S = 0.5
_LOAD_MEMORY_S = 60.0  # the kernel's one-minute average forgets by 1/e in this time
_TICK_S = 0.01  # starts are rounded down to this

_Key = tuple[int, int]


class OwnTime:
    """Add up the processor time of trees of processes; the sum never falls.

    What an ended child had used is in its parent's account only once the parent has waited for it,
    and never if nobody does. So each process is followed by itself, and of what a parent gets for
    its ended children only that counts which had not been seen before.
    """

    def __init__(self) -> None:
        self.busy_s = 0.0
        self._before: dict[_Key, Process] = {}
        self._before_s: float | None = None

    def update(self, processes: Iterable[Process], now_s: float) -> float:
        """Take a new look at the trees; return the sum since the first look.

        `now_s` is the time since boot. A process that was there before the last look and was not
        ours then counts from now on.
        """
        now = {(process.pid, process.start_ticks): process for process in processes}
        seen_s = self._of_ended_children(now)
        for key, process in now.items():
            former = self._before.get(key)
            if former is not None:
                self.busy_s += max(0.0, process.busy_s - former.busy_s)
                reaped_s = process.reaped_s - former.reaped_s
            elif self._before_s is not None and process.started_s >= self._before_s - _TICK_S:
                self.busy_s += process.busy_s
                reaped_s = process.reaped_s
            else:
                continue
            self.busy_s += max(0.0, reaped_s - seen_s.get(key, 0.0))
        self._before, self._before_s = now, now_s
        return self.busy_s

    def _of_ended_children(self, now: dict[_Key, Process]) -> dict[_Key, float]:
        """Return what has been seen of processes now gone, by the living process that got it."""
        keys = {process.pid: key for key, process in self._before.items()}
        seen_s: dict[_Key, float] = {}
        for key, process in self._before.items():
            if key in now:
                continue
            heir = keys.get(process.parent)
            while heir is not None and heir not in now:
                heir = keys.get(self._before[heir].parent)
            if heir is not None:
                seen = process.busy_s + process.reaped_s
                seen_s[heir] = seen_s.get(heir, 0.0) + seen
        return seen_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Hold one look at the machine: processor seconds of all and of ours, and our load."""

    at_s: float
    total_s: float
    own_s: float
    own_load: float


class Samples:
    """Keep the samples of a minute, at least half a second apart."""

    def __init__(self) -> None:
        self._ring: deque[Sample] = deque()

    def due(self, now_s: float) -> bool:
        """Whether the last sample is old enough for another one."""
        return not self._ring or now_s - self._ring[-1].at_s >= LEAST_APART_S

    def add(self, sample: Sample) -> None:
        """Append a sample and forget those that are not needed any more."""
        self._ring.append(sample)
        # The first one left is the start of the window, or before it where looks are rare.
        while len(self._ring) > 2 and sample.at_s - self._ring[1].at_s >= WINDOW_S:
            self._ring.popleft()

    def percent_of_others(self, cpus: float) -> float | None:
        """Return the mean use of `cpus` by others over the window; `None` before two samples."""
        if len(self._ring) < 2:
            return None
        first, last = self._ring[0], self._ring[-1]
        others_s = (last.total_s - first.total_s) - (last.own_s - first.own_s)
        percent = 100.0 * others_s / ((last.at_s - first.at_s) * cpus)
        return min(100.0, max(0.0, percent))

    def own_load(self) -> float:
        """Return what we contribute to the load average, as a mean over the window."""
        return math.fsum(sample.own_load for sample in self._ring) / max(1, len(self._ring))

    def clear(self) -> None:
        """Forget everything."""
        self._ring.clear()


def look(roots: Iterable[int], account: OwnTime, *, total_s: float) -> Sample:
    """Take a sample of the trees below `roots` and put it into the account."""
    processes = tree(roots).values()
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    own_s = account.update(processes, now_s)
    load = math.fsum(_share_of_load(process, now_s) for process in processes)
    return Sample(at_s=now_s, total_s=total_s, own_s=own_s, own_load=load)


def _share_of_load(process: Process, now_s: float) -> float:
    """Return how far its runnable threads have entered the one-minute average since its start."""
    runnable = runnable_threads(process)
    if runnable == 0:
        return 0.0
    age_s = max(0.0, now_s - process.started_s)
    return runnable * (1.0 - math.exp(-age_s / _LOAD_MEMORY_S))
