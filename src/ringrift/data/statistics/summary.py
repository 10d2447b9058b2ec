"""The summary of one game: its row and a word for each ply (data.md 10)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringrift.core.errors import DataError
from ringrift.data.statistics import kernel
from ringrift.data.statistics.layout import (
    CLAIMED,
    COUNTED,
    COUNTERS,
    HASHED,
    PLACE,
    ROW,
    SEATS,
    WORD,
)
from ringrift.records import replay
from ringrift.records.record import GameRecord, VerificationError
from ringrift.rules import Position
from ringrift.rules.position import WORKSPACE, board_view

OPENINGS = (4, 8, 12)
"""Plies whose lines are told apart."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a game gives: `row` is one element of `ROW`, `words` one number of `WORD` per ply."""

    row: bytes
    words: bytes


def summarise(record: GameRecord) -> Summary:
    """Replay a game once and summarise it; raises `VerificationError` at the first illegal move."""
    moves = np.array(record.moves, np.int64)
    counters = np.zeros(COUNTERS, np.int64)
    words = np.zeros(len(moves), np.int64)
    spec = record.spec
    stopped = kernel.walk(
        _start(record)._view,  # noqa: SLF001 - the form that compiled code takes
        board_view(spec),
        WORKSPACE.scratch,
        moves,
        WORKSPACE.buffer(spec.max_moves),
        counters,
        words,
    )
    ply, fault = divmod(int(stopped), 8)
    if fault != replay.FINE:
        detail = "the game was over" if fault == replay.AFTER_END else f"move {moves[ply]}"
        raise VerificationError("illegal_move", detail, ply=ply)
    return Summary(_row(record, counters, moves), words.astype(WORD).tobytes())


def agrees(record: GameRecord, summary: Summary) -> bool:
    """Tell whether a record claims what the one claimed that was summarised under its id."""
    row = np.zeros(1, ROW)
    _claim(row, record)
    known = np.frombuffer(summary.row, ROW)
    names = [name for name, _ in CLAIMED] + ["final", "checks"]
    return all(bool(np.all(row[name] == known[name])) for name in names)


def _start(record: GameRecord) -> Position:
    if record.start is None:
        return Position.of(record.spec)
    try:
        return Position.parse(record.start, spec=record.spec)
    except DataError as error:
        raise VerificationError("malformed", str(error), where="field start") from None


def _row(record: GameRecord, counters: Array, moves: Array) -> bytes:
    row = np.zeros(1, ROW)
    for name, size in COUNTED:
        at = PLACE[name]
        row[name] = counters[at : at + size] if size > 1 else counters[at]
    _claim(row, record)
    for plies, name in zip(OPENINGS, HASHED, strict=False):
        row[name] = _hash(record.spec.config.encode() + moves[:plies].tobytes())
    row["play"] = _hash(f"{record.spec.hash}|{record.start}|".encode() + moves.tobytes())
    return row.tobytes()


def _claim(row: Array, record: GameRecord) -> None:
    """Fill the fields that repeat what a record says."""
    spec, result = record.spec, record.result
    for name in ("plies", "winner"):
        row[name] = getattr(result, name)
    for name in ("ranks", "elim", "terr", "hand"):
        seats = getattr(result, name)
        row[name] = np.array([*seats, *[0] * (SEATS - len(seats))])
    for name, _ in CLAIMED[CLAIMED.index(("rings_per_player", 1)) :]:
        row[name] = int(getattr(spec, name))
    row["players"] = spec.players
    row["final"] = int(result.final_hash, 16)
    row["checks"] = _hash(b"".join(value.to_bytes(8, "big") for value in record.check))


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
