"""What is asked of a store again and again while it grows: what came since the last time.

Every question goes to an index or to the newest rows, so its cost follows what is new and not the
size of the store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes
from ringrift.records.game_bytes import from_bytes
from ringrift.records.quarantine import WITHDRAWN
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.schema import readable

_COLUMNS = 'seq, config, purpose, run, "index", winner, "end", status, split, ingested_at'
_TRAINABLE = (  # as the view says
    "(g.split = 'train' AND NOT EXISTS (SELECT 1 FROM games o WHERE o.play_hash = g.play_hash"
    " AND o.id < g.id AND o.status = 'verified' AND o.split = 'train'))"
)
_LAST = "\U0010ffff"
_PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentGame:
    """One stored game; `winner` is the seat or 0, `ingested_at` Unix seconds."""

    seq: int
    config: str
    purpose: str
    run: str | None
    index: int | None
    winner: int
    end: str
    verified: bool
    split: str
    ingested_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRefusal:
    """One refused game: its number in the quarantine, when it came, its bytes and its analysis's."""

    number: int
    at: float
    reason: str
    source: str
    pair: bytes


class Recent:
    """Reads what is new in an open store; get it from `GameStore.recent`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def after(self, seq: int) -> list[RecentGame]:
        """Return the games that came after a number, in order."""
        sql = f"SELECT {_COLUMNS} FROM games WHERE seq > ? ORDER BY seq"  # noqa: S608
        return [_game(row) for row in self._rows(sql, (seq,))]

    def newest(self, config: str, count: int) -> list[RecentGame]:
        """Return the newest games of a configuration, in order."""
        sql = (
            f"SELECT {_COLUMNS} FROM games WHERE config = ? AND status = ?"  # noqa: S608
            " ORDER BY seq DESC LIMIT ?"
        )
        rows = self._rows(sql, (config, "verified", count))
        rows += self._rows(sql, (config, "quarantined", count))
        return sorted(map(_game, rows), key=lambda game: game.seq)[-count:]

    def refused_after(self, number: int, *, most: int) -> list[RecentRefusal]:
        """Return the newest `most` of the games that were refused after another, in order."""
        sql = (
            "SELECT rowid, at, reason, source, record FROM quarantine"
            " WHERE rowid > ? AND source != ? ORDER BY rowid DESC LIMIT ?"
        )
        rows = self._rows(sql, (number, WITHDRAWN, most))
        return [
            RecentRefusal(number=row[0], at=row[1], reason=row[2], source=row[3], pair=row[4])
            for row in reversed(rows)
        ]

    def trainable(self, config: str, *, after: int, upto: int) -> int:
        """Count the trainable games with numbers above `after` and at most `upto`."""
        sql = (
            "SELECT count(*) FROM games g INDEXED BY games_page"  # noqa: S608 - texts of this file
            f" WHERE config = ? AND status = 'verified' AND seq > ? AND seq <= ? AND {_TRAINABLE}"
        )
        return int(self._rows(sql, (config, after, upto))[0][0])

    def copied(self, *, after: int, upto: int) -> bool:
        """Tell whether the play of a game for training in a range of numbers is in another too."""
        sql = (
            "SELECT 1 FROM games g WHERE g.seq > ? AND g.seq <= ? AND g.split = 'train'"
            " AND EXISTS (SELECT 1 FROM games o WHERE o.play_hash = g.play_hash"
            " AND o.seq != g.seq AND o.split = 'train') LIMIT 1"
        )
        return bool(self._rows(sql, (after, upto)))

    def looks(
        self, config: str, *, after: int, upto: int, most: int
    ) -> Iterator[tuple[str | None, GameRecord, list[Analysis]]]:
        """Yield the hash of the play if it is trainable, record and analyses of self-play games.

        The newest `most` verified ones with numbers above `after` and at most `upto`, the newest first. Raises
        `DataError` naming a damaged game.
        """
        sql = (
            f"SELECT seq, id, record, CASE WHEN {_TRAINABLE} THEN play_hash END FROM games g INDEXED BY games_page"  # noqa: S608
            " WHERE config = ? AND status = 'verified' AND purpose = 'selfplay'"
            " AND seq > ? AND seq <= ? ORDER BY seq DESC LIMIT ?"
        )
        searched = "SELECT record FROM analyses WHERE game = ? ORDER BY id"
        while most > 0:
            rows = self._rows(sql, (config, after, upto, min(most, _PAGE)))
            for seq, identity, data, play in rows:
                analyses = self._rows(searched, (identity,))
                try:
                    record = from_bytes(data)
                    found = [analysis_from_bytes(row[0]) for row in analyses]
                except VerificationError as error:
                    raise DataError(
                        f"game {seq} is damaged: {error.message}",
                        where=str(self._path),
                        hint="ringrift games verify",
                    ) from error
                yield play, record, found
            if len(rows) < _PAGE:
                return
            most -= len(rows)
            upto = rows[-1][0] - 1

    def since(self, config: str, at: float) -> int:
        """Count the verified games for learning that came in since `at`, Unix seconds."""
        sql = (
            "SELECT count(*) FROM games WHERE config = ? AND status = 'verified'"
            " AND split IN ('train', 'val', 'holdout') AND ingested_at >= ?"
        )
        return int(self._rows(sql, (config, at))[0][0])

    def runs(self, prefix: str) -> list[str]:
        """Return the names of runs that begin with `prefix`."""
        found: list[str] = []
        sql = "SELECT min(run) FROM games WHERE run > ? AND run < ?"
        last = prefix
        while True:
            run = self._rows(sql, (last, prefix + _LAST))[0][0]
            if run is None:
                return found
            found.append(run)
            last = run

    def next_index(self, run: str) -> int:
        """Return one above the highest index of a run's verified games, 0 without any."""
        sql = "SELECT max(\"index\") FROM games WHERE run = ? AND +status = 'verified'"
        highest = self._rows(sql, (run,))[0][0]
        return 0 if highest is None else int(highest) + 1

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        with readable(self._path):
            return self._connection.execute(sql, values).fetchall()


def _game(row: tuple[Any, ...]) -> RecentGame:
    seq, config, purpose, run, index, winner, end, status, split, at = row
    if not isinstance(config, str):
        raise DataError(f"config is {config!r}", where=f"game {seq}")
    return RecentGame(
        seq=seq,
        config=config,
        purpose=purpose,
        run=run,
        index=index,
        winner=winner,
        end=end,
        verified=status == "verified",
        split=split,
        ingested_at=at,
    )
