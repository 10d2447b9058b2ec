"""Foreign formats: GameReplayDB, self-play JSONL, GameRecord JSONL, traces (selfplay.md 9)."""

from __future__ import annotations

from ringrift.records.foreign.convert import MODES, Converted, convert
from ringrift.records.foreign.gamereplaydb import open_replay_db
from ringrift.records.foreign.gamereplaydb_writer import SNAPSHOTS_EVERY, write_replay_db
from ringrift.records.foreign.importing import (
    ImportOptions,
    ImportReport,
    form_of_file,
    import_files,
    scan,
    would_import,
)
from ringrift.records.foreign.line_writers import write_lines
from ringrift.records.foreign.names import FORMATS

__all__ = [
    "FORMATS",
    "MODES",
    "SNAPSHOTS_EVERY",
    "Converted",
    "ImportOptions",
    "ImportReport",
    "convert",
    "form_of_file",
    "import_files",
    "open_replay_db",
    "scan",
    "would_import",
    "write_lines",
    "write_replay_db",
]
