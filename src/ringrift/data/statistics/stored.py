"""The games of a store, in pages (data.md 10)."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.data.reading import reading
from ringrift.data.statistics.filters import Filters
from ringrift.data.statistics.pages import Known, Searched, is_inferred
from ringrift.records.analysis_bytes import open_pair, searched_plies
from ringrift.records.game_bytes import from_bytes, meta_from_bytes
from ringrift.records.record import GameRecord, VerificationError

PAGE = 500
"""Games read at once."""

_GAMES = """
    SELECT g.seq, g.id, g.config, g.board, g.players, g."end", g.reason, g.agents, g.played_at, g.record
    FROM games g WHERE g.status = 'verified'{narrowed} AND g.seq > ? ORDER BY g.seq LIMIT ?
"""
_ANALYSES = "SELECT game, record FROM analyses WHERE game IN ({marks})"


@dataclass(frozen=True, slots=True)
class Stored:
    """A verified game as its store has it: id, what is known of it, its bytes."""

    id: str
    known: Known
    data: bytes


def count_stored(path: Path, filters: Filters) -> int:
    """Return how many verified games of a store have the board and players asked for."""
    where, values = _narrowed(filters)
    sql = f"SELECT count(*) FROM games g WHERE g.status = 'verified'{where}"  # noqa: S608 - names are ours
    with reading(path) as connection:
        return int(connection.execute(sql, values).fetchone()[0])


def read_stored(path: Path, filters: Filters) -> Iterator[list[Stored]]:
    """Yield the verified games of a store that fit, in pages.

    Raises `DataError` for a store that cannot be read.
    """
    where, values = _narrowed(filters)
    sql = _GAMES.format(narrowed=where)
    with reading(path) as connection:
        analysed = connection.execute("SELECT 1 FROM analyses LIMIT 1").fetchone() is not None
        after = 0
        while True:
            rows = connection.execute(sql, (*values, after, PAGE)).fetchall()
            meant = [row for row in rows if _fits(row, filters)]
            searched = _searched(connection, [row[1] for row in meant]) if analysed else {}
            if meant:
                yield [_stored(row, searched.get(row[1])) for row in meant]
            if len(rows) < PAGE:
                return
            after = rows[-1][0]


def quarantined(path: Path) -> dict[str, int]:
    """Return how many games a store refused, by reason."""
    with reading(path) as connection:
        sql = "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY reason"
        return {reason: int(count) for reason, count in connection.execute(sql)}


def read_quarantined(path: Path) -> Iterator[GameRecord | VerificationError]:
    """Yield what a store refused: records, whatever they claim, or why there is none."""
    with reading(path) as connection:
        for (data,) in connection.execute("SELECT record FROM quarantine ORDER BY id"):
            try:
                yield from_bytes(open_pair(data)[0])
            except VerificationError as error:
                yield error


def _narrowed(filters: Filters) -> tuple[str, tuple[Any, ...]]:
    pairs = (("board", filters.board), ("players", filters.players))
    wanted = [(name, value) for name, value in pairs if value is not None]
    return "".join(f" AND g.{name} = ?" for name, _ in wanted), tuple(v for _, v in wanted)


def _fits(row: tuple[Any, ...], filters: Filters) -> bool:
    if not filters.ai_types:
        return filters.fits_time(row[8])
    return filters.fits(row[3], row[4], tuple(json.loads(row[7])), row[8])


def _searched(connection: sqlite3.Connection, ids: list[str]) -> dict[str, Searched]:
    sql = _ANALYSES.format(marks=", ".join("?" * len(ids)))
    found: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for game, data in connection.execute(sql, ids):
        found[game] += searched_plies(data)
    return {game: Searched.of(plies) for game, plies in found.items()}


def _stored(row: tuple[Any, ...], searched: Searched | None) -> Stored:
    _, identity, config, _, _, end, reason, agents, started, data = row
    meta = meta_from_bytes(data)
    known = Known(
        config=config,
        end=end,
        reason=reason,
        specs=tuple(json.loads(agents)),
        host=meta.host,
        started=started,
        ms=meta.ms,
        inferred=is_inferred(meta),
        searched=searched,
    )
    return Stored(identity, known, data)
