"""Model files that appear in a folder, once they are whole (`evaluation.md` 10)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ringrift.core.files import PARTIAL_SUFFIX

SETTLED_S = 2.0

State = tuple[int, int]
"""Size in bytes and time of the last change in ns."""


class FolderWatch:
    """Tells files of a folder once each, when their size has not changed for 2 s.

    A file that changes later is told again. `clock` counts seconds.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self._clock = clock
        self._seen: dict[Path, tuple[State, float]] = {}
        self._told: dict[Path, State] = {}

    def settled(self) -> list[Path]:
        """Return the files that are whole and new, by name."""
        now_s = self._clock()
        found: list[Path] = []
        here: dict[Path, tuple[State, float]] = {}
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            state = _state(path)
            if state is None or self._told.get(path) == state:
                continue
            before = self._seen.get(path)
            since_s = before[1] if before is not None and before[0] == state else now_s
            here[path] = (state, since_s)
            if now_s - since_s >= SETTLED_S:
                self._told[path] = state
                found.append(path)
        self._seen = here
        return found


def _state(path: Path) -> State | None:
    """Return the state of a file that may be a model, None for others and for those that left."""
    hidden = path.name.startswith(".") or path.name.endswith(PARTIAL_SUFFIX)
    if hidden or path.suffix == ".json":
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if path.is_file() else None
