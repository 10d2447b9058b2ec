"""Entry points of compiled code for callers outside it: arrays in, numbers out.

Rules take records; from Python, arrays with an index are what the compiler accepts quickly. In
plain-Python mode `states`, `boards` and `scratch` are the lists that `layout.view` makes.
"""

from __future__ import annotations

from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import HEX, SIZE, N
from ringrift.rules.legal import legal
from ringrift.rules.moves import REGION, a_of, kind_of, x_of
from ringrift.rules.territory import read_border, read_region
from ringrift.rules.turn import apply, reset


@rule
def start(states, i, boards):
    """Set position `i` to the start of its game."""
    reset(states[i], boards[0])


@rule
def legal_moves(states, i, boards, scratch, out):
    """Fill `out` (int64[max_moves]) with the legal set of position `i`; return its size."""
    return legal(states[i], boards[0], scratch[0], out)


@rule
def play(states, i, boards, scratch, move):
    """Play the legal packed `move` in position `i`."""
    apply(states[i], boards[0], scratch[0], move)


@rule
def hash64(states, i, boards):
    """Return the hash of position `i` as a signed 64-bit integer."""
    low = hash_low(states[i], boards[0])
    high = hash_high(states[i], boards[0])
    return ((high ^ 0x80000000) - 0x80000000) * 4294967296 + low


@rule
def region_cells(states, i, boards, scratch, move, cells):
    """List the region of a `T` move in `cells` (int16[n]): returns its size (rules.md 10.1)."""
    b = boards[0]
    w = scratch[0]
    n = 0
    if kind_of(move) != REGION:
        return n
    read_region(states[i], b, w, a_of(move), x_of(move))
    for c in range(b.par[N]):
        if (int(w.comp[b.row[c]]) >> int(b.bit[c])) & 1 != 0:
            cells[n] = c
            n += 1
    return n


@rule
def border_cells(states, i, boards, scratch, move, cells):
    """List the border markers of a `T` move in `cells`, by bit, then row on square boards."""
    b = boards[0]
    w = scratch[0]
    n = 0
    if kind_of(move) != REGION:
        return n
    read_region(states[i], b, w, a_of(move), x_of(move))
    read_border(b, w)
    for outer in range(b.par[SIZE]):
        for inner in range(b.par[SIZE]):
            row = outer if b.par[HEX] != 0 else inner
            bit = inner if b.par[HEX] != 0 else outer
            if (int(w.border[row]) >> bit) & 1 != 0:
                cells[n] = b.at[row, bit]
                n += 1
    return n
