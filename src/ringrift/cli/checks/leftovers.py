"""Find what killed processes left in a data root: partial files, locks without owner (`core.md` 11)."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.cli.checks.model import Check, Context, Finding, ok, warn
from ringrift.cli.checks.root import usable_root
from ringrift.core.files import PARTIAL_SUFFIX, LockOwner, is_locked, read_owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STALE_S = 3600.0
"""A partial file that is older has lost its writer."""
QUICK_SEARCH_S, SEARCH_S = 1.0, 5.0
LOCK_SUFFIX = ".lock"
START_TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Hold what a search through a root found, and whether it reached the end."""

    partial: tuple[Path, ...]
    locks: tuple[Path, ...]
    folders: int
    complete: bool


def search(context: Context) -> Found:
    """Look through the root for stale partial files and folders, and for lock files."""
    root = usable_root(context)
    if root is None:
        return Found(partial=(), locks=(), folders=0, complete=True)
    deadline_s = time.monotonic() + (QUICK_SEARCH_S if context.quick else SEARCH_S)
    oldest_s = context.facts.wall_s() - STALE_S
    partial: list[Path] = []
    locks: list[Path] = []
    waiting, folders = [root], 0
    while waiting and time.monotonic() < deadline_s:
        folders += 1
        for entry in _entries(waiting.pop()):
            path = Path(entry.path)
            if entry.name.startswith(".") and entry.name.endswith(PARTIAL_SUFFIX):
                if entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                    partial.append(path)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.name.endswith(LOCK_SUFFIX):
                locks.append(path)
    return Found(
        partial=tuple(sorted(partial)),
        locks=tuple(sorted(locks)),
        folders=folders,
        complete=not waiting,
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # removed meanwhile, or not ours to read: `folders` says so
        return []


def check_leftovers(context: Context) -> Iterable[Finding]:
    """Report stale partial files, and locks that outlive the process that took them."""
    if usable_root(context) is None:
        return
    found = search(context)
    if found.partial:
        yield warn(
            "leftovers",
            f"{len(found.partial)} partial files older than 1 h, such as {found.partial[0]}",
            "ringrift doctor --fix",
        )
    held, free = [], 0
    for path in found.locks:
        owner = read_owner(path)
        if owner is None or owner.host != socket.gethostname() or _alive(owner):
            continue
        keeper = _holder(path)
        if keeper is None:
            free += 1
        else:
            held.append((path, owner, keeper))
    for path, owner, pid in held:
        holder = f"process {pid}" if pid else "a process of another user"
        yield warn(
            "leftovers",
            f"{path} is held by {holder}, though process {owner.pid} that took it has ended",
            f"ending {holder}",
        )
    if not found.partial and not held:
        rest = f"; {free} locks of ended processes, free to take" if free else ""
        part = "" if found.complete else " (the rest: without --quick)"
        yield ok("leftovers", f"none in {found.folders} folders{part}{rest}")


def remove_partial_files(context: Context, _found: Sequence[Finding]) -> Iterable[str]:
    """Remove the stale partial files and folders."""
    for path in search(context).partial:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        yield f"removed {path}"


def _alive(owner: LockOwner) -> bool:
    """Tell whether the very process that took a lock still runs."""
    import psutil

    try:
        started_s: float = psutil.Process(owner.pid).create_time()
        recorded_s = datetime.fromisoformat(owner.started_at).astimezone(UTC).timestamp()
    except (psutil.Error, ValueError):
        return False
    return abs(started_s - recorded_s) <= START_TOLERANCE_S


def _holder(path: Path) -> int | None:
    """Return a process that holds a lock, 0 if none is found; `None` if the lock is free.

    The kernel's table of locks names who took it, which is not who keeps its file open.
    """
    try:
        return _opened_by(path.stat()) if is_locked(path) else None
    except OSError:  # it went meanwhile, or is not ours to read
        return None


def _opened_by(file: os.stat_result) -> int:
    for entry in _entries(Path("/proc")):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        for link in _entries(Path(entry.path, "fd")):
            try:
                found = link.stat()
            except OSError:  # closed meanwhile
                continue
            if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino):
                return int(entry.name)
    return 0


CHECKS = (Check(name="leftovers", run=check_leftovers, limit_s=8, fix=remove_partial_files),)
