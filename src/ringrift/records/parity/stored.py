"""Games of a game store: verified again from their bytes, and read for missing bookkeeping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import DataError
from ringrift.core.files import open_sqlite
from ringrift.records.columns import DERIVED, derived
from ringrift.records.game_bytes import check_identity, from_bytes
from ringrift.records.parity.compare import MOST_BRIDGED, forced_bookkeeping
from ringrift.records.parity.games import Claim, Ply, RecordedGame
from ringrift.records.parity.report import INVALID, NON_CANONICAL, GameCheck
from ringrift.records.record import GameRecord, VerificationError, refuse
from ringrift.records.replayer import Replayer
from ringrift.records.schema import prepare, readable
from ringrift.records.verify import verified_play
from ringrift.rules import Position

_PAGE = 256
_FOUND = re.compile(r"found (?P<record>.*?)(?: after it)?; (?:expected|replayed) (?P<ours>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGame:
    """One row of a store: its id, its bytes, and the columns that follow from them."""

    file: str
    id: str
    data: bytes
    columns: dict[str, Any]


def read_store(
    path: Path, *, config: str | None = None, run: str | None = None
) -> Iterator[StoredGame]:
    """Yield the games of a store in the order they came, also those withdrawn from it.

    Raises `DataError` for a file that is no game store.
    """
    with readable(path), closing(open_sqlite(path, readonly=True)) as connection:
        prepare(connection, path, writer=False)
        conditions = {"config": config, "run": run}
        given = {name: value for name, value in conditions.items() if value is not None}
        where = " AND ".join(["seq > ?", *(f"{name} = ?" for name in given)])
        names = ", ".join(f'"{name}"' for name in DERIVED)
        sql = (
            f"SELECT seq, id, record, {names} FROM games"  # noqa: S608 - names are ours
            f" WHERE {where} ORDER BY seq LIMIT ?"
        )
        seq = 0
        while rows := connection.execute(sql, (seq, *given.values(), _PAGE)).fetchall():
            for seq, identity, data, *values in rows:  # noqa: B007 - seq goes on
                columns = dict(zip(DERIVED, values, strict=True))
                yield StoredGame(file=str(path), id=identity, data=data, columns=columns)


def check_stored(
    game: StoredGame, *, engine: str = "compiled", mode: str = "canonical"
) -> GameCheck:
    """Verify a stored game on the engine of this process (`selfplay.md` 7)."""
    found = GameCheck(file=game.file, game=game.id, engine=engine)
    try:
        record = from_bytes(game.data)
        check_identity(game.id, record.id)
    except DataError as error:
        found.structure, found.detail = INVALID, str(error)
        return found
    found.config = record.spec.config
    found.plies = len(record.moves)
    found.end = f"{record.result.end}:{record.result.reason}"
    try:
        computed = derived(record, verified_play(record))
        for name, stored in game.columns.items():
            if stored != computed[name]:
                raise refuse(
                    f"column {name}", stored, repr(computed[name]), reason=f"column {name}"
                )
    except VerificationError as error:
        _note(found, record, error, legacy=mode == "legacy")
    return found


def parts_of(error: VerificationError) -> tuple[str, str]:
    """Return what the record says and what the engine does, from the detail of a refusal."""
    parts = _FOUND.search(error.detail)
    return (parts["record"], parts["ours"]) if parts else ("as recorded", error.detail)


def recorded_store_game(game: StoredGame) -> RecordedGame:
    """Return a stored game as texts; raises `DataError` where its bytes are damaged."""
    record = from_bytes(game.data)
    texts: list[str] = []
    position = _start(record)
    for move in record.moves:
        if move not in position.legal_packed():
            break
        texts.append(position.move_text(move))
        position.play(move)
    result = record.result
    return RecordedGame(
        file=game.file,
        id=game.id,
        spec=record.spec,
        start=record.start,
        plies=tuple(Ply(move=text) for text in texts),
        claim=Claim(end=result.end, winner=result.winner, reason=result.reason),
        complete=False,
    )


def _note(found: GameCheck, record: GameRecord, error: VerificationError, *, legacy: bool) -> None:
    illegal = error.reason in ("illegal_move", "non_canonical")
    inserted = _missing(record, error.ply) if illegal else 0
    if inserted and legacy:
        found.inserted = inserted
        _check_filled(found, record)
        return
    if inserted:
        found.structure = NON_CANONICAL
        found.detail = f"bookkeeping plies are missing before ply {error.ply}"
    recorded, ours = parts_of(error)
    found.diverged_at = -1 if error.ply is None else error.ply
    found.expected, found.got = {error.reason: recorded}, {error.reason: ours}
    if found.diverged_at < 0 or found.diverged_at >= len(record.moves):
        return
    try:
        replayer = Replayer(record.spec, record.start, record.moves)
        replayer.advance(found.diverged_at)
        found.evidence = {"before": str(replayer.position), "recorded": None}
    except VerificationError:
        found.evidence = {}


def _missing(record: GameRecord, ply: int | None) -> int:
    """Count the forced bookkeeping plies after which the illegal move at `ply` is legal."""
    if ply is None:
        return 0
    replayer = Replayer(record.spec, record.start, record.moves)
    replayer.advance(ply)
    return _fill(replayer.position.copy(), record.moves[ply])


def _fill(position: Position, move: int) -> int:
    """Play forced bookkeeping until `move` is legal; return how many plies, 0 if it never is."""
    for count in range(MOST_BRIDGED + 1):
        if move in position.legal_packed():
            return count
        forced = forced_bookkeeping(position)
        if forced is None:
            break
        position.play(forced)
    return 0


def _check_filled(found: GameCheck, record: GameRecord) -> None:
    """Replay with bookkeeping plies inserted; compare the final position, which is all that fits."""
    position, found.inserted = _start(record), 0
    for ply, move in enumerate(record.moves):
        found.inserted += _fill(position, move)
        if move not in position.legal_packed():
            found.diverged_at = ply
            found.expected = {"illegal_move": f"packed move {move}"}
            found.got = {"illegal_move": "not legal"}
            return
        position.play(move)
    if position.fingerprint != record.result.final_hash:
        found.diverged_at = len(record.moves) - 1
        found.expected = {"final hash": record.result.final_hash}
        found.got = {"final hash": position.fingerprint}


def _start(record: GameRecord) -> Position:
    if record.start is None:
        return Position.of(record.spec)
    return Position.parse(record.start, spec=record.spec)
