"""Replace a file that people also edit, keeping the old one beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

BACKUP_SUFFIX = ".bak"


def replace_keeping(path: Path, text: str) -> Path | None:
    """Write `path` whole; return where the old file is now, `None` if there was none.

    At every instant `path` is the old or the new file: the copy is made first.
    """
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    old = path.read_bytes() if path.exists() else None
    if old is not None:
        write_atomic(backup, old)
    write_atomic(path, text.encode())
    return backup if old is not None else None
