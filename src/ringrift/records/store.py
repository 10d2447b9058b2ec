"""The game store: verified games in SQLite, one writer, any number of readers (selfplay.md 6)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from ringrift.core.errors import UsageError
from ringrift.core.files import lock, open_sqlite, transaction
from ringrift.core.ids import content_id, resolve_prefix
from ringrift.records.analysis_bytes import (
    analysis_from_bytes,
    analysis_to_bytes,
    seal_pair,
)
from ringrift.records.columns import DERIVED, ROW, derived, split_of
from ringrift.records.game_bytes import check_identity, from_bytes, to_bytes
from ringrift.records.record import Analysis, GameRecord, VerificationError, refuse
from ringrift.records.schema import SPLITS, VIEWS, prepare, readable
from ringrift.records.verify import verified_play, verify

GATE_VERSION = 1
"""Rises whenever verification asks for more."""
COMMIT_EVERY = 500

_BEST = (
    "(SELECT a.record FROM analyses a WHERE a.game = g.id"
    " ORDER BY a.sims DESC, a.made_at DESC LIMIT 1)"
)
_PAGE = 256
_LAST_SEQ = (1 << 63) - 1

Item = tuple[GameRecord | bytes, Analysis | bytes | None]


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What became of the games handed to `ingest`; `reasons` counts the quarantined by reason."""

    added: int = 0
    duplicate: int = 0
    quarantined: int = 0
    analyses: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A stored game that does not verify any more."""

    id: str
    reason: str
    ply: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What `verify_all` found."""

    games: int
    plies: int
    seconds: float
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A game as it goes into the store: its bytes, verified."""

    record: GameRecord
    data: bytes
    play: str
    analysis: Analysis | None
    analysis_data: bytes | None


class GameStore:
    """Holds games by id. Make one with `open`; a context manager.

    Nothing is visible that was not verified by replaying its own stored bytes.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, closing: ExitStack, *, writer: bool
    ) -> None:
        self.path = path
        self._writer = writer
        self._connection = connection
        self._closing = closing
        shares = dict(connection.execute("SELECT key, value FROM meta"))
        self._percents = (int(shares["holdout_percent"]), int(shares["val_percent"]))

    @classmethod
    def open(cls, path: Path, *, writer: bool = False) -> GameStore:
        """Open a store; with `writer` it is created if missing and no one else may write.

        Raises `BusyError` with the other writer's pid, `DataError` for a missing or damaged file,
        `RefusedError` for a store of a newer version.
        """
        path = Path(path)
        with ExitStack() as stack:
            if writer:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock(lock_path(path), what="game store"))
            with readable(path):
                connection = open_sqlite(path, readonly=not writer)
                stack.callback(connection.close)
                prepare(connection, path, writer=writer)
                store = cls(path, connection, stack, writer=writer)
            store._closing = stack.pop_all()
        return store

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

    # --- writing

    def ingest(self, items: Iterable[Item], *, source: str = "") -> IngestReport:
        """Verify games and add those that hold; the others go to quarantine with the reason.

        Items are records or their bytes, each with its analysis or None. Every 500 games become
        visible together; what is there already is counted and left alone, so an ingest that was
        killed is simply run again. `source` is noted with what is quarantined.
        """
        report = IngestReport()
        games = iter(items)
        while batch := list(islice(games, COMMIT_EVERY)):
            with readable(self.path), transaction(self._connection):
                for game, analysis in batch:
                    if self._known(game, analysis):
                        report.duplicate += 1
                        continue
                    self._ingest_one(_game_bytes(game), _analysis_bytes(analysis), source, report)
        return report

    def _ingest_one(
        self, data: bytes, analysis_data: bytes | None, source: str, report: IngestReport
    ) -> None:
        try:
            checked = self._checked(data, analysis_data)
        except VerificationError as error:
            report.quarantined += 1
            report.reasons[error.reason] += 1
            self._quarantine(error, seal_pair(data, analysis_data), source)
            return
        if checked is None:
            report.duplicate += 1
            return
        if self._has_game(checked.record.id):
            report.duplicate += 1
        else:
            report.added += 1
            self._insert_game(checked)
        if checked.analysis is not None and not self._has_analysis(checked.analysis.id):
            report.analyses += 1
            self._insert_analysis(checked)

    def _checked(self, data: bytes, analysis_data: bytes | None) -> _Checked | None:
        """Verify the bytes of a game; None if the store has them, and their analysis, already."""
        record = from_bytes(data)
        analysis = None if analysis_data is None else analysis_from_bytes(analysis_data)
        if self._known(record, analysis):
            return None
        play = verified_play(record, analysis)
        return _Checked(
            record=record, data=data, play=play, analysis=analysis, analysis_data=analysis_data
        )

    def _split(self, play: str, record: GameRecord) -> str:
        holdout, val = self._percents
        return split_of(play, record.meta.purpose, holdout_percent=holdout, val_percent=val)

    def _known(self, game: GameRecord | bytes, analysis: Analysis | bytes | None) -> bool:
        """Tell whether a decoded game is here, with its analysis if it has one."""
        if isinstance(game, bytes) or isinstance(analysis, bytes):
            return False
        known = analysis is None or self._has_analysis(analysis.id)
        return known and self._has_game(game.id)

    def _has_game(self, identity: str) -> bool:
        sql = "SELECT 1 FROM games WHERE id = ? AND status = 'verified'"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _has_analysis(self, identity: str) -> bool:
        sql = "SELECT 1 FROM analyses WHERE id = ?"
        return self._connection.execute(sql, (identity,)).fetchone() is not None

    def _insert_game(self, checked: _Checked) -> None:
        record = checked.record
        values = {
            **derived(record, checked.play),
            "gate_version": GATE_VERSION,
            "ingested_at": time.time(),
            "status": "verified",
            "split": self._split(checked.play, record),
            "record": checked.data,
        }
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        new = ", ".join(f'"{name}" = excluded."{name}"' for name in values)
        self._connection.execute(  # a row that failed a recheck is replaced by an intact copy
            f"INSERT INTO games ({names}) VALUES ({marks})"  # noqa: S608 - names are ours
            f" ON CONFLICT (id) DO UPDATE SET {new} WHERE status = 'quarantined'",
            tuple(values.values()),
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO game_agents (game, seat, agent, model, spec) VALUES (?, ?, ?, ?, ?)",
            [
                (record.id, seat, agent.agent_hash, agent.model_id, agent.spec)
                for seat, agent in enumerate(record.agents, 1)
            ],
        )

    def _insert_analysis(self, checked: _Checked) -> None:
        analysis = checked.analysis
        assert analysis is not None
        searched = len(analysis.plies)
        self._connection.execute(
            "INSERT INTO analyses (id, game, agent, sims, plies, coverage, made_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                analysis.id,
                analysis.game,
                analysis.agent,
                max((p.sims for p in analysis.plies), default=0),
                searched,
                searched / len(checked.record.moves),
                time.time(),
                checked.analysis_data,
            ),
        )

    def _quarantine(self, error: VerificationError, pair: bytes, source: str) -> None:
        detail = error.detail if error.where is None else f"{error.detail} ({error.where})"
        self._connection.execute(
            "INSERT OR IGNORE INTO quarantine (id, reason, ply, detail, source, at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                content_id("quarantine", pair),
                error.reason,
                error.ply,
                detail,
                source,
                time.time(),
                pair,
            ),
        )

    # --- reading

    def count(
        self, config: str | None = None, run: str | None = None, purpose: str | None = None
    ) -> int:
        """Return the number of verified games, of all or those that fit."""
        where, values = _conditions(config=config, run=run, purpose=purpose)
        sql = f"SELECT count(*) FROM games WHERE {where}"  # noqa: S608 - names are ours
        with readable(self.path):
            return int(self._connection.execute(sql, values).fetchone()[0])

    def max_seq(self) -> int:
        """Return the number of the newest game, 0 without any; it rises with every game added."""
        with readable(self.path):
            row = self._connection.execute("SELECT max(seq) FROM games").fetchone()
        return int(row[0] or 0)

    def game_ids(
        self, run: str | None = None, *, config: str | None = None, purpose: str | None = None
    ) -> set[str]:
        """Return the ids of the verified games, of all or those that fit."""
        where, values = _conditions(config=config, run=run, purpose=purpose)
        sql = f"SELECT id FROM games WHERE {where}"  # noqa: S608 - names are ours
        with readable(self.path):
            return {row[0] for row in self._connection.execute(sql, values)}

    def indices(self, run: str, *, purpose: str | None = None) -> set[int]:
        """Return the indices within a run whose games are here: what a resumed run leaves out."""
        where, values = _conditions(config=None, run=run, purpose=purpose)
        sql = f'SELECT "index" FROM games WHERE {where} AND "index" IS NOT NULL'  # noqa: S608
        with readable(self.path):
            return {row[0] for row in self._connection.execute(sql, values)}

    def find(self, prefix: str) -> str:
        """Return the one verified game whose id starts with `prefix`; raises `UsageError`."""
        sql = "SELECT id FROM games WHERE status = 'verified' AND id >= ? AND id < ? LIMIT 20"
        start = prefix.strip().lower()
        with readable(self.path):
            near = [row[0] for row in self._connection.execute(sql, (start, start + "g"))]
        return resolve_prefix(prefix, near or self.game_ids(), what="game")

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
        purpose: str | None = None,
        run: str | None = None,
        after_seq: int = 0,
        limit: int | None = None,
        split: str | None = None,
        newest_first: bool = False,
    ) -> Iterator[tuple[int, GameRecord, Analysis | None]]:
        """Yield (seq, game, best analysis) of the verified games that fit, in the order of `seq`.

        `split` `train`, `val` or `holdout` reads the view of data.md 1, which leaves out further
        copies of the same play. Of several analyses the one with most simulations counts, then
        the newest.
        """
        if split not in (None, *SPLITS):
            raise UsageError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
        where, values = _conditions(config=config, run=run, purpose=purpose)
        source = VIEWS.get(split or "", "games")
        if split is not None and source == "games":
            where, values = f"{where} AND split = ?", (*values, split)
        order, low, high = ("DESC" if newest_first else "ASC"), after_seq, _LAST_SEQ
        sql = (
            f"SELECT g.seq, g.record, {_BEST} FROM {source} g"  # noqa: S608 - names are ours
            f" WHERE {where} AND g.seq > ? AND g.seq < ? ORDER BY g.seq {order} LIMIT ?"
        )
        left = _LAST_SEQ if limit is None else limit
        while left > 0:  # in pages, so that no read transaction stays open while games are used
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
        self,
        config: str | None = None,
        *,
        run: str | None = None,
        purpose: str | None = None,
        reason: str | None = None,
        model: str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return what lists of games show, newest first: the columns `ROW`."""
        where, values = _conditions(config=config, run=run, purpose=purpose)
        for condition, value in (
            ("reason = ?", reason),
            ("ingested_at >= ?", since),
            ("id IN (SELECT game FROM game_agents WHERE model = ?)", model),
        ):
            if value is not None:
                where, values = f"{where} AND {condition}", (*values, value)
        names = ", ".join(f'"{name}"' for name in ROW)
        sql = f"SELECT {names} FROM games WHERE {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608
        with readable(self.path):
            found = self._connection.execute(sql, (*values, -1 if limit is None else limit))
            return [_row(values) for values in found]

    def quarantined(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return what is in quarantine, newest first: id, reason, ply, detail, source, at."""
        names = ("id", "reason", "ply", "detail", "source", "at")
        sql = f"SELECT {', '.join(names)} FROM quarantine ORDER BY at DESC, id LIMIT ?"  # noqa: S608
        with readable(self.path):
            found = self._connection.execute(sql, (-1 if limit is None else limit,))
            return [dict(zip(names, row, strict=True)) for row in found]

    # --- checking again

    def verify_all(
        self,
        config: str | None = None,
        *,
        run: str | None = None,
        purpose: str | None = None,
        on_progress: Callable[[int, int], None] = lambda games, plies: None,
    ) -> VerifyReport:
        """Replay every game and analysis from its stored bytes; compare the columns with them.

        A writer puts the games that fail into quarantine, a reader only reports them. `on_progress`
        gets the games and plies so far.
        """
        started_s = time.perf_counter()
        games = plies = seq = 0
        failures: list[Failure] = []
        names = ", ".join(f'"{name}"' for name in DERIVED)
        where, given = _conditions(config=config, run=run, purpose=purpose)
        sql = (
            f"SELECT seq, id, record, split, {names} FROM games"  # noqa: S608 - names are ours
            f" WHERE {where} AND seq > ? ORDER BY seq LIMIT ?"
        )
        while True:
            with readable(self.path):
                rows = self._connection.execute(sql, (*given, seq, _PAGE)).fetchall()
                for seq, identity, data, split, *values in rows:  # noqa: B007 - seq goes on
                    games += 1
                    try:
                        plies += self._verify_row(identity, data, split, tuple(values))
                    except VerificationError as error:
                        failures.append(_failure(identity, error))
                        if self._writer:
                            self._withdraw(error, identity, data)
            on_progress(games, plies)
            if len(rows) < _PAGE:
                break
        seconds = time.perf_counter() - started_s
        return VerifyReport(games=games, plies=plies, seconds=seconds, failures=tuple(failures))

    def _verify_row(self, identity: str, data: bytes, split: str, values: tuple[Any, ...]) -> int:
        record = from_bytes(data)
        sql = "SELECT record FROM analyses WHERE game = ?"
        analyses = [row[0] for row in self._connection.execute(sql, (identity,))]
        play = verified_play(record)
        for analysis_data in analyses:
            verify(record, analysis_from_bytes(analysis_data))
        check_identity(identity, record.id)
        computed = {**derived(record, play), "split": self._split(play, record)}
        for name, found in {**dict(zip(DERIVED, values, strict=True)), "split": split}.items():
            if found != computed[name]:
                raise refuse(f"column {name}", found, repr(computed[name]))
        return len(record.moves)

    def _withdraw(self, error: VerificationError, identity: str, data: bytes) -> None:
        with transaction(self._connection):
            self._connection.execute(
                "UPDATE games SET status = 'quarantined' WHERE id = ?", (identity,)
            )
            self._quarantine(error, seal_pair(data, None), "the store itself")


def lock_path(path: Path) -> Path:
    """Return the lock file beside a store."""
    return path.with_name(f".{path.name}.lock")


def _conditions(
    *, config: str | None, run: str | None, purpose: str | None
) -> tuple[str, tuple[Any, ...]]:
    wanted = {"config": config, "run": run, "purpose": purpose}
    given = {name: value for name, value in wanted.items() if value is not None}
    return " AND ".join(["status = 'verified'", *(f"{n} = ?" for n in given)]), tuple(
        given.values()
    )


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(ROW, values, strict=True))
    return {**row, "agents": json.loads(row["agents"])}


def _decoded(data: bytes, analysis: bytes | None) -> tuple[GameRecord, Analysis | None]:
    return from_bytes(data), None if analysis is None else analysis_from_bytes(analysis)


def _game_bytes(game: GameRecord | bytes) -> bytes:
    return game if isinstance(game, bytes) else to_bytes(game)


def _analysis_bytes(analysis: Analysis | bytes | None) -> bytes | None:
    return analysis_to_bytes(analysis) if isinstance(analysis, Analysis) else analysis


def _failure(identity: str, error: VerificationError) -> Failure:
    return Failure(id=identity, reason=error.reason, ply=error.ply, detail=error.detail)
