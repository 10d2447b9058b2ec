"""Tell whether somebody still writes a file: who has it open, and how old it is."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

SETTLED_S = 60.0
"""A file that changed less than this ago may still be growing."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Why a file is left alone; `why` is a sentence for people."""

    file: Path
    why: str


def busy(path: Path, *, now_s: float | None = None) -> Busy | None:
    """Return why a file must not be replaced now, `None` if it may be."""
    age_s = (time.time() if now_s is None else now_s) - path.stat().st_mtime
    if age_s < SETTLED_S:
        return Busy(path, f"written {max(age_s, 0.0):.0f} s ago; it may still be growing")
    writers = writers_of(path)
    if writers:
        return Busy(path, f"open for writing by process {', '.join(map(str, writers))}")
    return None


def writers_of(path: Path, *, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that have a file open for writing, as far as this user may see them.

    Where there is no `/proc`, a lock that another process holds on the file counts as pid 0.
    """
    if not (proc / "self" / "fd").is_dir():
        return [0] if _locked(path) else []
    wanted = path.stat()
    key = (wanted.st_dev, wanted.st_ino)
    processes = [process for process in proc.iterdir() if process.name.isdigit()]
    return sorted(int(process.name) for process in processes if _writes(process, key))


def _writes(process: Path, wanted: tuple[int, int]) -> bool:
    try:
        handles = list((process / "fd").iterdir())
    except OSError:  # ended meanwhile, or of another user
        return False
    return any(_writable(process, handle, wanted) for handle in handles)


def _writable(process: Path, handle: Path, wanted: tuple[int, int]) -> bool:
    try:
        found = handle.stat()
        if (found.st_dev, found.st_ino) != wanted:
            return False
        told = (process / "fdinfo" / handle.name).read_text(encoding="ascii")
    except OSError:
        return False
    flags = next((line.split()[1] for line in told.splitlines() if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _locked(path: Path) -> bool:
    with path.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
