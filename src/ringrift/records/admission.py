"""Let prepared games into a store, batch by batch, each with how far its input was read (data.md 2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ringrift.core.files import transaction
from ringrift.records.ingest import Ingest, IngestReport
from ringrift.records.inputs import Mark, write_mark
from ringrift.records.preparing import Outcome
from ringrift.records.schema import readable


class Admission:
    """Takes the games of one input; get it from `GameStore.admission`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        writer: Ingest,
        *,
        source: str,
        request: str,
    ) -> None:
        self._connection = connection
        self._path = path
        self._writer = writer
        self._source = source
        self._request = request

    @property
    def report(self) -> IngestReport:
        """What became of the games so far."""
        return self._writer.report

    def take(self, outcomes: Iterable[Outcome], mark: Mark | None = None) -> None:
        """Write games and mark in one transaction; the last mark of a file has its size."""
        with readable(self._path), transaction(self._connection):
            for outcome in outcomes:
                self._writer.put(outcome)
            if mark is not None:
                write_mark(self._connection, self._source, self._request, mark)
                if mark.size is not None:
                    self._writer.note_shard()
