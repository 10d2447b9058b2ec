"""The union of several collections of games by id, beside which no other bytes are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ringrift.core.errors import BusyError, RefusedError
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes
from ringrift.records.game_bytes import from_bytes, to_bytes
from ringrift.records.record import GameRecord

_TABLES = """
CREATE TABLE sources (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE games (id TEXT PRIMARY KEY, data BLOB, source INT) WITHOUT ROWID;
CREATE TABLE analyses (game TEXT, id TEXT, data BLOB, source INT, PRIMARY KEY (game, id))
    WITHOUT ROWID;
BEGIN;
"""


class GameUnion:
    """Games and analyses by id, in a temporary database of its own. A context manager."""

    def __init__(self) -> None:
        with _room():
            self._connection = sqlite3.connect("", isolation_level=None)
            self._connection.executescript(_TABLES)

    def __enter__(self) -> GameUnion:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def add(self, game: GameRecord, analyses: Sequence[Analysis], source: str) -> bool:
        """Add a game with its analyses; return whether the game is new.

        Raises `RefusedError` for an id that is here with other bytes, naming both sources.
        """
        with _room():
            self._connection.execute("INSERT OR IGNORE INTO sources (name) VALUES (?)", (source,))
            number = self._connection.execute(
                "SELECT number FROM sources WHERE name = ?", (source,)
            ).fetchone()[0]
            new = self._put("games", {"id": game.id}, to_bytes(game), number)
            for analysis in analyses:
                keys = {"game": analysis.game, "id": analysis.id}
                self._put("analyses", keys, analysis_to_bytes(analysis), number)
        return new

    def _put(self, table: str, keys: dict[str, str], data: bytes, source: int) -> bool:
        fits = " AND ".join(f"{name} = ?" for name in keys)
        found = self._connection.execute(
            f"SELECT data, name FROM {table} JOIN sources ON source = number WHERE {fits}",  # noqa: S608 - names of this file
            tuple(keys.values()),
        ).fetchone()
        if found is None:
            names, marks = ", ".join(keys), ", ".join("?" * (len(keys) + 2))
            self._connection.execute(
                f"INSERT INTO {table} ({names}, data, source) VALUES ({marks})",  # noqa: S608
                (*keys.values(), data, source),
            )
        elif found[0] != data:
            here = self._connection.execute(
                "SELECT name FROM sources WHERE number = ?", (source,)
            ).fetchone()[0]
            what = "game" if table == "games" else "analysis"
            raise RefusedError(
                f"the same id with other bytes in {found[1]} and {here}",
                where=f"{what} {keys['id']}",
            )
        return found is None

    def counts(self) -> tuple[int, int]:
        """Return the number of games and of analyses."""
        with _room():
            sql = "SELECT (SELECT count(*) FROM games), (SELECT count(*) FROM analyses)"
            games, analyses = self._connection.execute(sql).fetchone()
        return int(games), int(analyses)

    def __iter__(self) -> Iterator[tuple[GameRecord, list[Analysis]]]:
        """Yield every game with its analyses, in the order of their ids."""
        after = ""
        while True:
            with _room():
                row = self._connection.execute(
                    "SELECT id, data FROM games WHERE id > ? ORDER BY id LIMIT 1", (after,)
                ).fetchone()
                if row is None:
                    return
                after = row[0]
                found = self._connection.execute(
                    "SELECT data FROM analyses WHERE game = ? ORDER BY id", (after,)
                ).fetchall()
            yield from_bytes(row[1]), [analysis_from_bytes(data) for (data,) in found]


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise BusyError(
            f"the temporary database of the union cannot be written: {error}",
            hint="SQLITE_TMPDIR on a disk with room",
        ) from None
