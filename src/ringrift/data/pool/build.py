"""Build the pool: every game of every input through the gate into one store (data.md 2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ringrift.core.errors import BusyError, DataError, RefusedError, RingriftError
from ringrift.data.jsonl_fixing.busy import writers_of
from ringrift.data.pool.inputs import UNKNOWN_FORM, InputFile, Torn, form_of_lines
from ringrift.data.pool.judging import CHUNK, Judges
from ringrift.data.pool.outputs import IntoStore, Output, Taker, Trial, copy_sides
from ringrift.data.pool.report import InputReport, PoolReport
from ringrift.data.pool.request import PoolRequest
from ringrift.data.pool.units import UNREADABLE, Judged, Unit
from ringrift.records.inputs import Mark
from ringrift.records.preparing import Outcome
from ringrift.records.refused import Refused
from ringrift.records.store import COMMIT_EVERY, GameStore

Progress = Callable[[PoolReport], None]

_READ_ERRORS = (DataError, BusyError, RefusedError)


def build_pool(request: PoolRequest, *, on_progress: Progress = lambda report: None) -> PoolReport:
    """Take the games of all inputs, each read from where an earlier run stopped.

    The store is created if missing; 500 games become visible together. An input that cannot be read
    is reported, and the others go on. Raises `BusyError` while another process writes the store.
    """
    started_s = time.monotonic()
    report = PoolReport()
    with ExitStack() as stack:
        output: Output
        store: GameStore | None = None
        if request.dry_run:
            output = stack.enter_context(Trial(request))
        else:
            store = stack.enter_context(GameStore.open(request.output, writer=True))
            output = IntoStore(store, request)
        judges = stack.enter_context(
            Judges(
                request.rules,
                output.known,
                store=request.output if request.output.is_file() else None,
                workers=request.workers,
            )
        )
        builder = _Builder(request, output, judges, report, on_progress)
        for path in (*request.named, *request.scanned):
            builder.take(path)
            if request.limit is not None and report.considered >= request.limit:
                break
        if store is not None:
            copy_sides(store, holdout=request.holdout, quarantine=request.quarantine)
    report.seconds = time.monotonic() - started_s
    return report


class _Builder:
    """Takes one input after the other."""

    def __init__(
        self,
        request: PoolRequest,
        output: Output,
        judges: Judges,
        report: PoolReport,
        on_progress: Progress,
    ) -> None:
        self._request = request
        self._output = output
        self._judges = judges
        self._report = report
        self._on_progress = on_progress
        self._scanned = {path.resolve() for path in request.scanned}

    def take(self, path: Path) -> None:
        """Take the games of an input, and report on it."""
        started_s = time.monotonic()
        report = InputReport(path=str(path), matches_counted=self._request.count_matches)
        self._report.inputs.append(report)
        scanned = path.resolve() in self._scanned
        try:
            found = InputFile.of(path)
        except _READ_ERRORS as error:
            report.ignored = scanned
            report.error = None if scanned else error
        else:
            report.kind = found.kind
            self._read(found, report, scanned=scanned)
        report.seconds = time.monotonic() - started_s
        self._on_progress(self._report)

    def _read(self, found: InputFile, report: InputReport, *, scanned: bool) -> None:
        before = self._output.mark(found)
        try:
            state = found.state()
            if before is not None and found.unchanged(before):
                report.skipped = before.items
                return
            if scanned and found.kind == "jsonl" and form_of_lines(found.path) == UNKNOWN_FORM:
                report.ignored = True
                return
            taker = self._output.taker(found)
        except _READ_ERRORS as error:
            report.error = error
            return
        report.ingest = taker.report
        reading = _Reading(found, before)
        batch = _Batch(taker, report, before)
        whole = self._judge(reading, batch)
        if whole and reading.torn is not None:
            if self._request.leave_torn or writers_of(found.path):
                report.torn += 1
            else:
                batch.refuse(reading.torn)
        batch.write(state if whole and found.kind != "store" else None)
        report.error = reading.error

    def _judge(self, reading: _Reading, batch: _Batch) -> bool:
        """Take what is read; tell whether that was all there is."""
        limit = self._request.limit
        for judged, marks in self._judges.judged(reading.chunks()):
            results = iter(judged)
            for has_unit, mark in marks:
                batch.reach(mark)
                if has_unit:
                    batch.add(next(results))
                if limit is not None and self._report.considered >= limit:
                    return False
            self._on_progress(self._report)
        return reading.error is None


class _Reading:
    """Reads the units of an input in chunks; notes a torn end and why reading stopped."""

    def __init__(self, found: InputFile, mark: Mark | None) -> None:
        self.torn: Refused | None = None
        self.error: RingriftError | None = None
        self._found = found
        self._mark = mark

    def chunks(self) -> Iterator[tuple[list[Unit], list[tuple[bool, Mark]]]]:
        """Yield units, and for each mark whether a unit goes before it."""
        units: list[Unit] = []
        marks: list[tuple[bool, Mark]] = []
        try:
            for unit, mark in self._found.units(self._mark):
                if isinstance(unit, Torn):
                    self.torn = unit.refused
                    continue
                if unit is not None:
                    units.append(unit)
                marks.append((unit is not None, mark))
                if len(units) == CHUNK:
                    yield units, marks
                    units, marks = [], []
        except _READ_ERRORS as error:
            self.error = error
        if marks:
            yield units, marks


class _Batch:
    """Counts judged games, and writes 500 at a time with the mark they reach."""

    def __init__(self, taker: Taker, report: InputReport, before: Mark | None) -> None:
        self._taker = taker
        self._report = report
        self._written = before
        self._mark = before
        self._begun = False
        self._outcomes: list[Outcome] = []
        self._units = 0

    def reach(self, mark: Mark) -> None:
        """Note a mark; the first says what earlier runs have read."""
        if not self._begun:
            self._report.skipped = mark.items
            self._begun = True
        self._mark = mark

    def add(self, judged: Judged) -> None:
        """Take what the gate says of one unit, whose mark was reached."""
        report = self._report
        report.considered += judged.games
        report.notes += judged.notes
        for outcome in judged.outcomes:
            if isinstance(outcome, Refused):
                report.refuse(outcome)
                report.looked_at += outcome.error.reason in UNREADABLE
        report.looked_at += judged.games
        self._outcomes += judged.outcomes
        self._units += 1
        if self._units == COMMIT_EVERY:
            self.write(None)

    def refuse(self, refused: Refused) -> None:
        """Put into quarantine what no mark goes beyond."""
        self._report.refuse(refused)
        self._report.looked_at += 1
        self._outcomes.append(refused)

    def write(self, state: tuple[int, int] | None) -> None:
        """Write what was taken; `state` are size and time of a file that was read to its end."""
        mark = self._mark
        if mark is not None:
            size, mtime_ns = state or (None, None)
            mark = replace(mark, size=size, mtime_ns=mtime_ns)
        if self._outcomes or mark != self._written:
            self._taker.take(self._outcomes, mark)
        self._outcomes, self._units, self._written = [], 0, mark
