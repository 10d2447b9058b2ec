"""Whether a loop runs on a data root, and where it answers."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from ringrift.core.errors import RefusedError
from ringrift.core.files import is_locked, read_owner

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.files import LockOwner
    from ringrift.core.paths import Paths

NOT_RUNNING = 3
START_HINT = "ringrift loop start"


def lock_file(paths: Paths) -> Path:
    """Return the file that a running loop holds locked."""
    return paths.coordination / "loop.lock"


def running(paths: Paths) -> LockOwner | None:
    """Return who runs the loop of this root, None where nobody does."""
    path = lock_file(paths)
    return read_owner(path) if is_locked(path) else None


def runner(paths: Paths) -> LockOwner | None:
    """Return who runs the loop as a process of this machine, None where nobody does.

    Raises `RefusedError` for one on another machine, whose process cannot be reached from here.
    """
    owner = running(paths)
    if owner is not None and owner.host != socket.gethostname():
        raise RefusedError(f"the loop runs on {owner.host}", where=str(lock_file(paths)))
    return owner


def address_of(paths: Paths, pid: int) -> str | None:
    """Return where the loop with this process serves its pages, None before it does."""
    from ringrift.loop.telemetry import ADDRESS_FILE

    try:
        found = json.loads((paths.root / ADDRESS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(found["url"]) if found.get("pid") == pid else None
