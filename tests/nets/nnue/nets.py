"""Nets and positions for the tests of NNUE."""

from __future__ import annotations

from functools import cache

import numpy as np

from ringrift.nets.nnue import network, reference
from ringrift.nets.nnue.network import Shape
from ringrift.nets.nnue.rows import MOST_ROWS, rows_batch
from ringrift.rules import BOARDS, BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


@cache
def made(board, players, hidden=64, policy=True, seed=1, layers=2):
    """Return (spec, shape, integers, net) of random weights."""
    spec = BoardSpec.create(board, players)
    shape = Shape(board=board, players=players, hidden=hidden, layers=layers, policy=policy)
    integers = network.quantise(network.random_weights(shape, seed=seed), shape)
    return spec, shape, integers, network.lay_out(integers, shape)


def parsed(board="square8", players=2, **fields):
    """Make a position from canonical fields, the rest as at the start."""
    n = players
    start = {
        "ph": "movement", "cur": "1", "only": "-", "pend": "-", "act": "0", "rec": "0",
        "st": "active", "win": "0", "hand": ",".join(["5"] * n), "elim": ",".join(["0"] * n),
        "terr": ",".join(["0"] * n), "S": "", "M": "", "C": "",
    }  # fmt: skip
    text = ";".join(f"{k}={v}" for k, v in {**start, **fields}.items())
    return Position.parse(text, spec=BoardSpec.create(board, players))


def reference_x(integers, position):
    """Return what the first layer of each seat gets, by the reference."""
    spec = position.spec
    seats = range(1, spec.players + 1)
    inputs = [reference.active_inputs(position._states[0], spec, q) for q in seats]
    return reference.layer_inputs(reference.accumulators(integers, inputs))


def rows_of(position):
    """Return the rows of every legal move as lists."""
    moves = position.legal_packed()
    out, counts = np.zeros((len(moves), MOST_ROWS), np.int32), np.zeros(len(moves), np.int32)
    offsets = np.array([0, len(moves)], np.int32)
    scratch = lay.zeros(1, lay.SCRATCH)
    tables = board_tables(position.spec)
    rows_batch(position._states, tables, scratch, moves, offsets, out, counts)
    return [row[:n].tolist() for row, n in zip(out, counts, strict=True)]
