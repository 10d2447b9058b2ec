# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Legal moves of many positions as two flat arrays, in buffers kept per thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule
from ringrift.rules.legal import legal


@rule
def list_legal(states, n, boards, scratch, moves, offsets):
    """Fill `moves` and `offsets`: int32[n + 1] with the legal sets of `n` positions.

    `moves` must have room for `n` times `BoardSpec.max_moves`.
    """
    b = boards[0]
    w = scratch[0]
    offsets[0] = 0
    for i in range(n):
        at = int(offsets[i])
        offsets[i + 1] = at + legal(states[i], b, w, moves[at:])


class _Buffers(threading.local):
    """Scratch space of one thread."""

    def __init__(self) -> None:
        self.scratch = lay.zeros(1, lay.SCRATCH)


_BUFFERS = _Buffers()


def scratch() -> NDArray[Any]:
    """Return this thread's `SCRATCH[1]`."""
    return _BUFFERS.scratch


def move_buffer(spec: BoardSpec, positions: int) -> NDArray[np.int64]:
    """Allocate room for the legal moves of `positions` positions, however many they have.

    The room is address space: pages that no legal set reaches are never touched.
    """
    return np.empty(positions * spec.max_moves, np.int64)


def legal_lists(
    spec: BoardSpec, states: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return `moves`: int64[t] and `offsets`: int32[n + 1] of the legal sets of `states`.

    Raises `UsageError` for a position that leaves nothing to decide.
    """
    n = len(states)
    moves = move_buffer(spec, n)
    offsets = np.zeros(n + 1, np.int32)
    list_legal(states, n, board_tables(spec), scratch(), moves, offsets)
    if (stuck := np.flatnonzero(np.diff(offsets) == 0)).size:
        phase = lay.PHASE_NAMES[states[stuck[0]]["misc"][lay.PHASE]]
        raise UsageError(f"batch: position {stuck[0]} has no legal move ({phase})")
    return moves[: offsets[n]].copy(), offsets


def refuse_swap(spec: BoardSpec, states: NDArray[Any]) -> None:
    """Raise `UsageError` where the pie rule is on: no agent answers its offer yet."""
    if spec.swap_rule and len(states):
        raise UsageError("agents cannot play with the pie rule yet", hint="swap_rule off")
