"""Which files the statistics read, of what is named on the command line (data.md 10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.core.errors import UsageError
from ringrift.data.statistics.files import GAME_SUFFIXES, LINE_SUFFIXES, files_in, listed_files
from ringrift.data.stores import OTHER_DB, STORE, database_kind


@dataclass(slots=True, kw_only=True)
class Sources:
    """Stores and other files, each once in the order named; `too_old` were left out for their age."""

    stores: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    too_old: list[Path] = field(default_factory=list)

    def without_old(self, max_age_s: float, now: float) -> Sources:
        """Leave out the files that were last written longer ago."""
        kept = Sources()
        for found, place in ((self.stores, kept.stores), (self.files, kept.files)):
            for path in found:
                old = now - path.stat().st_mtime > max_age_s
                (kept.too_old if old else place).append(path)
        return kept


def lines_named(paths: Iterable[Path], *, recursive: bool) -> list[Path]:
    """Return the files that `--jsonl` names, those of folders by their suffix.

    Raises `UsageError` for a name that is neither, or for a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = files_in(path, suffixes=LINE_SUFFIXES, recursive=recursive)
            if not inside:
                hint = "another folder" if recursive else "--recursive"
                raise UsageError(f"no JSON lines in {path}", where="--jsonl", hint=hint)
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"no file {path}", where="--jsonl", hint="a file or folder")
    return found


def all_in(folder: Path) -> Sources:
    """Return the stores and files of games in a folder and those below it."""
    sources = Sources()
    for path in files_in(folder, suffixes=GAME_SUFFIXES, recursive=True):
        kind = database_kind(path)
        if kind == STORE:
            sources.stores.append(path)
        elif kind != OTHER_DB:
            sources.files.append(path)
    return sources


def find_sources(
    *,
    stores: Sequence[Path] = (),
    jsonl: Sequence[Path] = (),
    lists: Sequence[Path] = (),
    folders: Sequence[Path] = (),
    recursive: bool = False,
) -> Sources:
    """Return all that is named: stores, JSON lines, lists of files, and folders of either.

    Raises `UsageError` for what is not there, `DataError` for what cannot be read.
    """
    found = Sources(stores=list(stores), files=lines_named(jsonl, recursive=recursive))
    for path in lists:
        found.files += listed_files(path)
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}", where="--data-dir")
        inside = all_in(folder)
        found.stores += inside.stores
        found.files += inside.files
    return Sources(stores=_once(found.stores), files=_once(found.files))


def _once(paths: Iterable[Path]) -> list[Path]:
    return list({path.resolve(): path for path in paths}.values())
