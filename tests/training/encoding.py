"""Positions as the encoders write them one by one, their legal sets generated anew."""

from __future__ import annotations

import numpy as np

from ringrift.nets.encoder import GLOBALS, encode_one, grid
from ringrift.nets.encoders import ENCODERS
from ringrift.nets.planes1 import encode_planes1_one
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables
from ringrift.rules.position import WORKSPACE


def encoded(positions: list[Position], encoder: str = "planes1"):
    """Return planes (float32[n, H, W, C]) and numbers (float32[n, 64]), seen by the movers."""
    spec = positions[0].spec
    boards = board_tables(spec)
    shape = (*grid(spec.board), len(ENCODERS[encoder].planes))
    planes = np.zeros((len(positions), *shape), np.float32)
    numbers = np.zeros((len(positions), GLOBALS), np.float32)
    moves = np.zeros(spec.max_moves, np.int64)
    for i, p in enumerate(positions):
        here = (p.current_player, planes[i], numbers[i])
        if encoder == "planes1-basic":
            encode_one(p._states, 0, boards, *here)
        else:
            work = (WORKSPACE.scratch, here[0], moves)
            encode_planes1_one(p._states, 0, boards, *work, *here[1:])
    return planes, numbers
