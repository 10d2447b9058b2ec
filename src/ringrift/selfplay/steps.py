# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Compiled steps of many games: openings, moves, and the plies that leave no choice.

`states`: STATE[g], `played`: int64[g, max_plies] with `plies`: int32[g] entries in use. A fault is
0 or says why a game cannot go on.
"""

from __future__ import annotations

from ringrift.agents.streams import OPENING, below, stream
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply, reset

FINE, ILLEGAL, STUCK = range(3)
FAULTS = ("", "illegal move", "a position without a legal move that is not over")


@rule
def put(s, b, w, move, row, plies, i):
    """Play and record a move that is known to be legal."""
    row[plies[i]] = move
    plies[i] += 1
    apply(s, b, w, move)


@rule
def settle(s, b, w, buffer, row, plies, i):
    """Play on while there is one legal move; return a fault."""
    while plies[i] < len(row) and s.misc[PHASE] != OVER:
        n = legal(s, b, w, buffer)
        if n == 0:
            return STUCK
        if n > 1:
            return FINE
        put(s, b, w, buffer[0], row, plies, i)
    return FINE


@rule
def put_checked(s, b, w, move, buffer, row, plies, i):
    """Play a move after looking it up in the legal set; return a fault."""
    n = legal(s, b, w, buffer)
    for j in range(n):
        if buffer[j] == move:
            put(s, b, w, move, row, plies, i)
            return FINE
    return ILLEGAL


@rule
def open_game(states, i, boards, scratch, buffer, played, plies, opening, choices, seed, randoms):
    """Start game `i`: the `opening` (int64[k]), then `choices` random ones; return a fault.

    `randoms`: int32[choices] receives the plies of the random choices, -1 where the game ended
    before.
    """
    s = states[i]
    b = boards[0]
    w = scratch[0]
    row = played[i]
    reset(s, b)
    plies[i] = 0
    for k in range(choices):
        randoms[k] = -1
    for k in range(len(opening)):
        if plies[i] >= len(row) or s.misc[PHASE] == OVER:
            return ILLEGAL
        fault = put_checked(s, b, w, opening[k], buffer, row, plies, i)
        if fault != FINE:
            return fault
    fault = settle(s, b, w, buffer, row, plies, i)
    for k in range(choices):
        if fault != FINE or plies[i] >= len(row) or s.misc[PHASE] == OVER:
            return fault
        n = legal(s, b, w, buffer)
        x, y = stream(seed, plies[i], s.misc[CUR], OPENING)
        randoms[k] = plies[i]
        put(s, b, w, buffer[below(x, y, 0, n)], row, plies, i)
        fault = settle(s, b, w, buffer, row, plies, i)
    return fault


@rule
def advance(states, slots, moves, boards, scratch, buffer, played, plies, faults):
    """Play `moves[k]` in game `slots[k]` and then all plies without a choice; fill `faults`."""
    b = boards[0]
    w = scratch[0]
    for k in range(len(slots)):
        i = slots[k]
        fault = put_checked(states[i], b, w, moves[k], buffer, played[i], plies, i)
        if fault == FINE:
            fault = settle(states[i], b, w, buffer, played[i], plies, i)
        faults[k] = fault
