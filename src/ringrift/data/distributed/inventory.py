"""The files of a folder by their SHA-256, as they are served."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.files import PARTIAL_SUFFIX
from ringrift.data.distributed.metalink import Metalink, describe_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Mark = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One file: its path below the folder, where it is, its hashes, and how it looked then."""

    name: str
    path: Path
    link: Metalink
    mark: _Mark

    @property
    def unchanged(self) -> bool:
        """Whether size, time and inode are as they were when it was hashed."""
        try:
            return _mark(self.path) == self.mark
        except OSError:
            return False


class Inventory:
    """Know the finished files below `folders`; hidden and partial ones are left out.

    A file is hashed when it is first seen and when its size or time changed. Links are not
    followed, so nothing outside the folders is ever named. Safe in several threads.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._known: dict[Path, Served] = {}
        self._lock = threading.Lock()

    def scan(self) -> list[Served]:
        """Return what is there now, in the order of the names."""
        with self._lock:
            self._known = {file.path: file for file in self._look()}
            return sorted(self._known.values(), key=lambda file: file.name)

    def find(self, sha256: str) -> Served | None:
        """Return the file of a hash; None where no file has it, or no longer."""
        with self._lock:
            found = self._among_known(sha256)
        if found is None:
            self.scan()
            with self._lock:
                found = self._among_known(sha256)
        return found

    def _among_known(self, sha256: str) -> Served | None:
        fits = (f for f in self._known.values() if f.link.sha256 == sha256 and f.unchanged)
        return next(fits, None)

    def _look(self) -> Iterator[Served]:
        for path, name in self._files():
            former = self._known.get(path)
            if former is not None and former.name == name and former.unchanged:
                yield former
                continue
            try:
                mark = _mark(path)
                yield Served(name=name, path=path, link=describe_file(path), mark=mark)
            except FileNotFoundError:
                continue

    def _files(self) -> Iterator[tuple[Path, str]]:
        for folder in self._folders:
            for path in folder.rglob("*"):
                parts = path.relative_to(folder).parts
                hidden = any(
                    part.startswith(".") or part.endswith(PARTIAL_SUFFIX) for part in parts
                )
                if hidden or path.is_symlink() or not path.is_file():
                    continue
                if path.resolve().is_relative_to(folder.resolve()):
                    yield path, "/".join(parts)


def _mark(path: Path) -> _Mark:
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino
