"""Where in a game a position stands, who moves in it, how the game ended (`training.md` 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ringrift.data.walk import choices, state_hashes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.records.record import Analysis, GameRecord

OPENING, MIDDLEGAME = 10, 40
"""The first 10 and the first 40 decisions of a game; the rest is endgame."""
STAGES = ("opening", "middlegame", "endgame")


def stages(record: GameRecord, analysis: Analysis) -> NDArray[np.int64]:
    """Return the index into `STAGES` of each searched ply: by the decisions made up to it.

    A decision is a ply with two or more legal moves.
    """
    _, counts = choices(record)
    decisions = np.cumsum(counts >= 2)
    reached = decisions[[ply.ply for ply in analysis.plies]]
    return np.searchsorted([OPENING, MIDDLEGAME], reached, side="left").astype(np.int64)


def movers(record: GameRecord, analysis: Analysis) -> NDArray[np.int64]:
    """Return the seat that moves at each searched ply."""
    seats, _ = choices(record)
    return seats[[ply.ply for ply in analysis.plies]].astype(np.int64)


def searched_states(record: GameRecord, analysis: Analysis) -> NDArray[np.uint64]:
    """Return the hash of the position of each searched ply."""
    return state_hashes(record)[[ply.ply for ply in analysis.plies]]
