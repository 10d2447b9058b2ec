"""Compile the rules: one decorator, and a cache folder named by the source it was compiled from.

Numba's own cache does not notice an edit in a callee, so the folder's name is the hash of every
source file that compiled code is made of: all of this room, and each file of the package that
imports `rule`. `NUMBA_DISABLE_JIT=1` leaves the functions plain Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

ROOM = Path(__file__).resolve().parent
KEPT_CACHES = 3
MARK = "ringrift.rules.jitconf"

F = TypeVar("F", bound=Callable[..., Any])


def compiled_sources(package: Path = ROOM.parent) -> list[Path]:
    """List the files that compiled code depends on, sorted."""
    room = package / ROOM.name
    found = set(room.rglob("*.py"))
    for path in package.rglob("*.py"):
        if path not in found and MARK in path.read_text(encoding="utf-8"):
            found.add(path)
    return sorted(found)


def source_key(package: Path = ROOM.parent) -> str:
    """Name the compiled code: 16 hex digits over compiler versions, flags and sources."""
    flags = f"{version('numba')} {version('llvmlite')} {os.environ.get('NUMBA_BOUNDSCHECK', '')}"
    digest = hashlib.sha256(flags.encode())
    for path in compiled_sources(package):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Find the folder of all compile caches: `NUMBA_CACHE_DIR`, else the user's cache folder."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ringrift" / "numba"


def _use_keyed_cache() -> Path:
    """Point Numba at the folder of this source; drop all but the last few older ones."""
    key, root = source_key(), cache_root()
    folder = root if root.name == key else root / key  # a child process inherits the keyed folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder, (time.time(), time.time()))
        others = sorted(
            (p for p in folder.parent.iterdir() if len(p.name) == len(key) and p != folder),
            key=lambda p: p.stat().st_mtime,
        )
        for stale in others[: max(0, len(others) - (KEPT_CACHES - 1))]:
            shutil.rmtree(stale, ignore_errors=True)
    except OSError:
        pass  # a read-only or shared folder: Numba reports what it cannot write itself
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


CACHE_FOLDER = _use_keyed_cache()

import numba  # noqa: E402  (the cache folder must be set before Numba reads it)

numba.config.CACHE_DIR = str(CACHE_FOLDER)
COMPILED: bool = not numba.config.DISABLE_JIT


def rule(function: F) -> F:
    """Compile a rules function for CPU threads; CUDA kernels call the same object."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
