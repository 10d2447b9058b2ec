"""Read how much of this machine is used: disk, memory, CPU, GPUs and load (`core.md` 5).

A container's bounds replace the host's where they are lower. Whatever cannot be read is `None`,
logged once a minute, and never an exception: a failed reading must not stop work that is fine.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ringrift.core import cgroups
from ringrift.core.cpu_account import OwnTime, Samples, look
from ringrift.core.errors import RingriftError
from ringrift.core.host_table import HostTable
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringrift.core.host_table import Task

log = get_logger(__name__)

GIB = 1 << 30
_SAY_EVERY_S = 60.0
_LOOK_FOR_NVML_EVERY_S = 60.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Hold the use of something that fills up; `used_percent` is of what we may use of it."""

    used_percent: float
    available_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """Hold one CUDA device by its NVML number; `memory` is `None` where it cannot be read."""

    index: int
    name: str
    memory: Space | None
    busy_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Hold one look at the machine; `None` is what could not be read.

    `cpu_percent` is the use by processes that are not ours, a mean over up to 60 s; `load` is the
    one-minute load average less what our own threads add to it. `bound` names the container's group
    that bounds the memory.
    """

    path: Path
    cpus: float
    disk: Space | None
    memory: Space | None
    cpu_percent: float | None
    load: float | None
    gpus: tuple[Gpu, ...] = ()
    bound: Path | None = None


def read(path: Path | None = None) -> Readings:
    """Read everything now; `path` lies on the file system whose space counts.

    The first call in a process has no CPU reading, nor has one within 0.5 s of it (`prime`).
    """
    path = Path.cwd() if path is None else path
    memory, bound = _tried("memory", _memory) or (None, None)
    cpus, cpu_percent, load = _machine.processor.read()
    return Readings(
        path=path,
        cpus=cpus,
        disk=read_disk(path),
        memory=memory,
        cpu_percent=cpu_percent,
        load=load,
        gpus=_machine.nvml.read(),
        bound=bound,
    )


def prime() -> None:
    """Take the first CPU sample, so that a `read` half a second later has a mean."""
    _machine.processor.sample()


def read_disk(path: Path) -> Space | None:
    """Return the space of the file system of `path`, which need not exist yet."""
    return _tried("disk", functools.partial(_disk, path))


def read_memory() -> Space | None:
    """Return the memory of this machine or of the container that bounds it lower."""
    found = _tried("memory", _memory)
    return None if found is None else found[0]


def read_gpus() -> tuple[Gpu, ...]:
    """Return the devices that NVML knows; none without a driver."""
    return _machine.nvml.read()


def gpu_memory_of(pids: set[int], device: int) -> int:
    """Return the bytes of a device's memory that NVML says these processes hold."""
    return _machine.nvml.memory_of(pids, device)


def running_tasks() -> list[Task]:
    """Return the tasks in the host's table; none where it cannot be read."""
    return _tried("host table", _machine.tasks) or []


def existing(path: Path) -> Path:
    """Return `path` or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _disk(path: Path) -> Space:
    import psutil

    usage = psutil.disk_usage(str(existing(path)))
    return Space(used_percent=usage.percent, available_bytes=usage.free, total_bytes=usage.total)


def _memory() -> tuple[Space, Path | None]:
    import psutil

    host = psutil.virtual_memory()
    bound = cgroups.memory_bound()
    if bound is None or bound.limit_bytes >= host.total:
        used = 100.0 * (host.total - host.available) / host.total
        space = Space(used_percent=used, available_bytes=host.available, total_bytes=host.total)
        return space, None
    free = max(0, bound.limit_bytes - bound.used_bytes)
    space = Space(
        used_percent=min(100.0, 100.0 * bound.used_bytes / max(1, bound.limit_bytes)),
        available_bytes=min(free, host.available),
        total_bytes=bound.limit_bytes,
    )
    return space, bound.group


class _Processor:
    """Keep the samples that CPU and load are read from; one for the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples = Samples()
        self._account = OwnTime()
        self._cpus = float(cgroups.host_cpus())
        self._quota = False

    def read(self) -> tuple[float, float | None, float | None]:
        """Return the CPUs we may use, the percent of them that others use, and their load."""
        self.sample()
        with self._lock:
            percent = self._samples.percent_of_others(self._cpus)
            own_load = self._samples.own_load()
            cpus, quota = self._cpus, self._quota
        # The host's load says nothing about the part of it that a quota leaves us.
        load = None if quota else _tried("load", os.getloadavg)
        return cpus, percent, None if load is None else max(0.0, load[0] - own_load)

    def sample(self) -> None:
        """Take a sample unless the last one is younger than half a second."""
        with self._lock:
            if self._samples.due(time.clock_gettime(time.CLOCK_BOOTTIME)):
                _tried("cpu", self._sample)

    def _sample(self) -> None:
        bound = cgroups.cpu_bound()
        host = cgroups.host_cpus()
        quota = bound is not None and bound.cpus < host
        cpus = bound.cpus if quota and bound is not None else float(host)
        if (cpus, quota) != (self._cpus, self._quota):  # means of two machines do not mix
            self._samples.clear()
            self._cpus, self._quota = cpus, quota
        total_s = bound.busy_s if quota and bound is not None else _host_busy_s()
        if total_s is not None:
            self._samples.add(look(_our_roots(), self._account, total_s=total_s))


