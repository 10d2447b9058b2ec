"""Games of a GameReplayDB: replayed, and compared with the states, hashes and phases it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ringrift.core.files import open_sqlite
from ringrift.records.foreign import convert, open_replay_db
from ringrift.records.foreign.game import Claims, ForeignGame
from ringrift.records.parity.compare import verdict
from ringrift.records.parity.report import INVALID, NON_CANONICAL, GameCheck
from ringrift.records.parity.stored import parts_of
from ringrift.records.record import VerificationError
from ringrift.records.replayer import Replayer

RULES_DIFFER = frozenset({"illegal_move", "hash", "result", "invariant", "ambiguous_move"})
"""Reasons that speak of the rules; any other is damage of the record."""

CUT = "max_moves"
"""Reason under which a game is replayed whose end is at issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow:
    """One game of a GameReplayDB, or why it cannot be read."""

    file: str
    id: str
    game: ForeignGame | None
    error: VerificationError | None


def is_replay_db(path: Path) -> bool:
    """Tell whether a file is a database with the moves of a GameReplayDB."""
    if not path.is_file():
        return False
    try:
        with closing(open_sqlite(path, readonly=True)) as connection:
            sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'game_moves'"
            return connection.execute(sql).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def read_replay_db(path: Path) -> Iterator[ForeignRow]:
    """Yield the games of a database in its order; raises `DataError` for a damaged one."""
    with open_replay_db(path) as database:
        for entry in database.entries():
            identity = f"row {entry.row}" if entry.id is None else entry.id
            yield ForeignRow(file=str(path), id=identity, game=entry.game, error=entry.error)


def check_foreign(
    row: ForeignRow, *, engine: str = "compiled", mode: str = "canonical"
) -> GameCheck:
    """Replay a foreign game on the engine of this process."""
    found = GameCheck(file=row.file, game=row.id, engine=engine)
    if row.game is None:
        found.structure, found.detail = INVALID, str(row.error)
        return found
    found.config = f"{row.game.board}_{row.game.players}p"
    try:
        converted = convert(row.game, legacy=mode == "legacy")
    except VerificationError as error:
        _note(found, row.game, error, legacy=mode == "legacy")
        return found
    found.plies = len(converted.record.moves)
    found.inserted = converted.notes["inserted"]
    result = converted.record.result
    found.end = f"{result.end}:{result.reason}"
    return found


def _note(found: GameCheck, game: ForeignGame, error: VerificationError, *, legacy: bool) -> None:
    if error.reason == "non_canonical":
        found.structure, found.detail = NON_CANONICAL, str(error)
    elif error.reason not in RULES_DIFFER:
        found.structure, found.detail = INVALID, str(error)
        return
    recorded, ours = parts_of(error)
    found.diverged_at = -1 if error.ply is None else error.ply
    found.expected, found.got = {error.reason: recorded}, {error.reason: ours}
    if error.reason == "result":
        found.is_end_of_game_only = _ended_earlier(game, legacy=legacy)


def _ended_earlier(game: ForeignGame, *, legacy: bool) -> bool:
    """Tell whether the game ends by a verdict that our engine gives too, but later acts on."""
    cut = replace(game, claims=Claims(reason=CUT))
    try:
        record = convert(cut, legacy=legacy).record
    except VerificationError:
        return False
    position = Replayer(record.spec, record.start, record.moves).finish()
    said = None if position.is_over else verdict(position)
    return said is not None and said.split(":")[0] == str(game.claims.winner)
