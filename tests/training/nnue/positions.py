"""Positions of random games, and what the integer reference says of them."""

from __future__ import annotations

import random

import numpy as np

from ringrift.nets.nnue import reference
from ringrift.nets.nnue.rows import MOST_ROWS, rows_batch
from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules.position import WORKSPACE, board_view

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


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


def rows_of(position: Position) -> list[list[int]]:
    """Return the policy rows of every legal move."""
    moves = position.legal_packed()
    out, counts = np.zeros((len(moves), MOST_ROWS), np.int32), np.zeros(len(moves), np.int32)
    offsets = np.array([0, len(moves)], np.int32)
    tables = board_view(position.spec)
    rows_batch(position._states, tables, WORKSPACE.scratch, moves, offsets, out, counts)
    return [row[:n].tolist() for row, n in zip(out, counts, strict=True)]


def reference_x(integers, position: Position):
    """Return what the first layer of each seat gets, by the reference."""
    seats = range(1, position.spec.players + 1)
    state, spec = position._states[0], position.spec
    inputs = [reference.active_inputs(state, spec, q) for q in seats]
    return reference.layer_inputs(reference.accumulators(integers, inputs))
