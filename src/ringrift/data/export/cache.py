"""Blocks kept between exports below `cache/export/`: least recently used files go (data.md 5)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ringrift.core.ids import canonical_json, content_id
from ringrift.data.dataset.identity import block_options
from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.pack import SUFFIX, merge_packs

LIMIT_BYTES = 10_000_000_000


class BlockCache:
    """The blocks of earlier exports; blocks made with other options are in other folders."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes

    def packs(self, options: ExportOptions) -> list[Path]:
        """Return the files that may hold blocks made with these options."""
        return sorted(self._of(options).glob(f"*{SUFFIX}"))

    def used(self, packs: Sequence[Path]) -> None:
        """Note that files have been used now."""
        for path in packs:
            if path.is_relative_to(self.folder):
                with suppress(OSError):
                    os.utime(path)

    def take(self, options: ExportOptions, packs: Sequence[Path]) -> None:
        """Take over the blocks of some files, then drop what is over the limit."""
        if packs:
            folder = self._of(options)
            folder.mkdir(parents=True, exist_ok=True)
            merge_packs(packs, folder)
        self._evict()

    def _of(self, options: ExportOptions) -> Path:
        return self.folder / content_id("blocks", canonical_json(block_options(options)))[:16]

    def _evict(self) -> None:
        files = []
        for path in self.folder.glob(f"*/*{SUFFIX}"):
            with suppress(OSError):
                stat = path.stat()
                files.append((stat.st_mtime, str(path), stat.st_size))
        total = sum(size for *_, size in files)
        for _, name, size in sorted(files):
            if total <= self._limit_bytes:
                return
            Path(name).unlink(missing_ok=True)
            total -= size
