"""Walk through the moves of a verified game in compiled code: hashes, movers, choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.records.record import GameRecord
from ringrift.rules import BoardSpec, Position
from ringrift.rules.engine import hash64
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR
from ringrift.rules.legal import legal
from ringrift.rules.position import WORKSPACE, board_view
from ringrift.rules.turn import apply

_ALL_BITS = (1 << 64) - 1


@rule
def hashes_before(states, boards, scratch, moves, out):
    """Fill `out` (int64[n]) with the hash of position 0 before each move; play all of them."""
    for ply in range(len(moves)):
        out[ply] = hash64(states, 0, boards)
        apply(states[0], boards[0], scratch[0], moves[ply])


@rule
def choices_before(states, boards, scratch, moves, buffer, movers, counts):
    """Fill `movers` (int8[n]) and `counts` (int32[n]) with seat and legal moves before each move."""
    s = states[0]
    for ply in range(len(moves)):
        movers[ply] = s.misc[CUR]
        counts[ply] = legal(s, boards[0], scratch[0], buffer)
        apply(s, boards[0], scratch[0], moves[ply])


def state_hashes(record: GameRecord) -> NDArray[np.uint64]:
    """Return the hash of the position before each ply, `uint64[plies]`.

    Positions of different specifications have different hashes.
    """
    out = np.zeros(len(record.moves), np.int64)
    states, boards, scratch, moves = _arguments(record)
    hashes_before(states, boards, scratch, moves, out)
    return named_hashes(out, record.spec)


def named_hashes(hashes: NDArray[np.int64], spec: BoardSpec) -> NDArray[np.uint64]:
    """Return hashes of positions as those of a specification, `uint64[n]`."""
    return hashes.view(np.uint64) ^ np.uint64(int(spec.hash[:16], 16) & _ALL_BITS)


def choices(record: GameRecord) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Return the seat that moved at each ply and how many legal moves it had."""
    movers = np.zeros(len(record.moves), np.int8)
    counts = np.zeros(len(record.moves), np.int32)
    states, boards, scratch, moves = _arguments(record)
    buffer = WORKSPACE.buffer(record.spec.max_moves)
    choices_before(states, boards, scratch, moves, buffer, movers, counts)
    return movers, counts


def _arguments(record: GameRecord) -> tuple[Any, Any, Any, NDArray[np.int64]]:
    spec = record.spec
    start = Position.of(spec) if record.start is None else Position.parse(record.start, spec=spec)
    moves = np.array(record.moves, np.int64)
    return start._view, board_view(spec), WORKSPACE.scratch, moves  # noqa: SLF001 - see interfaces
