"""The engine's own 64-bit hash of a position.

Equal positions hash equal. It covers all that move generation and the result read: cells, every
ring, hands, credits, the turn (phase, mover, must-move cell, debts, acted, recovered), who has
moved while the pie rule matters, eliminations, and the last-player-standing counters. The round
number is left out: no rule reads it.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    ACTED,
    COLLAPSED1,
    CUR,
    EMPTY,
    LINE_DEBT,
    LPS_EXCLUSIVE,
    LPS_FIRST,
    LPS_REAL,
    LPS_SEEN,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    MOVED,
    ONLY,
    PHASE,
    PLAYERS,
    PREV,
    RECOVERED,
    STACK1,
    SWAP_RULE,
    TERRITORY_DEBT,
    WINNER,
    N,
)

LANE = 0xFFFFFFFF
LOW_FACTOR = 0x2C1B3C6D  # odd, below 2**31, so that a product with 32 bits fits a signed 64
HIGH_FACTOR = 0x297A2D39


@rule
def mix(h, v, factor):
    """Stir the value `v` into the 32-bit lane `h`."""
    h = ((h ^ (int(v) & LANE)) * factor) & LANE
    return h ^ (h >> 15)


@rule
def lane(s, b, h, factor):
    """Hash the position into one 32-bit lane started at `h`."""
    m = s.misc
    h = mix(h, m[PHASE] | (m[CUR] << 4) | (m[WINNER] << 8) | (m[PREV] << 12), factor)
    h = mix(h, m[ONLY] + 1, factor)
    h = mix(
        h,
        m[LINE_DEBT] | (m[TERRITORY_DEBT] << 1) | (m[ACTED] << 2) | (m[RECOVERED] << 3),
        factor,
    )
    if b.par[SWAP_RULE] != 0:
        h = mix(h, m[MOVED], factor)
    h = mix(h, m[LPS_FIRST] | (m[LPS_SEEN] << 4) | (m[LPS_REAL] << 12), factor)
    h = mix(h, m[LPS_EXCLUSIVE] | (m[LPS_STREAK_SEAT] << 4) | (m[LPS_STREAK] << 8), factor)
    for q in range(1, b.par[PLAYERS] + 1):
        h = mix(h, int(s.hand[q]) | (int(s.elim[q]) << 12), factor)
        h = mix(h, int(s.terr[q]) | (int(s.out_turn[q]) << 12), factor)
    for c in range(b.par[N]):
        code = int(s.cell[c])
        if code == EMPTY:
            continue
        h = mix(h, (c << 8) | code, factor)
        if STACK1 <= code and code < COLLAPSED1:
            r = s.top[c]
            while r >= 0:
                h = mix(h, int(s.owner[r]), factor)
                r = s.below[r]
    h = mix(h, h >> 7, factor)
    return mix(h, h >> 3, factor)


@rule
def hash_low(s, b):
    """Return the low 32 bits of the hash."""
    return lane(s, b, 0x9E3779B9, LOW_FACTOR)


@rule
def hash_high(s, b):
    """Return the high 32 bits of the hash."""
    return lane(s, b, 0x7F4A7C15, HIGH_FACTOR)
