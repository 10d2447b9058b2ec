"""Games from any file, ours or a foreign one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ringrift.core.errors import UsageError
from ringrift.records.analysis import Analysis
from ringrift.records.foreign.importing import ImportOptions, ImportReport, form_of_file, scan
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.sources import kind_of, read_games


def read_any(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    """Yield the games of a store, shard, journal, or file of JSON lines, ours or foreign.

    Raises `DataError` naming the place of the first that cannot be read or replayed.
    """
    form = _foreign_form(path)
    if form is None:
        yield from read_games(path)
        return
    for entry, found in scan(path, form, ImportOptions(), ImportReport()):
        if isinstance(found, VerificationError):
            raise found.at(f"{entry.file}:{entry.row}")
        yield found.record, [] if found.analysis is None else [found.analysis]


def _foreign_form(path: Path) -> str | None:
    kind = kind_of(path)
    if kind == "store":
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            moves = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'game_moves'"
            foreign = database.execute(moves).fetchone() is not None
        return form_of_file(path) if foreign else None
    if kind != "jsonl":
        return None
    try:
        return form_of_file(path)
    except UsageError:  # lines of our own
        return None
