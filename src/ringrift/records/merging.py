"""Merge games of several files into one store, file or folder of shards (selfplay.md 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringrift.core.errors import NegativeResult, RefusedError, UsageError
from ringrift.records.game_bytes import to_bytes
from ringrift.records.ingest import Item
from ringrift.records.jsonl import write_jsonl
from ringrift.records.selection import Selection
from ringrift.records.shards import SUFFIX, ShardFile, write_shards
from ringrift.records.sources import ALL, kind_of, read_games
from ringrift.records.store import GameStore
from ringrift.records.union import GameUnion

STORE, JSONL, SHARDS = "store", "jsonl", "shards"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedInput:
    """What one file gave: games read, and how many of them no file before it had."""

    path: Path
    kind: str
    games: int
    new: int


@dataclass(slots=True, kw_only=True)
class MergeReport:
    """What a merge made. `added` and `quarantined` (by reason) count for a store alone."""

    kind: str
    games: int
    analyses: int
    inputs: tuple[MergedInput, ...]
    shards: list[ShardFile] = field(default_factory=list)
    added: int | None = None
    quarantined: Counter[str] = field(default_factory=Counter)


def output_kind(output: Path) -> str:
    """Return what a merge would make of this name; raises `UsageError` if nothing."""
    if output.suffix == ".db":
        return STORE
    if output.suffix == ".jsonl":
        if output.is_dir():
            raise UsageError(f"{output} is a folder", where="OUT", hint=f"{output}/games.jsonl")
        return JSONL
    if output.is_dir() or (not output.suffix and not output.exists()):
        return SHARDS
    hint = f"{output.parent}/: shards are named by content" if output.suffix == SUFFIX else None
    raise UsageError(
        f"found {str(output)!r}; expected FILE.db, FILE.jsonl or a folder for shards",
        where="OUT",
        hint=hint,
    )


def merge_games(
    output: Path,
    inputs: Sequence[Path],
    selection: Selection = ALL,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    on_game: Callable[[], None] = lambda: None,
) -> MergeReport:
    """Write the union by id of the games of `inputs`, in the order of their ids.

    An existing store is added to; any other existing file must be among the inputs. Raises
    `RefusedError` for an id with different bytes, `NegativeResult` for no game at all, before
    anything is written.
    """
    kind = output_kind(output)
    same = [path for path in inputs if output.is_file() and output.samefile(path)]
    if kind == JSONL and output.exists() and not same:
        raise UsageError(
            f"{output} exists", where="OUT", hint="name it among IN too, or another name"
        )
    with GameUnion() as union:
        read: list[MergedInput] = []
        for path in inputs:
            games = new = 0
            for game, analyses in read_games(path, selection, limit=limit):
                games += 1
                new += union.add(game, analyses, str(path))
                on_game()
            read.append(MergedInput(path=path, kind=kind_of(path), games=games, new=new))
        games, analyses_count = union.counts()
        if not games:
            raise NegativeResult("no game fits", where=", ".join(map(str, inputs)))
        report = MergeReport(kind=kind, games=games, analyses=analyses_count, inputs=tuple(read))
        if kind == STORE and output.exists():
            with GameStore.open(output) as store:
                _check_against(store, union)
        if dry_run:
            return report
        output.parent.mkdir(parents=True, exist_ok=True)
        if kind == JSONL:
            write_jsonl(output, iter(union))
        elif kind == SHARDS:
            report.shards = write_shards(output, iter(union))
        else:
            with GameStore.open(output, writer=True) as store:
                done = store.ingest(_items(union), source=", ".join(map(str, inputs)))
            report.added, report.quarantined = done.added, done.reasons
        return report


def _check_against(store: GameStore, union: GameUnion) -> None:
    for game, _ in union:
        found = store.get(game.id)
        if found is not None and to_bytes(found[0]) != to_bytes(game):
            raise RefusedError(
                f"the same id with other bytes in {store.path}", where=f"game {game.id}"
            )


def _items(games: GameUnion) -> Iterator[Item]:
    for game, analyses in games:
        if not analyses:
            yield game, None
        for analysis in analyses:
            yield game, analysis
