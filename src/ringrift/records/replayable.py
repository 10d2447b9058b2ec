"""Whatever file holds a game that can be replayed: records, recorded games, scenarios, anomalies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ringrift.core.errors import DataError, RingriftError, UsageError
from ringrift.records.analysis import Analysis
from ringrift.records.jsonl import read_jsonl
from ringrift.records.parity.compare import compare
from ringrift.records.parity.games import RecordedGame, recorded
from ringrift.records.parity.scenario import read_scenario
from ringrift.records.record import GameRecord, VerificationError
from ringrift.records.replayer import Replayer
from ringrift.records.traces import SUFFIXES, read_traces
from ringrift.records.verify import verify
from ringrift.rules import BoardSpec, Position

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a game does not replay as told: the first ply (-1: the start) and what is wrong."""

    ply: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayable:
    """A game of some file: packed `moves` as far as they are legal, and the first fault."""

    kind: str
    id: str
    spec: BoardSpec
    start: str | None
    moves: tuple[int, ...]
    plies: int
    fault: Fault | None
    analysis: Analysis | None = None

    def position(self, ply: int) -> Position:
        """Return the position before a ply; raises `VerificationError` for a breached invariant."""
        replayer = Replayer(self.spec, self.start, self.moves[:ply])
        replayer.finish()
        return replayer.position

    def texts(self) -> list[str]:
        """Return the compact texts of the legal moves."""
        return Replayer(self.spec, self.start, self.moves).texts()


def read_replayable(path: Path, game: str | None = None) -> Replayable:
    """Read one game of a file: number `game` from 1, or its id; the first without it.

    Files of several games are JSON lines: our records with their analyses, or the reference's.
    Raises `DataError` for a file that holds neither, `UsageError` for a game that is not there.
    """
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    if _first_type(path) == "game":
        record, analysis = _chosen(read_jsonl(path), game, path, lambda pair: pair[0].id)
        return _of_record(record, analysis)
    if path.name.endswith(SUFFIXES):
        trace = _chosen(read_traces(path), game, path, lambda found: found.id)
        return _of_recorded("recorded game", recorded(trace))
    if game is not None:
        raise UsageError("the file holds one game", where="--game")
    return _of_recorded("scenario", read_scenario(path))


def _first_type(path: Path) -> str | None:
    """Return the `type` of the first line's object, None if it is none of ours."""
    if path.suffix == ".gz":
        return None
    with path.open("rb") as file:
        line = file.readline(1 << 24)
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return tree.get("type") if isinstance(tree, dict) else None


def _chosen(games: Iterator[T], wanted: str | None, path: Path, name: Callable[[T], str]) -> T:
    number = 1 if wanted is None else int(wanted) if wanted.isdigit() and len(wanted) < 6 else None
    if number is not None:
        found = next(islice(games, max(number, 1) - 1, None), None)
    else:
        found = next((game for game in games if name(game).startswith(wanted or "")), None)
    if found is None:
        raise UsageError(f"no game {wanted or 'at all'} in {path}", where="--game")
    return found


def _of_record(record: GameRecord, analysis: Analysis | None) -> Replayable:
    fault = None
    try:
        verify(record, analysis)
    except VerificationError as error:
        ply = -1 if error.ply is None else error.ply
        fault = Fault(ply=ply, reason=error.reason, detail=error.detail)
    legal = record.moves
    if fault is not None and fault.reason in ("illegal_move", "non_canonical", "invariant"):
        legal = record.moves[: fault.ply]
    return Replayable(
        kind="record",
        id=record.id,
        spec=record.spec,
        start=record.start,
        moves=legal,
        plies=len(record.moves),
        fault=fault,
        analysis=analysis,
    )


def _of_recorded(kind: str, game: RecordedGame) -> Replayable:
    check = compare(game)
    fault = None
    if check.diverged_at is not None:
        said = "; ".join(
            f"{what}: expected {check.expected[what]!r:.200}, got {check.got[what]!r:.200}"
            for what in check.mismatch_kinds
        )
        fault = Fault(ply=check.diverged_at, reason=check.mismatch_kinds[0], detail=said)
    moves = _packed(game)
    if fault is None:
        try:
            Replayer(game.spec, game.start, moves).finish()
        except VerificationError as error:
            fault = Fault(ply=error.ply or 0, reason=error.reason, detail=error.detail)
            moves = moves[: error.ply]
    return Replayable(
        kind=kind,
        id=game.id,
        spec=game.spec,
        start=game.start,
        moves=moves,
        plies=len(game.plies),
        fault=fault,
    )


def _packed(game: RecordedGame) -> tuple[int, ...]:
    """Pack the moves up to the first that is not legal."""
    position, moves = game.position(), []
    for ply in game.plies:
        try:
            move = position.pack(ply.move)
            position.play(move)
        except RingriftError:
            break
        moves.append(move)
    return tuple(moves)
