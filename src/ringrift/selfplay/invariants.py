# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Invariants of the rules, looked at after every ply (rules.md 22, selfplay.md 5).

A `WATCH` record holds what a position was worth after the last ply. Everything is counted anew from
cells and stacks, so that a wrong tally shows too.
"""

from __future__ import annotations

import numpy as np

from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import COLLAPSED1, EMPTY, PLAYERS, STACK1, N

FINE, ILLEGAL, NO_MOVES, S_FELL, ELIMINATED_FELL, RINGS_LOST, HASH_CHANGED = range(7)
FAULTS = (
    "",
    "illegal move",
    "INV-ACTIVE-NO-MOVES",
    "INV-S-MONOTONIC",
    "INV-ELIMINATION-MONOTONIC",
    "INV-RING-CONSERVATION",
    "INV-HASH",
)
"""Why a game cannot go on: its reason once aborted. All but the first two are breaches."""

WATCH = np.dtype(
    [
        ("on", np.bool_),
        ("sum", np.int64),  # markers, collapsed cells and credited rings
        ("elim", np.int64, (5,)),
        ("rings", np.int64),  # in hands and stacks, and credited
        ("low", np.int64),
        ("high", np.int64),
    ],
    align=True,
)


@rule
def occupied(s, b):
    """Count markers and collapsed cells."""
    n = 0
    for c in range(b.par[N]):
        code = s.cell[c]
        if code != EMPTY and (code < STACK1 or code >= COLLAPSED1):
            n += 1
    return n


@rule
def rings_in_all(s, b):
    """Count the rings in hands and stacks, and those credited."""
    n = 0
    for q in range(1, b.par[PLAYERS] + 1):
        n += s.hand[q] + s.elim[q]
    for c in range(b.par[N]):
        code = s.cell[c]
        if code >= STACK1 and code < COLLAPSED1:
            r = s.top[c]
            while r >= 0:
                n += 1
                r = s.below[r]
    return n


@rule
def remember(s, b, w):
    """Note the position in a watch `w`."""
    w.sum = occupied(s, b)
    for q in range(5):
        w.elim[q] = s.elim[q]
        w.sum += s.elim[q]
    w.rings = rings_in_all(s, b)
    w.low = hash_low(s, b)
    w.high = hash_high(s, b)


@rule
def untouched(s, b, w):
    """Test whether the position is the one that was remembered."""
    return not w.on or (w.low == hash_low(s, b) and w.high == hash_high(s, b))


@rule
def look(s, b, w):
    """Compare the position after a ply with the one remembered, remember it; return a fault."""
    total = occupied(s, b)
    for q in range(5):
        if s.elim[q] < w.elim[q]:
            return ELIMINATED_FELL
        total += s.elim[q]
    if total < w.sum:
        return S_FELL
    if rings_in_all(s, b) != w.rings:
        return RINGS_LOST
    remember(s, b, w)
    return FINE
