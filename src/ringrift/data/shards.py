"""Verified games as shards, out of a store and into one (data.md 3).

Beside the shards of an export lies its list, `export-<sha256[:16]>.json`: which shards it made, up to
which sequence number of the store, what the store keeps out of training, and which imported games it
has admitted, so that a store that reads them splits as the first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ringrift.core.errors import DataError, UsageError
from ringrift.core.files import write_atomic
from ringrift.data.reading import reading
from ringrift.records.analysis import Analysis
from ringrift.records.envelope import sealed_head
from ringrift.records.gate import VERIFIED, Gate
from ringrift.records.ingest import Item, ShardRow
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.schema import HOLDOUT_PERCENT
from ringrift.records.selection import Filters, Selection
from ringrift.records.shards import MOST_BYTES, SUFFIX, Shard, ShardFile, scan_shard, write_shards
from ringrift.records.sources import ALL
from ringrift.records.store import GameStore

LIST_FORMAT = "ringrift.export/1"
_ADMITTING = Gate(admit_imports=True)


class ExportList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an export wrote. `after_seq` < sequence number of its games <= `games_upto`."""

    format: str
    after_seq: int
    games_upto: int
    holdout_percent: int
    shards: dict[str, str]
    admitted_imports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardExport:
    """The shards of an export, and its list, None where no game fitted.

    The next export goes on after the sequence number `games_upto`.
    """

    games: int
    analyses: int
    games_upto: int
    shards: tuple[ShardFile, ...]
    list_path: Path | None


@dataclass(slots=True, kw_only=True)
class ImportedShard:
    """What one shard gave; `skipped` games were read by an earlier import of the same shard."""

    path: Path
    games: int
    skipped: int = 0
    added: int = 0
    duplicate: int = 0
    analyses: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def failed_share(self) -> float:
        """Share of what was looked at that went to quarantine."""
        failed = self.reasons.total()
        return failed / max(1, failed + self.added + self.duplicate)


@dataclass(slots=True, kw_only=True)
class ShardImport:
    """What an import did. `told_percent` is what the exporting stores keep out of training."""

    shards: list[ImportedShard] = field(default_factory=list)
    holdout_percent: int = 0
    told_percent: int | None = None


def export_shards(
    store_path: Path,
    folder: Path,
    selection: Selection = ALL,
    *,
    after_seq: int = 0,
    ids: Sequence[str] | None = None,
    limit: int | None = None,
    most_bytes: int = MOST_BYTES,
    on_game: Callable[[], None] = lambda: None,
) -> ShardExport:
    """Write verified games and their analyses as shards, in the order in which they were stored.

    Taken are those of `selection` after the sequence number `after_seq`, of them the newest
    `limit`; or those of `ids`, in that order. Raises `DataError` for an id that is not here.
    """
    imports: list[str] = []
    games = analyses = 0
    with GameStore.open(store_path) as store:
        upto = store.max_seq()
        if ids is None:
            chosen: Iterable[str] = _ids(store, selection, after_seq, upto, limit)
        else:
            check_known(store_path, ids)
            chosen = dict.fromkeys(ids)

        def groups() -> Iterator[tuple[GameRecord, list[Analysis]]]:
            nonlocal games, analyses
            for identity in chosen:
                found = store.get(identity)
                if found is None:  # withdrawn since
                    continue
                several = store.analyses(identity)
                games, analyses = games + 1, analyses + len(several)
                if found[0].meta.purpose == "import":
                    imports.append(identity)
                yield found[0], several
                on_game()

        shards = write_shards(folder, groups(), most_bytes=most_bytes)
    listed = None
    if shards:
        listed = ExportList(
            format=LIST_FORMAT,
            after_seq=after_seq,
            games_upto=upto,
            holdout_percent=holdout_percent(store_path),
            shards={shard.path.name: shard.sha256 for shard in shards},
            admitted_imports=_admitted(store_path, imports),
        )
    return ShardExport(
        games=games,
        analyses=analyses,
        games_upto=upto,
        shards=tuple(shards),
        list_path=None if listed is None else _write_list(folder, listed),
    )


def import_shards(
    paths: Sequence[Path],
    store_path: Path,
    *,
    on_game: Callable[[], None] = lambda: None,
) -> ShardImport:
    """Take the games of shards, or of all shards in folders, through the gate into a store.

    Games that do not hold, and damaged shards whole, go to quarantine. A store without games takes
    over the larger share of hold-out that the lists beside the shards tell.
    """
    files = shard_files(paths)
    lists = [found for folder in dict.fromkeys(f.parent for f in files) for found in _lists(folder)]
    told = max((found.holdout_percent for found in lists), default=None)
    report = ShardImport(told_percent=told)
    with GameStore.open(store_path, writer=True) as store:
        if told is not None and store.max_seq() == 0 and told > holdout_percent(store_path):
            store.raise_holdout(told)
        report.holdout_percent = holdout_percent(store_path)
        for path in files:
            report.shards.append(_import(store, path, lists, on_game))
    return report


def would_import(files: Sequence[Path], store_path: Path) -> ShardImport:
    """Count what `import_shards` would add, and change nothing; moves are not checked."""
    report = ShardImport(holdout_percent=HOLDOUT_PERCENT)
    known: set[str] = set()
    if store_path.is_file():
        report.holdout_percent = holdout_percent(store_path)
        with GameStore.open(store_path) as store:
            known = store.game_ids()
    for path in files:
        try:
            with Shard(path) as shard:
                ids = shard.ids()
        except VerificationError as error:
            damaged = ImportedShard(path=path, games=0, reasons=Counter([error.reason]))
            report.shards.append(damaged)
            continue
        new = [identity for identity in ids if identity not in known]
        known.update(new)
        made = ImportedShard(
            path=path, games=len(ids), added=len(new), duplicate=len(ids) - len(new)
        )
        report.shards.append(made)
    return report


