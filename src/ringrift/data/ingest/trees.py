"""Find the JSON lines of a tree, of all its sources or of some (data.md 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ringrift.core.errors import UsageError
from ringrift.data.pool.scanning import LINES, files_below


def tree_files(folder: Path, sources: Sequence[str] = ()) -> list[Path]:
    """Return the files of JSON lines below a folder; `sources` are names of its sub-folders.

    Raises `UsageError` for a folder that is not there, naming those that are.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}", where="--input-dir", hint="--input-dir DIR")
    if not sources:
        return files_below(folder, LINES)
    found: list[Path] = []
    for name in sources:
        if not (folder / name).is_dir():
            known = sorted(path.name for path in folder.iterdir() if path.is_dir())
            raise UsageError(
                f"no source {name!r} in {folder}",
                where="--sources",
                hint=", ".join(known) or "a folder of sources",
            )
        found += files_below(folder / name, LINES)
    return found
