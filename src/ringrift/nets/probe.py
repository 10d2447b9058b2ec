"""Eight fixed positions per specification, on which every model records what it computes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.rules import Position
from ringrift.rules.geometry import board_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.rules.spec import BoardSpec

PLIES = (0, 3, 8, 16, 28, 44, 64, 90)
MOVES = 8
"""Logits recorded per position: those of its first legal moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePositions:
    """Positions as `NetEvaluator.evaluate` takes them, and the hash of their texts and moves."""

    states: NDArray[Any]
    boards: NDArray[Any]
    moves: NDArray[np.int64]
    offsets: NDArray[np.int32]
    hash: str

    def outputs(
        self, logits: NDArray[np.float32], values: NDArray[np.float32]
    ) -> list[list[float]]:
        """Return, per position, its values and the logits of its first moves, six digits each."""
        rows = []
        for i, (first, stop) in enumerate(pairwise(self.offsets.tolist())):
            some = logits[first : min(first + MOVES, stop)]
            rows.append([*values[i].tolist(), *some.tolist()])
        return [[float(f"{v:.6g}") for v in row] for row in rows]


@lru_cache(maxsize=64)
def probe_positions(spec: BoardSpec) -> ProbePositions:
    """Play one game, choosing moves by a fixed arithmetic; take the positions at `PLIES`.

    A game that ends early gives its last unfinished position instead.
    """
    position = Position.of(spec)
    kept: list[Position] = [position.copy()]
    state = 0x5EED
    for ply in range(1, PLIES[-1] + 1):
        legal = position.legal_packed()
        state = (state * 48271) % 0x7FFFFFFF
        following = position.after(int(legal[state % len(legal)]))
        if following.is_over:
            break
        position = following
        if ply in PLIES:
            kept.append(position.copy())
    kept += [position.copy() for _ in range(len(PLIES) - len(kept))]
    moves = [p.legal_packed() for p in kept]
    offsets = np.zeros(len(kept) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in moves])
    digest = hashlib.sha256()
    for p, legal in zip(kept, moves, strict=True):
        digest.update(f"{p} {legal[:MOVES].tolist()}\n".encode())
    return ProbePositions(
        states=np.concatenate([p._states for p in kept]),  # noqa: SLF001 (the compiled form)
        boards=board_tables(spec),
        moves=np.concatenate(moves).astype(np.int64),
        offsets=offsets,
        hash=digest.hexdigest(),
    )
