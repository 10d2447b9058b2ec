"""Find files that may hold games (data.md 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

from ringrift.core.errors import UsageError

LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
SUFFIXES = (*LINES, ".rrshard", ".journal", ".db")
"""Names of files that are looked into."""


def files_below(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return the files of these names in a folder and all below, sorted; hidden ones are not meant."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.endswith(tuple(suffixes))
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def default_inputs(selfplay: Path, games: Path) -> list[Path]:
    """Return what is scanned without an input: all below `selfplay`, the databases in `games`."""
    return [*files_below(selfplay), *sorted(games.glob("*.db"))]


def named_inputs(given: Iterable[Path], *, option: str) -> list[Path]:
    """Return the files that names, folders and patterns mean; raises `UsageError` for none."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += files_below(path)
        elif path.exists():
            found.append(path)
        elif has_magic(str(path)):
            matches = sorted(glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute ones
            if not matches:
                raise UsageError(f"no file matches the pattern {str(path)!r}", where=option)
            found += [Path(match) for match in matches if Path(match).is_file()]
        else:
            raise UsageError(f"no file {path}", where=option)
    return found


def folder_inputs(given: Iterable[Path], *, option: str) -> list[Path]:
    """Return the files below folders; raises `UsageError` for a folder that is not there."""
    found: list[Path] = []
    for folder in given:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}", where=option)
        found += files_below(folder)
    return found


def without(paths: Iterable[Path], outputs: Iterable[Path | None]) -> list[Path]:
    """Return each path once, in order, without the outputs."""
    left_out = {path.resolve() for path in outputs if path is not None}
    kept: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() not in left_out:
            kept.setdefault(path.resolve(), path)
    return list(kept.values())
