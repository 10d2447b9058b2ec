"""What a piece of work costs the process: collections of garbage, and peak memory."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

_CLEAR_PEAK = "5"  # proc_pid_clear_refs(5): set the peak of resident memory to what it is now


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Collections of garbage with the time they took, and the peak of resident memory.

    `peak_of` is `run` where the kernel let the peak be counted anew, else `process`.
    """

    gc_collections: int
    gc_ms: float
    peak_rss_bytes: int
    peak_of: Literal["run", "process"]


class Watch:
    """Watch the block: `with Watch() as watch: ...`, then `watch.cost`."""

    def __init__(self) -> None:
        self.cost: Cost | None = None
        self._collections = 0
        self._seconds = 0.0
        self._begun_s = 0.0
        self._fresh = False

    def __enter__(self) -> Watch:
        gc.collect()
        self._fresh = reset_peak()
        gc.callbacks.append(self._saw)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self._saw)
        self.cost = Cost(
            gc_collections=self._collections,
            gc_ms=self._seconds * 1000,
            peak_rss_bytes=peak_rss(),
            peak_of="run" if self._fresh else "process",
        )

    def _saw(self, phase: str, info: dict[str, Any]) -> None:
        del info
        if phase == "start":
            self._begun_s = time.perf_counter()
        else:
            self._collections += 1
            self._seconds += time.perf_counter() - self._begun_s


def reset_peak() -> bool:
    """Count the peak of resident memory anew from here; False where the kernel does not."""
    try:
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak_rss() -> int:
    """Return the peak of this process's resident memory in bytes."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss() -> int:
    """Return this process's resident memory in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)
