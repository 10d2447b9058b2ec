"""Import foreign files into a store: which format, which games, what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError, UsageError
from ringrift.records.foreign import gamereplaydb, lines
from ringrift.records.foreign.convert import Converted, convert
from ringrift.records.foreign.fields import read_object
from ringrift.records.foreign.game import Entry
from ringrift.records.foreign.names import FORMATS
from ringrift.records.ingest import Item
from ringrift.records.record import VerificationError
from ringrift.records.refused import MOST_KEPT_BYTES, Refused
from ringrift.records.store import GameStore

EXAMPLES = 20
"""Rejections of each reason that a report names one by one."""
_LOOKED_AT = 20
"""Lines among which `auto` looks for one that is of a known format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Which games of the files are wanted, and how they are read."""

    form: str = "auto"
    board: str | None = None
    players: int | None = None
    legacy: bool = False
    line_length: int | None = None
    limit: int | None = None


@dataclass(slots=True)
class ImportReport:
    """Counts of an import; `examples` name the first games rejected for each reason.

    `notes` counts what is worth knowing of games that hold: plies inserted, distributions dropped.
    """

    considered: int = 0
    imported: int = 0
    duplicate: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    ignored_columns: list[str] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """Number of games that were rejected."""
        return self.reasons.total()

    def reject(self, entry: Entry, error: VerificationError) -> None:
        """Count a rejection."""
        self.reasons[error.reason] += 1
        if self.reasons[error.reason] <= EXAMPLES:
            detail = error.detail if error.where is None else f"{error.detail} ({error.where})"
            self.examples.append(
                {
                    "file": entry.file,
                    "row": entry.row,
                    "game": entry.id,
                    "ply": error.ply,
                    "reason": error.reason,
                    "detail": detail,
                }
            )

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "considered": self.considered,
            "imported": self.imported,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "reasons": dict(self.reasons),
            "examples": self.examples,
            "notes": dict(self.notes),
            "ignored_columns": self.ignored_columns,
        }


def import_files(
    paths: list[Path],
    options: ImportOptions,
    store_path: Path,
    report: ImportReport,
    *,
    on_game: Callable[[], None] = lambda: None,
) -> None:
    """Import files into a store, which is created if missing; rejected games go to quarantine.

    Raises `DataError` for a file that cannot be read or is of no known format, `BusyError` for a
    database or store in use. What was imported before stays.
    """
    forms = [(path, form_of_file(path, options.form)) for path in paths]
    with GameStore.open(store_path, writer=True) as store:
        for path, form in forms:

            def items(path: Path = path, form: str = form) -> Iterator[Item]:
                for entry, found in scan(path, form, options, report):
                    on_game()
                    if isinstance(found, Converted):
                        yield found.record, found.analysis
                    else:
                        place = f"{entry.file}:{entry.row}"
                        yield Refused(entry.data()[:MOST_KEPT_BYTES], found.at(place))

            ingested = store.ingest(items(), source=str(path))
            report.imported += ingested.added
            report.duplicate += ingested.duplicate


def would_import(
    paths: list[Path],
    options: ImportOptions,
    store_path: Path,
    report: ImportReport,
    *,
    on_game: Callable[[], None] = lambda: None,
) -> None:
    """Count what `import_files` would do, and change nothing."""
    forms = [(path, form_of_file(path, options.form)) for path in paths]
    known: set[str] = set()
    if store_path.is_file():
        with GameStore.open(store_path) as store:
            known = store.game_ids()
    for path, form in forms:
        for _, found in scan(path, form, options, report):
            on_game()
            if isinstance(found, Converted):
                new = found.record.id not in known
                known.add(found.record.id)
                report.imported += new
                report.duplicate += not new


def scan(
    path: Path, form: str, options: ImportOptions, report: ImportReport
) -> Iterator[tuple[Entry, Converted | VerificationError]]:
    """Yield the games of a file that are wanted, each replayed or with the reason why not.

    Counts them in `report`, all but what a store makes of them.
    """
    with _entries(path, form, report) as entries:
        for entry in entries:
            if not _wanted(entry, options):
                continue
            if options.limit is not None and report.considered >= options.limit:
                return
            report.considered += 1
            try:
                found = _convert(entry, options)
            except VerificationError as error:
                report.reject(entry, error)
                yield entry, error
            else:
                report.notes += found.notes
                yield entry, found


@contextmanager
def _entries(path: Path, form: str, report: ImportReport) -> Iterator[Iterator[Entry]]:
    if form == gamereplaydb.FORMAT:
        with gamereplaydb.open_replay_db(path) as database:
            report.ignored_columns += database.unknown_columns()
            yield database.entries()
    else:
        yield lines.entries(path, form)


def _wanted(entry: Entry, options: ImportOptions) -> bool:
    """Tell whether an entry is of the configuration asked for; unreadable ones always count."""
    game = entry.game
    if game is None:
        return True
    return options.board in (None, game.board) and options.players in (None, game.players)


def _convert(entry: Entry, options: ImportOptions) -> Converted:
    if entry.error is not None:
        raise entry.error
    assert entry.game is not None
    return convert(entry.game, legacy=options.legacy, line_length=options.line_length)


def form_of_file(path: Path, form: str = "auto") -> str:
    """Return the format of a file: the one named, or with `auto` what its content shows.

    Raises `DataError` for a file that is none of the known formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(gamereplaydb.HEADER))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    database = head == gamereplaydb.HEADER
    if form != "auto":
        if database != (form == gamereplaydb.FORMAT):
            what = "is a SQLite database" if database else "is no SQLite database"
            raise DataError(f"the file {what}; --from says {form}", where=str(path))
        return form
    return gamereplaydb.FORMAT if database else _line_form(path)


def _line_form(path: Path) -> str:
    for count, (_, line) in enumerate(lines.read_lines(path)):
        if count == _LOOKED_AT:
            break
        try:
            fields = read_object(line, "line")
        except VerificationError:
            continue
        if str(fields.get("format", "")).startswith("ringrift."):
            raise UsageError(
                "games of this program's own format", where=str(path), hint="ringrift games merge"
            )
        form = lines.form_of(fields)
        if form is not None:
            return form
    raise DataError(
        f"of no known foreign format: {', '.join(FORMATS)}", where=str(path), hint="--from FORMAT"
    )
