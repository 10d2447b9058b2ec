"""Check what a store holds again: every game from its own bytes, every column from the game (selfplay.md 7)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ringrift.core.errors import UsageError
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.columns import DERIVED, derived, split_of
from ringrift.records.engines import Copy, Engine, Engines, Fault
from ringrift.records.game_bytes import check_identity, from_bytes
from ringrift.records.record import VerificationError, refuse
from ringrift.records.selection import Selection

PAGE = 256
_SAMPLE_DIGITS, _SAMPLE_OF = 8, 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A game that does not verify; `engine` is None where its bytes or columns are at fault."""

    id: str
    reason: str
    ply: int | None
    detail: str
    engine: str | None = None

    @classmethod
    def of(cls, identity: str, error: VerificationError, engine: str | None = None) -> Failure:
        """Say what is wrong with a game."""
        return cls(
            id=identity, reason=error.reason, ply=error.ply, detail=error.detail, engine=engine
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """How much was verified, and what failed."""

    games: int
    plies: int
    seconds: float
    failures: tuple[Failure, ...]


def sampled(identity: str, share: float) -> bool:
    """Tell whether a game is in a sample of this share: by its id, so always the same games."""
    return int(identity[-_SAMPLE_DIGITS:], 16) < share * _SAMPLE_OF


def check_share(share: float) -> None:
    """Raise `UsageError` for a share of games that is none."""
    if not 0 < share <= 1:
        raise UsageError(f"sample is {share}; expected a share above 0, at most 1")


def verify_copies(
    copies: Iterable[Copy],
    *,
    engine: Engine = "compiled",
    on_progress: Callable[[int, int], None] = lambda games, plies: None,
) -> VerifyReport:
    """Verify games that are in no store, each with its analyses, as they come."""
    started_s = time.perf_counter()
    games = plies = 0
    failures: list[Failure] = []
    left = iter(copies)
    with Engines(engine) as engines:
        while batch := list(islice(left, PAGE)):
            games += len(batch)
            for (record, _), play in zip(batch, engines.plays(batch), strict=True):
                if isinstance(play, Fault):
                    failures.append(Failure.of(record.id, play.error, play.engine))
                else:
                    plies += len(record.moves)
            on_progress(games, plies)
    seconds = time.perf_counter() - started_s
    return VerifyReport(games=games, plies=plies, seconds=seconds, failures=tuple(failures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """Checks the chosen rows of a store in pages, in the order of `seq`."""

    connection: sqlite3.Connection
    percents: tuple[int, int]
    selection: Selection
    after_seq: int
    share: float

    def run(
        self, engines: Engines, on_progress: Callable[[int, int], None] = lambda games, plies: None
    ) -> VerifyReport:
        """Check every row; `on_progress` gets the games and plies so far."""
        started_s = time.perf_counter()
        games = plies = 0
        failures: list[Failure] = []
        for page in self._pages():
            rows = [row for row in page if sampled(row["id"], self.share)]
            games += len(rows)
            for found in self._checked(rows, engines):
                if isinstance(found, Failure):
                    failures.append(found)
                else:
                    plies += found
            on_progress(games, plies)
        seconds = time.perf_counter() - started_s
        return VerifyReport(games=games, plies=plies, seconds=seconds, failures=tuple(failures))

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        columns = ("seq", "id", "record", "split", *DERIVED)
        names = ", ".join(f'g."{name}"' for name in columns)
        where, values = self.selection.where()
        sql = (
            f"SELECT {names} FROM games g WHERE {where}"  # noqa: S608 - names are ours
            " AND g.seq > ? ORDER BY g.seq LIMIT ?"
        )
        seq = self.after_seq
        while True:
            found = self.connection.execute(sql, (*values, seq, PAGE)).fetchall()
            yield [dict(zip(columns, row, strict=True)) for row in found]
            if len(found) < PAGE:
                return
            seq = found[-1][0]

    def _checked(self, rows: Iterable[dict[str, Any]], engines: Engines) -> Iterator[Failure | int]:
        """Yield the plies of each row that holds, what is wrong with the others."""
        held: list[tuple[dict[str, Any], Copy]] = []
        for row in rows:
            try:
                held.append((row, self._opened(row)))
            except VerificationError as error:
                yield Failure.of(row["id"], error)
        plays = engines.plays([copy for _, copy in held])
        for (row, copy), play in zip(held, plays, strict=True):
            if isinstance(play, Fault):
                yield Failure.of(row["id"], play.error, play.engine)
                continue
            try:
                self._compare(row, copy, play)
            except VerificationError as error:
                yield Failure.of(row["id"], error)
            else:
                yield len(copy[0].moves)

    def _opened(self, row: dict[str, Any]) -> Copy:
        record = from_bytes(row["record"])
        check_identity(row["id"], record.id)
        sql = "SELECT record FROM analyses WHERE game = ?"
        found = self.connection.execute(sql, (row["id"],)).fetchall()
        return record, [analysis_from_bytes(data) for (data,) in found]

    def _compare(self, row: dict[str, Any], copy: Copy, play: str) -> None:
        record = copy[0]
        columns = derived(record, play)
        for name in DERIVED:
            if row[name] != columns[name]:
                raise refuse(f"column {name}", row[name], repr(columns[name]))
        holdout, val = self.percents
        splits = [
            split_of(
                play,
                record.meta.purpose,
                holdout_percent=holdout,
                val_percent=val,
                admit_imports=admitted,
            )
            for admitted in (False, True)
        ]
        if row["split"] not in splits:
            raise refuse("column split", row["split"], repr(splits[0]))
