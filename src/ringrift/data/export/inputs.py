"""JSON lines as the input of an export: through the gate into a store of their own (data.md 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ringrift.core.errors import UsageError
from ringrift.data.ingest.trees import tree_files
from ringrift.data.pool.build import build_pool
from ringrift.data.pool.report import PoolReport
from ringrift.data.pool.request import PoolRequest


def input_files(given: Sequence[Path], folder: Path | None) -> tuple[Path, ...]:
    """Return the files of `--input` and those of JSON lines below `--input-dir`."""
    for path in given:
        if not path.is_file():
            raise UsageError(f"no file {path}", where="--input", hint="an existing file")
    return (*given, *(tree_files(folder, []) if folder is not None else ()))


def store_of_lines(
    files: Sequence[Path],
    store: Path,
    *,
    legacy: bool,
    completed: bool,
    on_progress: Callable[[PoolReport], None] = lambda report: None,
) -> PoolReport:
    """Take the games of files into a new store; the report says what was refused and why.

    Raises the error of the files where none could be read.
    """
    request = PoolRequest(output=store, named=tuple(files), completed=completed, legacy=legacy)
    report = build_pool(request, on_progress=on_progress)
    if report.errors and len(report.errors) == len(report.inputs):
        raise report.errors[0]
    return report
