"""Where in a game a position stands (training.md 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OPENING, MIDDLEGAME = 10, 40
"""The first 10 and the first 40 decisions of a game; the rest is endgame."""
STAGES = ("opening", "middlegame", "endgame")


def stages(decisions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return indices into `STAGES`, from how many decisions the game has had with each position.

    A decision is a ply with two or more legal moves.
    """
    return np.searchsorted([OPENING, MIDDLEGAME], decisions, side="left").astype(np.int64)
