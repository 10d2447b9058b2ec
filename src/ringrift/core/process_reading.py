"""Read running processes and whole trees of them from `/proc`, at the cost of their own size.

`psutil` finds children by looking at every process of the host; the kernel lists those of a process
directly, so a tree of ours costs the same on a host with ten thousand other processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ENDED = frozenset("ZX")
_RUNNABLE = frozenset("RD")  # what the kernel counts in its load average


@dataclass(frozen=True, slots=True)
class Process:
    """Hold what one line of `/proc/PID/stat` says.

    `busy_s` is the processor time of the process, `reaped_s` that of the ended children it has
    waited for. `start_ticks` is the start in kernel ticks since boot; with the pid it names one
    process for ever.
    """

    pid: int
    parent: int
    state: str
    busy_s: float
    reaped_s: float
    threads: int
    start_ticks: int
    memory_bytes: int

    @property
    def ended(self) -> bool:
        """Whether only its exit status is left."""
        return self.state in _ENDED

    @property
    def started_s(self) -> float:
        """Seconds between boot and its start, as `time.clock_gettime(CLOCK_BOOTTIME)`."""
        return self.start_ticks / _TICKS_PER_S


def read_process(pid: int) -> Process | None:
    """Return what the kernel says of a process; `None` if there is none of this number."""
    fields = _stat(f"/proc/{pid}/stat")
    if fields is None:
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        state=fields[0].decode(),
        busy_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        reaped_s=(int(fields[13]) + int(fields[14])) / _TICKS_PER_S,
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        memory_bytes=int(fields[21]) * _PAGE_BYTES,
    )


def tree(roots: Iterable[int]) -> dict[int, Process]:
    """Return the processes of these pids and of everything below them, each once, by pid."""
    found: dict[int, Process] = {}
    waiting = list(roots)
    below = None if _kernel_lists_children() else _children_by_parent()
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        process = read_process(pid)
        if process is None:
            continue
        found[pid] = process
        waiting += _children(process) if below is None else below.get(pid, [])
    return found


def ancestors(pid: int) -> Iterator[int]:
    """Yield the parent of a process, its parent and so on; process 1 is the last."""
    process = read_process(pid)
    while process is not None and process.parent > 0:
        yield process.parent
        process = read_process(process.parent)


def runnable_threads(process: Process) -> int:
    """Return how many of its threads run, wait for a processor or for a disk."""
    if process.threads == 1:
        return int(process.state in _RUNNABLE)
    return sum(
        fields[0].decode() in _RUNNABLE
        for thread in _thread_ids(process.pid)
        if (fields := _stat(f"/proc/{process.pid}/task/{thread}/stat")) is not None
    )


def _stat(path: str) -> list[bytes] | None:
    text = _read(path)
    if not text:
        return None
    # The name in the second field may hold spaces and brackets: count from its last bracket.
    return text[text.rindex(b")") + 2 :].split()


def _read(path: str) -> bytes | None:
    # A third of the cost of a buffered file; these are read hundreds of times a minute.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(handle, 65_536)
    except OSError:  # it ended in between
        return None
    finally:
        os.close(handle)


def _children(process: Process) -> list[int]:
    threads = [str(process.pid)] if process.threads == 1 else _thread_ids(process.pid)
    found: list[int] = []
    for thread in threads:
        text = _read(f"/proc/{process.pid}/task/{thread}/children")
        found += [int(child) for child in (text or b"").split()]
    return found


def _thread_ids(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names, and no object for each
    except OSError:
        return []


@cache
def _kernel_lists_children() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _children_by_parent() -> dict[int, list[int]]:
    """Group all processes of the host by parent, for kernels without lists of children."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - as above
        if name.isdigit() and (process := read_process(int(name))) is not None:
            found.setdefault(process.parent, []).append(process.pid)
    return found
