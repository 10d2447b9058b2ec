"""Games from any file that holds some: a store, a shard, a journal or JSON lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ringrift.core.errors import DataError
from ringrift.records import journal, shards
from ringrift.records.analysis import Analysis
from ringrift.records.ingest import Item
from ringrift.records.jsonl import read_jsonl, scan_jsonl
from ringrift.records.record import GameRecord
from ringrift.records.refused import Refused
from ringrift.records.selection import Filters, Selection
from ringrift.records.store import GameStore

_SQLITE = b"SQLite format 3\0"
_KINDS = (
    (_SQLITE, ".db", "store"),
    (shards.MAGIC, shards.SUFFIX, "shard"),
    (journal.MAGIC, ".journal", "journal"),
    (journal.OLD_MAGIC, ".journal", "journal"),
)


ALL = Selection()


def kind_of(path: Path) -> str:
    """Return what a file is: `store`, `shard`, `journal` or `jsonl`.

    Its first bytes say so; where they are of none of these, its name.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    for magic, suffix, kind in _KINDS:
        if start.startswith(magic) or (start[:1] != b"{" and Path(path).suffix == suffix):
            return kind
    return "jsonl"


def read_games(
    path: Path, selection: Selection = ALL, *, limit: int | None = None
) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    """Yield the games of a file that are meant, each with all its analyses.

    `limit` takes the newest of a store, the first of any other file. Raises `DataError` naming
    the place of the first that cannot be read.
    """
    if kind_of(path) == "store":
        yield from _stored(path, selection, limit)
        return
    meant = (group for group in _read(path) if selection.fits(group[0]))
    yield from islice(meant, limit)


def read_ids(path: Path, selection: Selection = ALL, *, limit: int | None = None) -> set[str]:
    """Return the ids of the games that `read_games` yields."""
    kind = kind_of(path)
    if kind == "store":
        with GameStore.open(path) as store:
            return set(_stored_ids(store, selection, limit))
    if kind == "shard" and selection == ALL:
        with shards.Shard(path) as shard:
            return set(shard.ids()[:limit])
    return {game.id for game, _ in read_games(path, selection, limit=limit)}


def scan_games(path: Path) -> Iterator[Item | Refused]:
    """Yield what `GameStore.ingest` takes from a shard, a journal or JSON lines.

    What cannot be read is a `Refused`, and the others go on; a damaged shard is refused whole.
    """
    kind = kind_of(path)
    if kind == "store":
        raise DataError("a game store; expected a shard, a journal or JSON lines", where=str(path))
    if kind == "shard":
        yield from shards.scan_shard(path)
    elif kind == "journal":
        yield from journal.Journal.scan(path)
    else:
        yield from scan_jsonl(path)


def _read(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    kind = kind_of(path)
    if kind == "shard":
        return shards.read_shard(path)
    return journal.Journal.read_groups(path) if kind == "journal" else _grouped(read_jsonl(path))


def _grouped(
    pairs: Iterator[tuple[GameRecord, Analysis | None]],
) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    """Put the analyses of a game together that follow one another."""
    game: GameRecord | None = None
    analyses: list[Analysis] = []
    for following, analysis in pairs:
        if game is not None and following is not game and following != game:
            yield game, analyses
            analyses = []
        game = following
        if analysis is not None:
            analyses.append(analysis)
    if game is not None:
        yield game, analyses


def _stored_ids(store: GameStore, selection: Selection, limit: int | None) -> Iterable[str]:
    filters: Filters = {
        "run": selection.run,
        "purpose": selection.purpose,
        "reason": selection.reason,
        "model": selection.model,
        "since": selection.since,
    }
    ids = (identity for _, identity in store.ids(selection.config, **filters))
    return ids if limit is None else deque(ids, maxlen=limit)


def _stored(
    path: Path, selection: Selection, limit: int | None
) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    with GameStore.open(path) as store:
        for identity in _stored_ids(store, selection, limit):
            found = store.get(identity)
            if found is not None:
                yield found[0], store.analyses(identity)
