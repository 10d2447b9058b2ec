"""Count what other tasks of this host will still take of memory, disks and GPUs (`core.md` 6).

A task in the host's table has said what it needs at most. What its processes hold already shows in the
readings; only the rest is outstanding.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.process_reading import ancestors, tree
from ringrift.core.readings import existing, gpu_memory_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ringrift.core.host_table import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """Hold the bytes that are promised and not yet taken; `gpu_bytes` is for one device."""

    memory_bytes: int = 0
    disk_bytes: int = 0
    gpu_bytes: int = 0


def outstanding(tasks: Iterable[Task], *, path: Path, device: int = 0) -> Outstanding:
    """Add up what these tasks will still take, of the disk of `path` and of one device.

    Of memory and a GPU's memory what a task's tree of processes holds is taken off. What it has
    written cannot be told from what others wrote: its disk space counts until it ends.
    """
    tasks = list(tasks)
    disk = _disk_of(path)
    memory_bytes = gpu_bytes = 0
    for pid in {task.pid for task in tasks}:
        own = [task for task in tasks if task.pid == pid]
        memory = sum(task.needs_memory_bytes for task in own)
        gpu = sum(task.needs_gpu_bytes for task in own if (task.device or 0) == device)
        if memory or gpu:
            processes = tree([pid])
            held = sum(process.memory_bytes for process in processes.values())
            memory_bytes += max(0, memory - held)
            if gpu:
                gpu_bytes += max(0, gpu - gpu_memory_of(set(processes), device))
    return Outstanding(
        memory_bytes=memory_bytes,
        disk_bytes=sum(
            task.needs_disk_bytes
            for task in tasks
            if task.needs_disk_bytes and _disk_of(task.disk_path) == disk
        ),
        gpu_bytes=gpu_bytes,
    )


def of_others(tasks: Iterable[Task]) -> Iterator[Task]:
    """Leave out the tasks of this process and of those above it: what they reserved is for us."""
    ours = {os.getpid(), *ancestors(os.getpid())}
    return (task for task in tasks if task.pid not in ours)


def of_other_families(tasks: Iterable[Task]) -> Iterator[Task]:
    """Leave out only the tasks of processes above this one."""
    above = set(ancestors(os.getpid()))
    return (task for task in tasks if task.pid not in above)


def _disk_of(path: Path | str | None) -> int | None:
    """Return the number of the file system that holds `path` or will."""
    return None if path is None else existing(Path(path)).stat().st_dev
