"""Hand out the stored games as bytes, for the gate of another store (data.md 2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.records.schema import readable

_PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCopy:
    """The bytes of a stored game and of its analyses, undecoded.

    `seq` is the number of the game, `analysis` that of its newest analysis, 0 for none.
    """

    id: str
    seq: int
    analysis: int
    game: bytes
    analyses: tuple[bytes, ...]


class Copies:
    """Reads the verified games of an open store; get it from `GameStore.copies`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def after(self, seq: int, *, split: str | None = None) -> Iterator[StoredCopy]:
        """Yield the games that came after a number, each with all its analyses."""
        if split is None:
            return self._paged("g.seq > ?", seq, (), 0)
        return self._paged("g.seq > ? AND g.split = ?", seq, (split,), 0)

    def searched_after(self, analysis: int, upto: int) -> Iterator[StoredCopy]:
        """Yield the games up to the number `upto` with the analyses that came after another."""
        fits = "g.seq > ? AND g.seq <= ? AND g.id IN (SELECT game FROM analyses WHERE rowid > ?)"
        return self._paged(fits, 0, (upto, analysis), analysis)

    def _paged(
        self, fits: str, seq: int, values: tuple[int | str, ...], analysis: int
    ) -> Iterator[StoredCopy]:
        sql = (
            "SELECT g.seq, g.id, g.record FROM games g"  # noqa: S608 - conditions of this file
            f" WHERE {fits} AND g.status = 'verified' ORDER BY g.seq LIMIT {_PAGE}"
        )
        while True:
            with readable(self._path):
                page = self._connection.execute(sql, (seq, *values)).fetchall()
            for number, identity, game in page:
                newest, analyses = self._analyses(identity, analysis)
                yield StoredCopy(
                    id=identity, seq=int(number), analysis=newest, game=game, analyses=analyses
                )
            if len(page) < _PAGE:
                return
            seq = page[-1][0]

    def quarantined(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield pages of the rows of the quarantine, for `GameStore.keep_quarantined`."""
        sql = (
            "SELECT rowid, id, reason, ply, detail, source, at, record FROM quarantine"
            " WHERE rowid > ? ORDER BY rowid LIMIT ?"
        )
        after = 0
        while True:
            with readable(self._path):
                page = self._connection.execute(sql, (after, _PAGE)).fetchall()
            yield [row[1:] for row in page]
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def newest_analysis(self) -> int:
        """Return the number of the newest analysis, 0 without any."""
        with readable(self._path):
            row = self._connection.execute("SELECT max(rowid) FROM analyses").fetchone()
        return int(row[0] or 0)

    def id_at(self, seq: int) -> str | None:
        """Return the id of the game of a number, whatever its status; None if it is not here."""
        sql = "SELECT id FROM games WHERE seq = ?"
        with readable(self._path):
            row = self._connection.execute(sql, (seq,)).fetchone()
        return None if row is None else str(row[0])

    def _analyses(self, game: str, after: int) -> tuple[int, tuple[bytes, ...]]:
        """Return the number of the newest analysis and the bytes of those after a number."""
        sql = "SELECT rowid, record FROM analyses WHERE game = ? AND rowid > ? ORDER BY rowid"
        with readable(self._path):
            rows = self._connection.execute(sql, (game, after)).fetchall()
        return int(rows[-1][0]) if rows else 0, tuple(data for _, data in rows)
