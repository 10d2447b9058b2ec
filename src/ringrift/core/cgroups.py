"""Read the memory and CPU bounds that a container puts on this process.

Both generations are read, version 2 (`memory.max`, `cpu.max`) and version 1 (`memory.limit_in_bytes`,
`cpu.cfs_quota_us`): of this process's group and every group above it the lowest bound counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBound:
    """Hold the bound of one group and its working set: use less file pages nobody misses."""

    group: Path
    limit_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuBound:
    """Hold the processors a group may use on average and the processor time it has used.

    `busy_s` is `None` where the group does not account it.
    """

    group: Path
    cpus: float
    busy_s: float | None


class _Mount(NamedTuple):
    """Say where one hierarchy of groups is mounted; version 2 has the name ``""``."""

    controllers: frozenset[str]
    root: str
    point: Path


def memory_bound(proc: Path = PROC) -> MemoryBound | None:
    """Return the lowest memory bound; `None` where there is none.

    Groups without a finite bound, and bounds that do not parse, count as none.
    """
    found = [*_memory_v2(proc), *_memory_v1(proc)]
    # Of equal bounds the fuller group is the one that will be felt.
    return min(found, key=lambda bound: (bound.limit_bytes, -bound.used_bytes), default=None)


def cpu_bound(proc: Path = PROC) -> CpuBound | None:
    """Return the lowest CPU quota; `None` where there is none."""
    found = [*_cpu_v2(proc), *_cpu_v1(proc)]
    return min(found, key=lambda bound: bound.cpus, default=None)


def available_cpus(proc: Path = PROC) -> float:
    """Return how many CPUs this process may use: its affinity and its group's quota."""
    count = host_cpus()
    bound = cpu_bound(proc)
    return count if bound is None else min(count, bound.cpus)


def host_cpus() -> int:
    """Return how many CPUs this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_v2(proc: Path) -> Iterator[MemoryBound]:
    for group in _groups(proc, ""):
        limit, used = _integer(group / "memory.max"), _integer(group / "memory.current")
        if limit is not None and used is not None:
            idle = _named(group / "memory.stat", "inactive_file") or 0
            yield MemoryBound(group=group, limit_bytes=limit, used_bytes=max(0, used - idle))


def _memory_v1(proc: Path) -> Iterator[MemoryBound]:
    for group in _groups(proc, "memory"):
        limit = _integer(group / "memory.limit_in_bytes")
        used = _integer(group / "memory.usage_in_bytes")
        # "No limit" is written as the largest multiple of the page size.
        if limit is not None and used is not None and limit < 1 << 62:
            idle = _named(group / "memory.stat", "total_inactive_file") or 0
            yield MemoryBound(group=group, limit_bytes=limit, used_bytes=max(0, used - idle))


def _cpu_v2(proc: Path) -> Iterator[CpuBound]:
    for group in _groups(proc, ""):
        quota, _, period = (_text(group / "cpu.max") or "").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            busy_us = _named(group / "cpu.stat", "usage_usec")
            yield CpuBound(
                group=group,
                cpus=int(quota) / int(period),
                busy_s=None if busy_us is None else busy_us / 1e6,
            )


def _cpu_v1(proc: Path) -> Iterator[CpuBound]:
    # Quotas and accounts may be mounted apart, with groups of the same names.
    accounts = _by_name(_groups(proc, "cpuacct"))
    for name, group in _by_name(_groups(proc, "cpu")).items():
        quota = _integer(group / "cpu.cfs_quota_us")
        period = _integer(group / "cpu.cfs_period_us")
        if quota is None or quota <= 0 or not period:
            continue
        busy_ns = _integer(accounts.get(name, group) / "cpuacct.usage")
        yield CpuBound(
            group=group, cpus=quota / period, busy_s=None if busy_ns is None else busy_ns / 1e9
        )


def _groups(proc: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and those above it, as far as they are mounted."""
    mount = next(
        (found for found in _mounts(proc / "mountinfo") if controller in found.controllers), None
    )
    name = _own_group(proc / "cgroup", controller)
    if mount is None or name is None:
        return
    # In a container the mount shows only a part of the tree: names are relative to its root.
    inside = name.removeprefix(mount.root) if mount.root != "/" else name
    folder = mount.point / inside.strip("/")
    if ".." in folder.parts or not folder.is_dir():
        folder = mount.point
    while True:
        yield folder
        if folder == mount.point:
            return
        folder = folder.parent


def _by_name(groups: Iterator[Path]) -> dict[Path, Path]:
    """Key the folders by their names below the mount point, which comes last."""
    folders = list(groups)
    return {folder.relative_to(folders[-1]): folder for folder in folders}


def _own_group(path: Path, controller: str) -> str | None:
    for line in (_text(path) or "").splitlines():
        _, controllers, name = line.split(":", 2)
        if controller in controllers.split(","):
            return name
    return None


@cache
def _mounts(path: Path) -> tuple[_Mount, ...]:
    """Read which hierarchies are mounted where; that does not change while a process runs."""
    found = []
    for line in (_text(path) or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        names = {""} if kind[0] == "cgroup2" else set(kind[2].split(","))
        found.append(_Mount(frozenset(names), fields[3], Path(fields[4].replace("\\040", " "))))
    return tuple(found)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return None


def _integer(path: Path) -> int | None:
    text = (_text(path) or "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _named(path: Path, name: str) -> int | None:
    """Return the number beside `name` in a file of lines `NAME NUMBER`."""
    for line in (_text(path) or "").splitlines():
        key, _, number = line.partition(" ")
        if key == name and number.strip().isdigit():
            return int(number)
    return None