def _host_busy_s() -> float:
    """Return the processor seconds since boot that were not idle.

    Time that a hypervisor took away counts: nobody here can use it.
    """
    import psutil

    times = psutil.cpu_times()  # `user` and `nice` contain the guests' time
    rest = (getattr(times, name, 0.0) for name in ("nice", "irq", "softirq", "steal"))
    return float(times.user + times.system + sum(rest))


def _our_roots() -> set[int]:
    parent = multiprocessing.parent_process()  # the workers of one parent are ours together
    roots = {os.getpid() if parent is None or parent.pid is None else parent.pid, os.getpid()}
    return roots | {task.pid for task in running_tasks()}


class _Nvml:
    """Speak to NVML where there is one; looks for it again once a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: Any = None
        self._next_look_s = -_LOOK_FOR_NVML_EVERY_S

    def read(self) -> tuple[Gpu, ...]:
        with self._lock:
            if self._found() is None:
                return ()
            devices = _tried("GPUs", lambda: range(self._library.nvmlDeviceGetCount()))
            return tuple(self._device(index) for index in devices or ())

    def memory_of(self, pids: set[int], device: int) -> int:
        with self._lock:
            if self._found() is None:
                return 0
            listed = _tried(
                f"processes of GPU {device}", functools.partial(self._processes, device)
            )
            return sum(used for pid, used in listed or () if pid in pids)

    def _found(self) -> Any:
        if self._library is None and time.monotonic() >= self._next_look_s:
            self._next_look_s = time.monotonic() + _LOOK_FOR_NVML_EVERY_S
            self._library = _load_nvml()
        return self._library

    def _device(self, index: int) -> Gpu:
        nvml = self._library
        handle = _tried(f"GPU {index}", functools.partial(nvml.nvmlDeviceGetHandleByIndex, index))
        if handle is None:
            return Gpu(index=index, name="unknown", memory=None)
        name = _tried(f"GPU {index}", functools.partial(nvml.nvmlDeviceGetName, handle))
        memory = _tried(f"memory of GPU {index}", functools.partial(self._memory, handle))
        rates = _tried(
            f"utilization of GPU {index}",
            functools.partial(nvml.nvmlDeviceGetUtilizationRates, handle),
        )
        return Gpu(
            index=index,
            name=name.decode() if isinstance(name, bytes) else str(name or "unknown"),
            memory=memory,
            busy_percent=None if rates is None else float(rates.gpu),
        )

    def _memory(self, handle: Any) -> Space:
        memory = self._library.nvmlDeviceGetMemoryInfo(handle)
        return Space(
            used_percent=100.0 * memory.used / memory.total,
            available_bytes=int(memory.free),
            total_bytes=int(memory.total),
        )

    def _processes(self, device: int) -> list[tuple[int, int]]:
        nvml = self._library
        handle = nvml.nvmlDeviceGetHandleByIndex(device)
        listed = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return [(int(each.pid), int(each.usedGpuMemory or 0)) for each in listed]


def _load_nvml() -> Any:
    """Return the initialized binding, or `None` on a machine without a driver."""
    try:
        import pynvml  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        log.debug("no NVML: GPUs are not read", reason=str(error))
        return None
    return pynvml


_said_at_s: dict[str, float] = {}


def _tried(what: str, reading: Callable[[], _T]) -> _T | None:
    """Return a reading, or `None` after a failure, which is logged once a minute."""
    try:
        return reading()
    except (OSError, ValueError, ArithmeticError, LookupError, RingriftError) as error:
        _log_failure(what, error)
    except Exception as error:
        # The errors of optional libraries: naming them would import the libraries.
        if type(error).__module__.partition(".")[0] not in ("psutil", "pynvml", "sqlite3"):
            raise
        _log_failure(what, error)
    return None


def _log_failure(what: str, error: Exception) -> None:
    now_s = time.monotonic()
    if now_s - _said_at_s.get(what, -_SAY_EVERY_S) >= _SAY_EVERY_S:
        _said_at_s[what] = now_s
        log.warning("reading failed", what=what, reason=str(error) or type(error).__name__)


class _Machine:
    """Hold what this process knows of the machine."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything: a forked child is another tree, and NVML must be opened anew there."""
        self.processor = _Processor()
        self.nvml = _Nvml()
        self._table: HostTable | None = None

    def tasks(self) -> list[Task]:
        """Read the host's table if there is one; the connection is kept for the next time."""
        found = HostTable.find()
        if found is None:
            return []
        if self._table is None or self._table.path != found.path:
            self._table = found
        return self._table.tasks()


_machine = _Machine()
os.register_at_fork(after_in_child=_machine.begin)
