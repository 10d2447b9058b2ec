"""Read the games of an input of any kind, each with the mark that follows it (data.md 2).

What a mark counts: of lines, bytes (`second`: where the last game begins, which further analyses may
follow); of a store, the numbers of games (`offset`) and analyses (`second`); of other files, games.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.core.files import is_locked
from ringrift.data.pool.lines import Line, LineFile
from ringrift.data.pool.units import Copied, ForeignLine, ForeignRow, Lines, Unit
from ringrift.data.stores import REPLAY_DB, STORE, database_kind
from ringrift.records import journal
from ringrift.records.foreign.fields import read_object
from ringrift.records.foreign.gamereplaydb import open_replay_db
from ringrift.records.foreign.lines import form_of
from ringrift.records.game_json import line_type
from ringrift.records.ingest import ShardRow
from ringrift.records.inputs import START, Mark
from ringrift.records.record import VerificationError
from ringrift.records.refused import MOST_KEPT_BYTES, Refused
from ringrift.records.shards import Shard
from ringrift.records.store import GameStore

OURS, UNKNOWN_FORM = "ringrift", "unknown"
_LOOKED_AT = 20
"""Lines among which one must tell whose format the file is of."""
_GAME, _ANALYSIS = b'{"type":"game"', b'{"type":"analysis"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """A last line without its end: half written, or cut off. No mark goes beyond it."""

    refused: Refused


Found = tuple[Unit | Torn | None, Mark]
"""A unit and the mark after it; None stands for a mark alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One input; `kind` is `store`, `shard`, `journal`, `jsonl` or `gamereplaydb`."""

    path: Path
    kind: str

    @classmethod
    def of(cls, path: Path) -> InputFile:
        """Look what a file is; raises `DataError` for one that holds no games."""
        kind = database_kind(path)
        if kind not in ("shard", "journal", "jsonl", STORE, REPLAY_DB):
            raise DataError(f"found a {kind}; expected games", where=str(path))
        return cls(path=path, kind=kind)

    @property
    def name(self) -> str:
        """What the store calls this input."""
        return str(self.path.resolve())

    def state(self) -> tuple[int, int]:
        """Return size and time of the last change, in bytes and nanoseconds."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from None
        return found.st_size, found.st_mtime_ns

    def unchanged(self, mark: Mark) -> bool:
        """Tell by size and time whether a file that was read to its end is the same; not of a store."""
        return self.kind != STORE and (mark.size, mark.mtime_ns) == self.state()

    def shard(self) -> ShardRow | None:
        """Return the row of a shard that is whole, else None."""
        if self.kind != "shard":
            return None
        with suppress(VerificationError), Shard(self.path) as shard:
            return ShardRow(
                sha256=shard.sha256,
                path=self.name,
                games=len(shard.ids()),
                size_bytes=shard.size_bytes,
            )
        return None

    def units(self, mark: Mark | None) -> Iterator[Found]:
        """Yield what follows a mark, if what is before it is unchanged; else all there is.

        The first mark is where that begins. Raises `DataError` for a file that cannot be read.
        """
        read = {
            "jsonl": _lines,
            "shard": _shard,
            "journal": _journal,
            STORE: _store,
            REPLAY_DB: _replay_db,
        }[self.kind]
        return read(self.path, mark or START)


# --- lines


def form_of_lines(path: Path) -> str | None:
    """Return `ringrift`, or the foreign format that the first lines are of.

    `unknown` are JSON objects that are no games; None where there is no object at all.
    """
    found = None
    with LineFile(path, START) as file:
        for line in islice(file, _LOOKED_AT):
            try:
                fields = read_object(line.data, "line")
            except VerificationError:
                continue
            if str(fields.get("format", "")).startswith("ringrift."):
                return OURS
            if (form := form_of(fields)) is not None:
                return form
            found = UNKNOWN_FORM
    return found


def _lines(path: Path, mark: Mark) -> Iterator[Found]:
    form = form_of_lines(path)
    with LineFile(path, mark) as file:
        yield None, file.mark
        if form in (None, OURS, UNKNOWN_FORM):
            yield from _own(file)
        else:
            yield from _foreign(file, form)


def _foreign(file: LineFile, form: str) -> Iterator[Found]:
    items = file.mark.items
    for line in file:
        if (fault := _faulty(file, line)) is not None:
            yield fault, _line_mark(file, file.offset, items)
            continue
        items += 1
        unit = ForeignLine(path=str(file.path), number=line.number, data=line.data, form=form)
        yield unit, _line_mark(file, file.offset, items)


def _own(file: LineFile) -> Iterator[Found]:
    """Put each game together with the analyses that follow it."""
    path, items = str(file.path), file.mark.items
    group: Lines | None = None
    start = file.mark.second
    if file.context is not None and _type_of(file.context.data) == "game":
        group = Lines(path=path, game=(file.context.number, file.context.data), known=True)
    end = file.mark
    for line in file:
        fault = _faulty(file, line)
        kind = "" if fault is not None else _type_of(line.data)
        if kind == "analysis" and group is not None:
            group = replace(group, analyses=(*group.analyses, (line.number, line.data)))
            end = _line_mark(file, start, items)
            continue
        if isinstance(fault, Torn):
            yield from _whole(group, end)
            yield fault, end
            return
        yield from _whole(group, end)
        start = line.start
        if kind == "game":
            group, items = Lines(path=path, game=(line.number, line.data)), items + 1
            end = _line_mark(file, start, items)
        else:
            group = None
            end = _line_mark(file, file.offset, items)
            yield fault or _no_game(file, line), end
    yield from _whole(group, end)


def _whole(group: Lines | None, end: Mark) -> Iterator[Found]:
    if group is not None and (group.analyses or not group.known):
        yield group, end


def _type_of(line: bytes) -> str:
    """Return `game`, `analysis` or an empty text for what is neither."""
    if line.startswith(_GAME):
        return "game"
    if line.startswith(_ANALYSIS):
        return "analysis"
    try:
        kind = line_type(line)
    except VerificationError:
        return ""
    return kind if kind in ("game", "analysis") else ""


def _no_game(file: LineFile, line: Line) -> Refused:
    where = f"{file.path}:{line.number}"
    try:
        kind = line_type(line.data)
        detail = f"found type {kind!r:.60}; expected a game, or a game before its analysis"
        error = VerificationError("malformed", detail)
    except VerificationError as fault:
        error = fault
    return Refused(line.data[:MOST_KEPT_BYTES], error.at(where))


def _faulty(file: LineFile, line: Line) -> Refused | Torn | None:
    where = f"{file.path}:{line.number}"
    if line.torn:
        error = line.fault or VerificationError("truncated", "the last line is cut off")
        return Torn(refused=Refused(line.data[:MOST_KEPT_BYTES], error.at(where)))
    if line.fault is not None:
        return Refused(line.data, line.fault.at(where))
    return None


def _line_mark(file: LineFile, second: int, items: int) -> Mark:
    return Mark(offset=file.offset, second=second, items=items, digest=file.digest)


# --- stores


def _store(path: Path, mark: Mark) -> Iterator[Found]:
    with GameStore.open(path) as store:
        copies = store.copies
        newest = copies.newest_analysis()
        same = mark.offset == 0 or copies.id_at(mark.offset) == mark.digest
        if not same or newest < mark.second:
            mark = START
        yield None, mark
        for copy in copies.searched_after(mark.second, mark.offset) if mark.offset else ():
            where = f"{path} game {copy.id}"
            unit = Copied(game=copy.game, analyses=copy.analyses, where=where, further=True)
            yield unit, mark
        mark = replace(mark, second=newest)
        yield None, mark
        for copy in copies.after(mark.offset):
            mark = replace(
                mark,
                offset=copy.seq,
                second=max(mark.second, copy.analysis),
                items=mark.items + 1,
                digest=copy.id,
            )
            where = f"{path} game {copy.id}"
            yield Copied(game=copy.game, analyses=copy.analyses, where=where), mark


# --- files that are taken game by game


def _shard(path: Path, mark: Mark) -> Iterator[Found]:
    try:
        with Shard(path) as shard:
            first = mark.offset if mark.digest == shard.sha256 else 0
            yield None, mark if first else START
            for number, (game, analyses) in enumerate(shard, 1):
                if number <= first:
                    continue
                unit = Copied(game=game, analyses=tuple(analyses), where=f"{path} game {number}")
                yield unit, Mark(offset=number, items=number, digest=shard.sha256)
    except VerificationError as error:
        yield Refused(_beginning(path), error), START


def _journal(path: Path, mark: Mark) -> Iterator[Found]:
    """Yield the games of a journal; damage at its end is a torn tail."""
    digest = hashlib.sha256()
    if mark.offset and _digest_of(path, mark.offset) != mark.digest:
        mark = START
    yield None, mark
    number = 0
    waiting: tuple[Refused, Mark] | None = None
    for unit in _journal_units(path):
        number += 1
        if waiting is not None:
            yield waiting
            waiting = None
        digest.update(unit.data if isinstance(unit, Refused) else unit.game)
        if number <= mark.offset:
            continue
        here = Mark(offset=number, items=number, digest=digest.hexdigest())
        if isinstance(unit, Refused):
            waiting = unit, here
        else:
            yield unit, here
    if waiting is None:
        return
    if is_locked(journal.lock_path(path)):
        yield Torn(refused=waiting[0]), mark
    else:
        yield waiting


def _journal_units(path: Path) -> Iterator[Copied | Refused]:
    found = journal.Journal.scan(path)
    for _, group in groupby(
        found, key=lambda item: id(item) if isinstance(item, Refused) else item[0]
    ):
        items = list(group)
        if isinstance(items[0], Refused):
            yield items[0]
            continue
        pairs = [item for item in items if not isinstance(item, Refused)]
        analyses = tuple(analysis for _, analysis in pairs if analysis is not None)
        yield Copied(game=pairs[0][0], analyses=analyses, where=str(path))


def _digest_of(path: Path, games: int) -> str:
    digest = hashlib.sha256()
    for number, unit in enumerate(_journal_units(path), 1):
        digest.update(unit.data if isinstance(unit, Refused) else unit.game)
        if number == games:
            return digest.hexdigest()
    return ""


def _replay_db(path: Path, mark: Mark) -> Iterator[Found]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    first = mark.offset if mark.digest == digest else 0
    yield None, mark if first else START
    with open_replay_db(path) as database:
        for number, entry in enumerate(database.entries(), 1):
            if number <= first:
                continue
            here = Mark(offset=number, items=number, digest=digest)
            if entry.game is not None:
                yield (
                    ForeignRow(
                        path=entry.file, number=entry.row, game=entry.game, data=entry.data()
                    ),
                    here,
                )
            elif entry.error is not None:
                place = f"{entry.file}:{entry.row}"
                yield Refused(entry.data()[:MOST_KEPT_BYTES], entry.error.at(place)), here


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_KEPT_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", where=str(path))