def shard_files(paths: Sequence[Path]) -> list[Path]:
    """Return the shards that are meant, those of a folder by name; raises `UsageError` for none."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"no shard in {path}", where="PATH", hint=f"a folder of *{SUFFIX}")
        if not inside[0].is_file():
            raise UsageError(f"no shard {path}", where="PATH", hint="an existing file or folder")
        found.update(dict.fromkeys(inside))
    return list(found)


def read_id_list(path: Path) -> list[str]:
    """Return the game ids of a text file, one a line; raises `DataError` naming the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.strip().lower()
        if not text:
            continue
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            raise DataError(f"found {line!r:.80}; expected 64 hex digits", where=f"{path}:{number}")
        found.append(text)
    return found


def count_games(
    store_path: Path, selection: Selection = ALL, *, after_seq: int = 0, limit: int | None = None
) -> int:
    """Return how many games `export_shards` would take."""
    with GameStore.open(store_path) as store:
        found = sum(1 for _ in _ids(store, selection, after_seq, store.max_seq(), None))
    return found if limit is None else min(found, limit)


def newest_seq(store_path: Path) -> int:
    """Return the sequence number of the newest game of a store, 0 without any."""
    with GameStore.open(store_path) as store:
        return store.max_seq()


def check_known(store_path: Path, ids: Iterable[str]) -> None:
    """Raise `DataError` for the first id that is no verified game of a store."""
    sql = "SELECT 1 FROM games WHERE id = ? AND status = 'verified'"
    with reading(store_path) as connection:
        for number, identity in enumerate(ids, 1):
            if connection.execute(sql, (identity,)).fetchone() is None:
                raise DataError(
                    f"id {number} of the list, {identity}, is no verified game here",
                    where=str(store_path),
                    hint="ringrift games list",
                )


def holdout_percent(store_path: Path) -> int:
    """Return the share of play that a store keeps out of training."""
    with reading(store_path) as connection:
        row = connection.execute("SELECT value FROM meta WHERE key = 'holdout_percent'").fetchone()
    try:
        return int(row[0])
    except (TypeError, ValueError):
        raise DataError(
            f"found hold-out percent {row}; expected 0 to 100", where=f"{store_path} meta"
        ) from None


def _ids(
    store: GameStore, selection: Selection, after_seq: int, upto: int, limit: int | None
) -> Iterable[str]:
    filters: Filters = {
        "run": selection.run,
        "purpose": selection.purpose,
        "reason": selection.reason,
        "model": selection.model,
        "since": selection.since,
    }
    found = store.ids(selection.config, after_seq=after_seq, **filters)
    ids = (identity for seq, identity in found if seq <= upto)
    return ids if limit is None else deque(ids, maxlen=limit)


def _admitted(store_path: Path, imports: Sequence[str]) -> tuple[str, ...]:
    """Return those of imported games that have a side."""
    sql = "SELECT 1 FROM games WHERE id = ? AND split != 'never'"
    with reading(store_path) as connection:
        return tuple(
            sorted(i for i in imports if connection.execute(sql, (i,)).fetchone() is not None)
        )


def _write_list(folder: Path, listed: ExportList) -> Path:
    data = json.dumps(msgspec.to_builtins(listed), indent=1).encode() + b"\n"
    path = folder / f"export-{hashlib.sha256(data).hexdigest()[:16]}.json"
    write_atomic(path, data)
    return path


def _lists(folder: Path) -> Iterator[ExportList]:
    for path in sorted(folder.glob("export-*.json")):
        try:
            found = msgspec.json.decode(path.read_bytes(), type=ExportList)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"no list of an export: {error}", where=str(path)) from None
        if found.format != LIST_FORMAT:
            raise DataError(
                f"found format {found.format!r}; expected {LIST_FORMAT}", where=str(path)
            )
        if not 0 <= found.holdout_percent <= 100:
            raise DataError(
                f"found holdout_percent {found.holdout_percent}; expected 0 to 100", where=str(path)
            )
        yield found


def _import(
    store: GameStore, path: Path, lists: Sequence[ExportList], on_game: Callable[[], None]
) -> ImportedShard:
    try:
        with Shard(path) as shard:
            games = len(shard.ids())
            row = ShardRow(
                sha256=shard.sha256, path=str(path), games=games, size_bytes=shard.size_bytes
            )
    except VerificationError:  # whose bytes the scan puts into quarantine
        games, row = 0, None

    def items() -> Iterator[Item]:
        for item in scan_shard(path):
            yield item
            on_game()

    taken = store.ingest(items(), source=str(path), gate=VERIFIED, shard=row)
    done = ImportedShard(
        path=path,
        games=games,
        skipped=taken.skipped,
        added=taken.added,
        duplicate=taken.duplicate,
        analyses=taken.analyses,
        splits=taken.splits,
        reasons=taken.reasons,
    )
    admitted = {i for found in lists if path.name in found.shards for i in found.admitted_imports}
    if admitted and row is not None:
        wanted = (
            item
            for item in scan_shard(path)
            if isinstance(item, tuple) and sealed_head(item[0])[1] in admitted
        )
        store.ingest(wanted, source=str(path), gate=_ADMITTING)
    return done
