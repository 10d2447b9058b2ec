"""Measure how much of this machine is used by everybody and by others (`core.md` 8).

The processor's use is the mean since the measurement before, so one measures once an update.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ringrift.core import cgroups, readings
from ringrift.core.log import get_logger
from ringrift.core.optimizer import Load, Reading

if TYPE_CHECKING:
    from pathlib import Path

log = get_logger(__name__)

LEAST_APART_S = 0.5  # shorter means are mostly rounding of the kernel's ticks


class UtilizationMeter:
    """Make readings for the optimizer; `root` lies on the data root's file system.

    A reading within half a second of the one before has no processor load: a mean needs time. Of a
    GPU the fuller of its time and its memory counts, of several the most loaded.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._began: tuple[float, float, float] | None = None
        readings.prime()
        self._cpu_percent()

    def read(
        self,
        *,
        workers: int,
        games_per_hour: float | None = None,
        demand_games_per_hour: float | None = None,
    ) -> Reading:
        """Return a reading of now; what cannot be read is `None`."""
        seen = readings.read(self._root)
        cpu = self._cpu_percent()
        gpus = [gpu.busy_percent for gpu in seen.gpus if gpu.busy_percent is not None]
        gpus += [gpu.memory.used_percent for gpu in seen.gpus if gpu.memory is not None]
        return Reading(
            workers=workers,
            cpu=None if cpu is None else Load(used=cpu, others=min(cpu, seen.cpu_percent or 0.0)),
            gpu=Load(used=max(gpus)) if gpus else None,
            memory=None if seen.memory is None else Load(used=seen.memory.used_percent),
            games_per_hour=games_per_hour,
            demand_games_per_hour=demand_games_per_hour,
        )

    def _cpu_percent(self) -> float | None:
        """Return the use of our CPUs since the call before; `None` too soon or without one."""
        with self._lock:
            now = _busy()
            before = self._began
            if now is None:
                return None
            if before is None or before[2] != now[2]:  # means of two machines do not mix
                self._began = now
                return None
            passed_s = now[0] - before[0]
            if passed_s < LEAST_APART_S:
                return None
            self._began = now
            return min(100.0, max(0.0, 100.0 * (now[1] - before[1]) / (passed_s * now[2])))


def _busy() -> tuple[float, float, float] | None:
    """Return the time, the busy processor seconds and the CPUs, of the container where there is one."""
    bound, host = cgroups.cpu_bound(), cgroups.host_cpus()
    now_s = time.monotonic()
    if bound is not None and bound.cpus < host:
        return None if bound.busy_s is None else (now_s, bound.busy_s, bound.cpus)
    import psutil

    try:
        times = psutil.cpu_times()
    except (OSError, psutil.Error) as error:
        log.warning("reading failed", what="cpu", reason=str(error))
        return None
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    # The guests' time is part of the user's.
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    # All processors of the machine, though an affinity may leave us fewer of them.
    return now_s, (sum(times) - idle_s - guests_s), float(psutil.cpu_count() or host)
