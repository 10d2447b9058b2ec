"""Positions of random games, as the evaluator takes them."""

from __future__ import annotations

import random

import numpy as np

from ringrift.nets.encoder import GLOBALS, encode_batch, grid
from ringrift.nets.encoders import ENCODERS
from ringrift.nets.planes1 import encode_planes1_one
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.rules.position import WORKSPACE


def positions(spec: BoardSpec, count: int, *, seed: int = 0) -> list[Position]:
    """Return unfinished positions with a choice, from as many random games as it takes."""
    rng, found = random.Random(f"{spec.config} {seed}"), []
    while len(found) < 4 * count:
        position = Position.of(spec)
        while not position.is_over and position.ply < 500:
            legal = position.legal_packed()
            if len(legal) > 1:
                found.append(position.copy())
            position._play_legal(rng.choice(legal.tolist()))
    return rng.sample(found, count)


def batch(chosen: list[Position]):
    """Return states, moves, offsets."""
    legal = [p.legal_packed() for p in chosen]
    offsets = np.zeros(len(chosen) + 1, np.int32)
    offsets[1:] = np.cumsum([len(m) for m in legal])
    return np.concatenate([p._states for p in chosen]), np.concatenate(legal), offsets


def encoded(chosen: list[Position], encoder: str = "planes1", size=None):
    """Return planes (float32[n, H, W, C]) and numbers, legal sets generated anew."""
    spec = chosen[0].spec
    height, width = size or grid(spec.board)
    states, boards = np.concatenate([p._states for p in chosen]), board_tables(spec)
    planes = np.zeros((len(chosen), height, width, len(ENCODERS[encoder].planes)), np.float32)
    numbers = np.zeros((len(chosen), GLOBALS), np.float32)
    if encoder == "planes1-basic":
        encode_batch(states, boards, planes, numbers)
    else:
        moves = np.zeros(spec.max_moves, np.int64)
        for i, p in enumerate(chosen):
            encode_planes1_one(
                states, i, boards, WORKSPACE.scratch, p.current_player, moves, planes[i], numbers[i]
            )
    return planes, numbers
