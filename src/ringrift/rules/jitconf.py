"""Compile the rules: one decorator, and cache folders named by the source they were compiled from.

Numba's own cache does not notice an edit in a callee. So the folder of a room's compiled functions
is named by the hash of every source file they can be made of: all of this room, and each file that
imports `rule` from this module, in the rooms up to their own. `NUMBA_DISABLE_JIT=1` leaves the
functions plain Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numba

PACKAGE = Path(__file__).resolve().parent.parent
ROOMS = ("rules", "records", "nets", "agents", "selfplay", "data", "training", "evaluation")
"""Rooms that may hold compiled code, in import order: each may call those before it."""

MARK = "ringrift.rules.jitconf"
KEPT_FOLDERS = 3

COMPILED: bool = not numba.config.DISABLE_JIT

F = TypeVar("F", bound=Callable[..., Any])


def compiled_sources(room: str, package: Path = PACKAGE) -> list[Path]:
    """List the files that compiled functions of `room` can be made of, in order."""
    files = sorted((package / "rules").rglob("*.py"))
    for name in ROOMS[1 : ROOMS.index(room) + 1]:
        for path in sorted((package / name).rglob("*.py")):
            if MARK in path.read_text(encoding="utf-8"):
                files.append(path)
    return files


def source_key(room: str, package: Path = PACKAGE) -> str:
    """Name the compiled code of `room`: 16 hex digits over versions, flags and sources."""
    flags = f"{version('numba')} {version('llvmlite')} {os.environ.get('NUMBA_BOUNDSCHECK', '')}"
    digest = hashlib.sha256(flags.encode())
    for path in compiled_sources(room, package):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Return the folder of all compile caches: `NUMBA_CACHE_DIR`, else the user's cache folder."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ringrift" / "numba"


@cache
def cache_folder(room: str) -> Path:
    """Make the folder for this source of `room`; drop all but the last few of older sources."""
    folder = cache_root() / f"{room}-{source_key(room)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        others = [p for p in folder.parent.glob(f"{room}-*") if p != folder]
        others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        for stale in others[KEPT_FOLDERS - 1 :]:
            shutil.rmtree(stale, ignore_errors=True)
    except OSError:
        pass  # a folder that cannot be written: Numba reports it when it compiles
    return folder


def rule(function: F) -> F:
    """Compile a function for CPU threads; CUDA kernels call the same object."""
    parts = function.__module__.split(".")
    room = parts[1] if parts[0] == "ringrift" and parts[1] in ROOMS else ROOMS[-1]
    if COMPILED:
        numba.config.CACHE_DIR = str(cache_folder(room))  # read when the function is decorated
    compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled
