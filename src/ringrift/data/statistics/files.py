"""The games of JSON lines, shards, journals and foreign files (data.md 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import DataError, UsageError
from ringrift.data.statistics.filters import Filters
from ringrift.data.stores import OTHER_DB, REPLAY_DB, STORE, database_kind
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.foreign import ImportOptions, ImportReport, form_of_file, scan
from ringrift.records.foreign.game import Entry
from ringrift.records.game_bytes import from_bytes
from ringrift.records.ingest import Item
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.refused import Refused
from ringrift.records.sources import scan_games

LINE_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
GAME_SUFFIXES = (*LINE_SUFFIXES, ".rrshard", ".journal", ".db", ".sqlite")
OWN_FORMATS = "ringrift."


@dataclass(frozen=True, slots=True)
class Outcome:
    """A game of which only the outcome is known: its file tells no moves."""

    config: str
    players: int
    winner: int
    reason: str | None
    started: float | None


Found = tuple[GameRecord, tuple[Analysis, ...]] | Outcome | VerificationError


def files_in(folder: Path, *, suffixes: Sequence[str], recursive: bool) -> list[Path]:
    """Return the files of a folder with one of the suffixes, hidden ones left out, by name."""
    found = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(
        path
        for path in found
        if path.name.endswith(tuple(suffixes)) and not path.name.startswith(".") and path.is_file()
    )


def listed_files(path: Path) -> list[Path]:
    """Return the files that a list names, one a line: its last tab-separated column.

    Relative names are taken from the folder of the list. Raises `DataError` for a list that cannot
    be read, `UsageError` for a name that is no file, with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list cannot be read: {error}", where=str(path)) from None
    found = []
    for number, line in enumerate(lines, 1):
        name = line.rsplit("\t", 1)[-1].strip()
        if not name:
            continue
        file = Path(name) if Path(name).is_file() else path.parent / name
        if not file.is_file():
            raise UsageError(f"no file {name}", where=f"{path}:{number}", hint="names of files")
        found.append(file)
    return found


def read_file(path: Path, filters: Filters, *, outcomes: bool = False) -> Iterator[Found]:
    """Yield the games of a file that fit, with their analyses, and what cannot be read of it.

    With `outcomes` a line that states a winner and no moves is an `Outcome`. Raises `DataError` for
    a file of no known format.
    """
    form = _foreign_form(path)
    found = _own(path) if form is None else _foreign(path, form, filters, outcomes=outcomes)
    for game in found:
        if isinstance(game, tuple) and not filters.fits_record(game[0]):
            continue
        yield game


def _foreign_form(path: Path) -> str | None:
    """Return the foreign format of a file, None for one of ours."""
    kind = database_kind(path)
    if kind in (STORE, OTHER_DB):
        raise DataError(f"found a {kind}; expected lines, a shard or a journal", where=str(path))
    if kind not in (REPLAY_DB, "jsonl"):
        return None
    try:
        return form_of_file(path)
    except UsageError:  # lines of our own
        return None
    except DataError:
        if kind == "jsonl":  # nothing of a known format in it: every line is refused
            return None
        raise


def _foreign(path: Path, form: str, filters: Filters, *, outcomes: bool) -> Iterator[Found]:
    options = ImportOptions(board=filters.board, players=filters.players)
    for entry, found in scan(path, form, options, ImportReport()):
        if not isinstance(found, VerificationError):
            analyses = () if found.analysis is None else (found.analysis,)
            yield found.record, analyses
            continue
        outcome = _outcome(entry) if outcomes and found.reason == "zero_moves" else None
        if outcome is None:
            yield found.at(f"{entry.file}:{entry.row}")
        elif not filters.ai_types and filters.fits_time(outcome.started):
            yield outcome


def _outcome(entry: Entry) -> Outcome | None:
    game = entry.game
    if game is None or game.claims.winner is None or not 0 < game.claims.winner <= game.players:
        return None
    return Outcome(
        config=f"{game.board}_{game.players}p",
        players=game.players,
        winner=game.claims.winner,
        reason=game.claims.reason,
        started=game.started,
    )


def _own(path: Path) -> Iterator[Found]:
    game: GameRecord | None = None
    analyses: list[Analysis] = []
    for found in _decoded(scan_games(path)):
        if isinstance(found, VerificationError):
            yield found
            continue
        record, analysis = found
        if game is not None and record is not game and record.id != game.id:
            yield game, tuple(analyses)
            analyses = []
        game = record
        analyses += [] if analysis is None else [analysis]
    if game is not None:
        yield game, tuple(analyses)


def _decoded(
    items: Iterable[Item | Refused],
) -> Iterator[tuple[GameRecord, Analysis | None] | VerificationError]:
    for item in items:
        if isinstance(item, Refused):
            yield item.error
            continue
        game, analysis = item
        try:
            record = from_bytes(game) if isinstance(game, bytes) else game
            found = analysis_from_bytes(analysis) if isinstance(analysis, bytes) else analysis
        except VerificationError as error:
            yield error
        else:
            yield record, found
