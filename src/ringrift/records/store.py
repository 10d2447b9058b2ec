"""The game store: verified games in SQLite, one writer, any number of readers (selfplay.md 6)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.core.files import lock, open_sqlite, transaction
from ringrift.core.ids import resolve_prefix
from ringrift.records.admission import Admission
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, seal_pair
from ringrift.records.columns import ROW, TRAINABLE_PURPOSES, split_of
from ringrift.records.copies import Copies
from ringrift.records.engines import Engine, Engines
from ringrift.records.game_bytes import from_bytes
from ringrift.records.gate import VERIFIED, Gate
from ringrift.records.ingest import Ingest, IngestReport, Item, ShardRow, quarantine
from ringrift.records.inputs import Mark, read_mark
from ringrift.records.quarantine import WITHDRAWN, Quarantine
from ringrift.records.recent import Recent
from ringrift.records.recheck import Failure, Recheck, VerifyReport, check_share
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.schema import (
    CANONICAL,
    KINDS,
    SPLITS,
    VERSION,
    VIEWS,
    prepare,
    readable,
    version_of,
)
from ringrift.records.selection import Filters, Selection
from ringrift.records.stored_plans import StoredPlans

__all__ = [
    "COMMIT_EVERY",
    "Failure",
    "GameStore",
    "IngestReport",
    "Item",
    "Progress",
    "VerifyReport",
    "lock_path",
]

COMMIT_EVERY = 500

_BEST = (
    "(SELECT a.record FROM analyses a WHERE a.game = g.id"
    " ORDER BY a.sims DESC, a.made_at DESC LIMIT 1)"
)
_CACHE_KIB = 32 * 1024  # the index pages that 500 games touch in a large store
_PAGE = 256
_IDS_PAGE = 5_000
_LAST_SEQ = (1 << 63) - 1
_NEAR = 10


@dataclass(frozen=True, slots=True)
class Progress:
    """How many items of an input an ingest has taken, and whether those are all."""

    items: int
    done: bool


class GameStore:
    """Holds games by id. Make one with `open`; a context manager.

    Nothing is visible that was not verified by replaying its own stored bytes.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, closing: ExitStack) -> None:
        self.path = path
        self._connection = connection
        self._closing = closing

    @classmethod
    def open(cls, path: Path, *, writer: bool = False, kind: str = CANONICAL) -> GameStore:
        """Open a store; with `writer` it is created if missing and no one else may write.

        `kind` is that of a store that is made: `canonical`, or `selfplay` for one that no training
        reads.

        Raises `BusyError` with the other writer's pid, `DataError` for a missing or damaged file,
        or a reader's of an older version, `RefusedError` for a store of a newer version.
        """
        path = Path(path)
        if kind not in KINDS:
            raise UsageError(f"unknown kind of store {kind!r}", hint=", ".join(KINDS))
        with ExitStack() as stack:
            if writer:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock(lock_path(path), what="game store"))
            with readable(path):
                connection = open_sqlite(path, readonly=not writer)
                stack.callback(connection.close)
                connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
                prepare(connection, path, writer=writer, kind=kind)
                store = cls(path, connection, stack)
            store._closing = stack.pop_all()
        return store

    @classmethod
    def update(cls, path: Path) -> None:
        """Bring a store of an older version to this one; raises as `open` does."""
        with readable(path), closing(open_sqlite(path, readonly=True)) as connection:
            version = version_of(connection)
        if 0 < version < VERSION:
            cls.open(path, writer=True).close()

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._closing.close()

    def __enter__(self) -> GameStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def kind(self) -> str:
        """What the store is for: `canonical`, or `selfplay`; raises `DataError` for another word."""
        with readable(self.path):
            row = self._connection.execute("SELECT value FROM meta WHERE key = 'kind'").fetchone()
        if row is None or row[0] not in KINDS:
            found = None if row is None else row[0]
            raise DataError(f"kind of store: found {found!r}", where=f"{self.path} meta.kind")
        return str(row[0])

    # --- writing

    def ingest(
        self,
        items: Iterable[Item],
        *,
        source: str = "",
        gate: Gate = VERIFIED,
        input_id: str | None = None,
        shard: ShardRow | None = None,
    ) -> IngestReport:
        """Verify games and add those that hold; the others go to quarantine with the reason.

        Items are records or their bytes, each with its analysis or None, or what a reader had to
        refuse. Every 500 games become
        visible together; what is there already is counted and left alone, so an ingest that was
        killed is simply run again. `source` is noted with what is quarantined.

        With `input_id` (such as the hash of a file), or with a `shard`, the store notes beside every
        500 how many items it has taken: the next ingest of the same input leaves those out.
        """
        key = shard.sha256 if shard is not None else input_id
        before = Progress(0, False) if key is None else self.progress(key)
        writer = Ingest(
            self._connection, percents=self.percents, gate=gate, source=source, shard=shard
        )
        writer.report.skipped = taken = before.items
        done = before.done
        games = iter(()) if done else islice(items, taken, None)
        while not done:
            batch = list(islice(games, COMMIT_EVERY))
            done = len(batch) < COMMIT_EVERY
            taken += len(batch)
            if not batch and key is None:
                break
            with readable(self.path), transaction(self._connection):
                for item in batch:
                    writer.take(item)
                if key is not None:
                    writer.note_progress(key, items=taken, done=done)
        return writer.report

    def admission(
        self, *, source: str, request: str, gate: Gate, shard: ShardRow | None = None
    ) -> Admission:
        """Return what takes the games of one input that were prepared elsewhere.

        `source` names the input, `request` the options under which it is read; `shard` the shard
        that it is.
        """
        writer = Ingest(
            self._connection, percents=self.percents, gate=gate, source=source, shard=shard
        )
        return Admission(self._connection, self.path, writer, source=source, request=request)

    def mark(self, source: str, request: str) -> Mark | None:
        """Return how far an input was read under these options, None if it never was."""
        with readable(self.path):
            return read_mark(self._connection, source, request)

    def progress(self, input_id: str) -> Progress:
        """Return how much of an input has been ingested."""
        sql = "SELECT items, done FROM progress WHERE input = ?"
        with readable(self.path):
            row = self._connection.execute(sql, (input_id,)).fetchone()
        return Progress(0, False) if row is None else Progress(int(row[0]), bool(row[1]))

    def keep_quarantined(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows of another store's quarantine (`Copies.quarantined`); those here stay."""
        marks = ", ".join("?" * 7)
        sql = (
            "INSERT OR IGNORE INTO quarantine (id, reason, ply, detail, source, at, record)"  # noqa: S608
            f" VALUES ({marks})"
        )
        with readable(self.path), transaction(self._connection):
            self._connection.executemany(sql, rows)

    def withdraw(self, failures: Iterable[Failure]) -> int:
        """Put verified games that failed a recheck into quarantine; return how many."""
        count = 0
        with readable(self.path), transaction(self._connection):
            for failure in failures:
                sql = "SELECT record FROM games WHERE id = ? AND status = 'verified'"
                row = self._connection.execute(sql, (failure.id,)).fetchone()
                if row is None:
                    continue
                sql = "UPDATE games SET status = 'quarantined' WHERE id = ?"
                self._connection.execute(sql, (failure.id,))
                error = VerificationError(failure.reason, failure.detail, ply=failure.ply)
                quarantine(self._connection, error, seal_pair(row[0], None), WITHDRAWN)
                count += 1
        return count

    def pass_gate(self, version: int) -> int:
        """Note that every verified game holds by a gate of this version; return how many were older.

        For games that `verify_all` has just checked and `withdraw` has left.
        """
        sql = "UPDATE games SET gate_version = ?1 WHERE gate_version < ?1 AND status = 'verified'"
        with readable(self.path), transaction(self._connection):
            return self._connection.execute(sql, (version,)).rowcount

    def raise_holdout(self, percent: int) -> int:
        """Keep more of the play out of training (data.md 1); return how many games moved.

        Raises `RefusedError` for less than the store keeps out: those games may have been seen.
        """
        holdout, val = self.percents
        if not 0 <= percent <= 100:
            raise UsageError(f"holdout percent is {percent}; expected 0 to 100")
        if percent < holdout:
            raise RefusedError(
                f"holdout percent is {percent}; the store keeps out {holdout}", where=str(self.path)
            )

        def side(play: str) -> str:
            purpose = TRAINABLE_PURPOSES[0]
            return split_of(play, purpose, holdout_percent=percent, val_percent=val)

        self._connection.create_function("side_of", 1, side, deterministic=True)
        with readable(self.path), transaction(self._connection):
            moved = self._connection.execute(
                "UPDATE games SET split = 'holdout'"
                " WHERE split IN ('train', 'val') AND side_of(play_hash) = 'holdout'"
            ).rowcount
            sql = "UPDATE meta SET value = ? WHERE key = 'holdout_percent'"
            self._connection.execute(sql, (str(percent),))
        return moved

    @property
    def percents(self) -> tuple[int, int]:
        """The shares of hold-out and validation, in percent."""
        with readable(self.path):
            shares = dict(self._connection.execute("SELECT key, value FROM meta"))
        try:
            return int(shares["holdout_percent"]), int(shares["val_percent"])
        except (KeyError, ValueError) as error:
            raise DataError(f"damaged shares of the split: {error}", where=str(self.path)) from None

    # --- reading

    def count(
        self,
        config: str | None = None,
        run: str | None = None,
        purpose: str | None = None,
        *,
        reason: str | None = None,
        model: str | None = None,
        since: float | None = None,
    ) -> int:
        """Return the number of verified games, of all or those that fit."""
        chosen = Selection(
            config=config, run=run, purpose=purpose, reason=reason, model=model, since=since
        )
        kept = chosen == Selection(config=config, purpose=purpose)  # counts are kept by these two
        where, values = chosen.where()
        what = "coalesce(sum(g.games), 0) FROM game_counts g" if kept else "count(*) FROM games g"
        with readable(self.path):
            found = self._connection.execute(f"SELECT {what} WHERE {where}", values)
            return int(found.fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Return the number of verified games of each configuration that has any."""
        sql = (
            "SELECT config, sum(games) FROM game_counts WHERE status = 'verified'"
            " GROUP BY config HAVING sum(games) > 0 ORDER BY config"
        )
        with readable(self.path):
            return {row[0]: int(row[1]) for row in self._connection.execute(sql)}

    def max_seq(self) -> int:
        """Return the number of the newest game, 0 without any; it rises with every game added."""
        with readable(self.path):
            row = self._connection.execute("SELECT max(seq) FROM games").fetchone()
        return int(row[0] or 0)

    def ids(
        self, config: str | None = None, *, after_seq: int = 0, **filters: Unpack[Filters]
    ) -> Iterator[tuple[int, str]]:
        """Yield (seq, id) of the verified games that fit, in the order of `seq`."""
        where, values = Selection(config=config, **filters).where()
        sql = (
            f"SELECT g.seq, g.id FROM games g WHERE {where}"  # noqa: S608 - names are ours
            " AND g.seq > ? ORDER BY g.seq LIMIT ?"
        )
        while True:
            with readable(self.path):
                found = self._connection.execute(sql, (*values, after_seq, _IDS_PAGE)).fetchall()
            for seq, identity in found:
                yield int(seq), identity
            if len(found) < _IDS_PAGE:
                return
            after_seq = found[-1][0]

    def game_ids(
        self, run: str | None = None, *, config: str | None = None, purpose: str | None = None
    ) -> set[str]:
        """Return the ids of the verified games, of all or those that fit."""
        return {identity for _, identity in self.ids(config, run=run, purpose=purpose)}

    def indices(self, run: str, *, purpose: str | None = None) -> set[int]:
        """Return the indices within a run whose games are here: what a resumed run leaves out."""
        where, values = Selection(run=run, purpose=purpose).where()
        sql = f'SELECT g."index" FROM games g WHERE {where} AND g."index" IS NOT NULL'  # noqa: S608
        with readable(self.path):
            return {row[0] for row in self._connection.execute(sql, values)}

    def find(self, prefix: str) -> str:
        """Return the one verified game whose id starts with `prefix`; raises `UsageError`."""
        start = prefix.strip().lower()
        select = "SELECT id FROM games WHERE status = 'verified' AND"
        with readable(self.path):
            execute = self._connection.execute
            after = f"{select} id >= ? ORDER BY id LIMIT {_NEAR}"
            before = f"{select} id < ? ORDER BY id DESC LIMIT {_NEAR}"
            near = [row[0] for sql in (after, before) for row in execute(sql, (start,))]
        return resolve_prefix(prefix, near, what="game")

    def match_models(self) -> set[str]:
        """Return the ids of all models that played matches."""
        sql = (
            "SELECT DISTINCT a.model FROM game_agents a JOIN games g ON g.id = a.game "
            "WHERE a.model IS NOT NULL AND g.purpose = 'match'"
        )
        with readable(self.path):
            return {row[0] for row in self._connection.execute(sql)}

    def find_model(self, prefix: str) -> str:
        """Return the one model that played stored games and whose id starts with `prefix`."""
        start = prefix.strip().lower()
        near: list[str] = []
        sql, after = "SELECT min(model) FROM game_agents WHERE model {} ?", start
        with readable(self.path):
            while len(near) < _NEAR and after is not None:
                text = sql.format(">" if near else ">=")
                after = self._connection.execute(text, (after,)).fetchone()[0]
                near += [after] if after is not None else []
        return resolve_prefix(prefix, near, what="model")

    def get(self, identity: str) -> tuple[GameRecord, Analysis | None] | None:
        """Return a verified game and its best analysis, None if it is not here."""
        sql = f"SELECT g.record, {_BEST} FROM games g WHERE g.id = ? AND g.status = 'verified'"  # noqa: S608
        with readable(self.path):
            row = self._connection.execute(sql, (identity,)).fetchone()
        return None if row is None else _decoded(row[0], row[1])

    def analyses(self, identity: str) -> list[Analysis]:
        """Return every analysis of a game, oldest first."""
        sql = "SELECT record FROM analyses WHERE game = ? ORDER BY made_at, id"
        with readable(self.path):
            rows = self._connection.execute(sql, (identity,)).fetchall()
        return [analysis_from_bytes(row[0]) for row in rows]

    def records(
        self,
        config: str | None = None,
        *,
        after_seq: int = 0,
        limit: int | None = None,
        split: str | None = None,
        newest_first: bool = False,
        **filters: Unpack[Filters],
    ) -> Iterator[tuple[int, GameRecord, Analysis | None]]:
        """Yield (seq, game, best analysis) of the verified games that fit, in the order of `seq`.

        `split` `train`, `val` or `holdout` reads the view of data.md 1, which leaves out further
        copies of the same play. Of several analyses the one with most simulations counts, then
        the newest. Games are read in pages: no more than one is in memory, and writing goes on.
        """
        if split not in (None, *SPLITS):
            raise UsageError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
        where, values = Selection(config=config, **filters).where()
        source = VIEWS.get(split or "", "games")
        if split is not None and source == "games":
            where, values = f"{where} AND g.split = ?", (*values, split)
        order, low, high = ("DESC" if newest_first else "ASC"), after_seq, _LAST_SEQ
        sql = (
            f"SELECT g.seq, g.record, {_BEST} FROM {source} g"  # noqa: S608 - names are ours
            f" WHERE {where} AND g.seq > ? AND g.seq < ? ORDER BY g.seq {order} LIMIT ?"
        )
        left = _LAST_SEQ if limit is None else limit
        while left > 0:
            with readable(self.path):
                page = min(left, _PAGE)
                rows = self._connection.execute(sql, (*values, low, high, page)).fetchall()
            for seq, data, analysis in rows:
                yield int(seq), *_decoded(data, analysis)
            if len(rows) < page:
                return
            left -= page
            low, high = (low, rows[-1][0]) if newest_first else (rows[-1][0], high)

    def rows(
        self, config: str | None = None, *, limit: int | None = None, **filters: Unpack[Filters]
    ) -> list[dict[str, Any]]:
        """Return what lists of games show, newest first: the columns `ROW`."""
        chosen = Selection(config=config, **filters)
        where, values = chosen.where(model=False)
        source, order = "games g", "g.seq"
        if chosen.since is not None:
            order = "g.ingested_at DESC, g.seq"
        if chosen.model is not None:  # the rows of agents are in the order of their games
            source, order = "game_agents s CROSS JOIN games g ON g.id = s.game", "s.rowid"
            other = "SELECT 1 FROM game_agents o WHERE o.game = s.game AND o.model = s.model"
            where = f"s.model = ? AND NOT EXISTS ({other} AND o.seat < s.seat) AND {where}"
            values = (chosen.model, *values)
        names = ", ".join(f'g."{name}"' for name in ROW)
        sql = f"SELECT {names} FROM {source} WHERE {where} ORDER BY {order} DESC LIMIT ?"  # noqa: S608
        with readable(self.path):
            found = self._connection.execute(sql, (*values, -1 if limit is None else limit))
            return [_row(values) for values in found]

    def quarantined(
        self, limit: int | None = None, *, reason: str | None = None, since: float | None = None
    ) -> list[dict[str, Any]]:
        """Return what is in quarantine, newest first: id, reason, ply, detail, source, at."""
        names = ("id", "reason", "ply", "detail", "source", "at")
        sql = (
            f"SELECT {', '.join(names)} FROM quarantine"  # noqa: S608 - names are ours
            " WHERE reason = coalesce(?, reason) AND at >= coalesce(?, at)"
            " ORDER BY at DESC, id LIMIT ?"
        )
        with readable(self.path):
            found = self._connection.execute(sql, (reason, since, -1 if limit is None else limit))
            return [dict(zip(names, row, strict=True)) for row in found]

    def has(self, identity: str, analysis: str | None = None) -> bool:
        """Tell whether a verified game is here, with that analysis if one is given."""
        sql = (
            "SELECT 1 FROM games g WHERE g.id = ?1 AND g.status = 'verified'"
            " AND (?2 IS NULL OR EXISTS (SELECT 1 FROM analyses a WHERE a.id = ?2))"
        )
        with readable(self.path):
            return self._connection.execute(sql, (identity, analysis)).fetchone() is not None

    @property
    def copies(self) -> Copies:
        """The verified games as bytes, in the order in which they came."""
        return Copies(self._connection, self.path)

    @property
    def quarantine(self) -> Quarantine:
        """The games that were refused, with their bytes."""
        return Quarantine(self._connection, self.path)

    @property
    def recent(self) -> Recent:
        """What came last, asked for again and again."""
        return Recent(self._connection, self.path)

    @property
    def plans(self) -> StoredPlans:
        """The plans of matches (evaluation.md 1)."""
        return StoredPlans(self._connection, self.path)

    # --- checking again

    def verify_all(
        self,
        config: str | None = None,
        *,
        engine: Engine = "compiled",
        sample: float = 1.0,
        limit: int | None = None,
        on_progress: Callable[[int, int], None] = lambda games, plies: None,
        **filters: Unpack[Filters],
    ) -> VerifyReport:
        """Replay every game and analysis from its stored bytes; compare the columns with them.

        `sample` takes a share of the games, `limit` the newest. `on_progress` gets the games and
        plies so far. Nothing is written: `withdraw` takes what failed.
        """
        check_share(sample)
        chosen = Selection(config=config, **filters)
        recheck = Recheck(
            connection=self._connection,
            percents=self.percents,
            selection=chosen,
            after_seq=0 if limit is None else self._seq_before_newest(chosen, limit),
            share=sample,
        )
        with readable(self.path), Engines(engine) as engines:
            return recheck.run(engines, on_progress)

    def _seq_before_newest(self, chosen: Selection, limit: int) -> int:
        """Return the sequence number after which the newest games of a selection come."""
        where, values = chosen.where()
        sql = (
            f"SELECT g.seq FROM games g WHERE {where}"  # noqa: S608 - names are ours
            " ORDER BY g.seq DESC LIMIT 1 OFFSET ?"
        )
        with readable(self.path):
            row = self._connection.execute(sql, (*values, limit)).fetchone()
        return 0 if row is None else int(row[0])


def lock_path(path: Path) -> Path:
    """Return the lock file beside a store."""
    return path.with_name(f".{path.name}.lock")


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(ROW, values, strict=True))
    return {**row, "agents": json.loads(row["agents"])}


def _decoded(data: bytes, analysis: bytes | None) -> tuple[GameRecord, Analysis | None]:
    return from_bytes(data), None if analysis is None else analysis_from_bytes(analysis)
