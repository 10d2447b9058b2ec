# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The features `nnue1`: a position seen from a seat, as the numbers of its active inputs.

A cell has 53 features and a position 198 more; feature `k` of cell `c` is input `53 c + k`, number
`g` of the position is input `53 cells + g`. `r` = relative seat: 0 the seat that looks, 1-3 the
following ones; of absent seats nothing is active.

| k | cell | g | position |
|---|---|---|---|
| 5 r + 0-4 | stack of r, height 1-4, 5+ | 44 r + 0-7 | hand: 0, then sevenths of R |
| 20 + 4 r + 0-3 | stack of r, cap 1-3, 4+ | 44 r + 8-23 | credited rings, sixteenths of T |
| 36 + 2 r + 0-1 | non-top rings of r: 1, 2+ | 44 r + 24-39 | territory, sixteenths of TM |
| 44 + r | marker of r | 44 r + 40-43 | last player standing: streak 0-3 |
| 48 + r | collapsed, owned by r | 176-182 | phase |
| 52 | the one stack that may act | 183-186 | mover as relative seat |
| | | 187-189 | 2, 3, 4 players |
| | | 190-197 | acted, recovered, debt of line, territory, |
| | | | recovery, swap legal, D = 4, L = 4 |

Compiled code first writes a position down as seat 1 sees it: a mask of 53 bits per cell, and the
numbers of the position in 27 slots, -1 where a slot has none. `turn_table` gives the same features
from any other seat.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.rules.geometry import geometry
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    ACTED,
    COLLAPSED1,
    CUR,
    EMPTY,
    LINE_BASE,
    LINE_DEBT,
    LINE_LENGTH,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    ONLY,
    OVER,
    PHASE,
    PHASE_NAMES,
    PLAYERS,
    RECOVERED,
    RING_GOAL,
    RINGS,
    STACK1,
    TERRITORY_DEBT,
    TERRITORY_GOAL,
    N,
)
from ringrift.rules.legal import swap_offered

ID = "nnue1"
VERSION = 1
CELL_FEATURES = 53
POSITION_FEATURES = 198
SLOTS = 27
"""Numbers of a position that are active at once, at most: 4 for each seat, 3, and 8 flags."""

CAP_AT, BURIED_AT, MARKER_AT, COLLAPSED_AT, ACTING = 20, 36, 44, 48, 52
SEAT_NUMBERS, PHASE_AT, MOVER_AT, PLAYERS_AT, FLAGS_AT = 44, 176, 183, 187, 190

_SHIFT = 8  # a change is base << 8 | k: k counts a cell's features, then the position's
_K = (1 << _SHIFT) - 1

# powers of two differ modulo 59, of which 2 is a primitive root
_LOGARITHM = np.zeros(59, np.int8)
_LOGARITHM[[(1 << i) % 59 for i in range(58)]] = range(58)


def _names() -> tuple[str, ...]:
    sizes = ("1", "2", "3", "4", "5+")
    cell = (
        *(f"height {size} {r}" for r in range(4) for size in sizes),
        *(f"cap {size} {r}" for r in range(4) for size in ("1", "2", "3", "4+")),
        *(f"buried {count} {r}" for r in range(4) for count in ("1", "2+")),
        *(f"marker {r}" for r in range(4)),
        *(f"collapsed {r}" for r in range(4)),
        "acting",
    )
    seat = (
        *(f"hand {i}/7" for i in range(8)),
        *(f"elim {i}/16" for i in range(16)),
        *(f"territory {i}/16" for i in range(16)),
        *(f"streak {i}" for i in range(4)),
    )
    position = (
        *(f"{name} {r}" for r in range(4) for name in seat),
        *(f"phase {name}" for name in PHASE_NAMES[:OVER]),
        *(f"mover {r}" for r in range(4)),
        *(f"{players} players" for players in (2, 3, 4)),
        *("acted", "recovered", "line debt", "territory debt", "recovery debt", "swap legal"),
        *("D = 4", "L = 4"),
    )
    return cell + position


NAMES = _names()
"""Names of the 53 features of a cell, then of the 198 of a position."""

HASH = hashlib.sha256(json.dumps([ID, VERSION, NAMES]).encode()).hexdigest()
"""64 hex digits over id, version and the names of all features."""

IDENTITY = {"id": ID, "hash": HASH}
"""Id and hash as they stand in a card."""


def input_count(board: str) -> int:
    """Return the number of inputs on a board: square8 3,590, hexagonal 25,055."""
    return CELL_FEATURES * len(geometry(board).keys) + POSITION_FEATURES


def most_active(board: str) -> int:
    """Return how many inputs can be active at once: seven on each cell, and one that may act."""
    return 7 * len(geometry(board).keys) + 1 + SLOTS


def turn_table(players: int) -> NDArray[np.int16]:
    """Return what each feature is from each seat, `int16[players, 251]`; row 0 changes nothing.

    Columns are the 53 features of a cell and the 198 of a position as seat 1 sees them.
    """
    table = np.tile(np.arange(len(NAMES), dtype=np.int16), (players, 1))
    place = {name: k for k, name in enumerate(NAMES)}
    for k, name in enumerate(NAMES):
        head, _, tail = name.rpartition(" ")
        if tail in ("0", "1", "2", "3") and int(tail) < players:
            for turn in range(players):
                table[turn, k] = place[f"{head} {(int(tail) - turn) % players}"]
    return table


@rule
def cell_mask(s, c):
    """Return the features of cell `c` as seat 1 sees them, bit `k` for feature `k`."""
    code = int(s.cell[c])
    if code == EMPTY:
        return 0
    if code < STACK1:
        return 1 << (MARKER_AT + code - 1)
    if code >= COLLAPSED1:
        return 1 << (COLLAPSED_AT + code - COLLAPSED1)
    seat = code - STACK1
    mask = 1 << (5 * seat + min(int(s.height[c]), 5) - 1)
    mask |= 1 << (CAP_AT + 4 * seat + min(int(s.cap[c]), 4) - 1)
    ring = int(s.below[s.top[c]])
    while ring >= 0:
        one = 1 << (BURIED_AT + 2 * (int(s.owner[ring]) - 1))
        if mask & one != 0:
            mask ^= 3 * one
        elif mask & (2 * one) == 0:
            mask |= one
        ring = int(s.below[ring])
    if c == s.misc[ONLY]:
        mask |= 1 << ACTING
    return mask


@rule
def fill_slots(s, b, slots):
    """Write the numbers of the position as seat 1 sees them to `slots`: int16[SLOTS], -1 for none."""
    m = s.misc
    players = int(b.par[PLAYERS])
    rings = int(b.par[RINGS])
    for i in range(SLOTS):
        slots[i] = -1
    for q in range(1, players + 1):
        i = 4 * (q - 1)
        first = SEAT_NUMBERS * (q - 1)
        slots[i] = first + min(7, (7 * int(s.hand[q]) + rings - 1) // rings)
        slots[i + 1] = first + 8 + min(15, 16 * int(s.elim[q]) // int(b.par[RING_GOAL]))
        slots[i + 2] = first + 24 + min(15, 16 * int(s.terr[q]) // int(b.par[TERRITORY_GOAL]))
        streak = min(3, int(m[LPS_STREAK])) if m[LPS_STREAK_SEAT] == q else 0
        slots[i + 3] = first + 40 + streak
    if m[PHASE] < OVER:
        slots[16] = PHASE_AT + m[PHASE]
    slots[17] = MOVER_AT + m[CUR] - 1
    slots[18] = PLAYERS_AT + players - 2
    if m[ACTED] != 0:
        slots[19] = FLAGS_AT
    if m[RECOVERED] != 0:
        slots[20] = FLAGS_AT + 1
    if m[LINE_DEBT] != 0:
        slots[21] = FLAGS_AT + 2
    if m[TERRITORY_DEBT] != 0:
        if m[RECOVERED] != 0:
            slots[23] = FLAGS_AT + 4
        else:
            slots[22] = FLAGS_AT + 3
    if swap_offered(s, b):
        slots[24] = FLAGS_AT + 5
    if b.par[LINE_BASE] > 3:
        slots[25] = FLAGS_AT + 6
    if b.par[LINE_LENGTH] > 3:
        slots[26] = FLAGS_AT + 7


@rule
def bit_index(one):
    """Return the index of the only set bit of `one`, below 2**53."""
    return int(_LOGARITHM[one % 59])


@rule
def spread(mask, base, out, n):
    """Append the set bits of a cell's mask to `out` as `base << 8 | k`; return the new count."""
    while mask != 0:
        one = mask & -mask
        out[n] = (base << _SHIFT) | bit_index(one)
        n += 1
        mask ^= one
    return n


@rule
def seen_from(change, turn, seat):
    """Return the input that `change`, `base << 8 | k`, is for a seat; `turn` is `turn_table`."""
    return (int(change) >> _SHIFT) + int(turn[seat - 1, int(change) & _K])


@rule
def position_base(b):
    """Return the base of the numbers of a position: their `k` begins behind that of a cell."""
    return CELL_FEATURES * (int(b.par[N]) - 1)


@rule
def add_slots(s, b, slots, out, n):
    """Fill `slots` and append them to `out` as `base << 8 | k`; return the new count."""
    fill_slots(s, b, slots)
    base = position_base(b)
    for i in range(SLOTS):
        if slots[i] >= 0:
            out[n] = (base << _SHIFT) | (CELL_FEATURES + int(slots[i]))
            n += 1
    return n


@rule
def list_features(s, b, turn, seat, slots, out):
    """Fill `out` (int32[most_active]) with the active inputs of a position; return their number.

    Cells come in scan order, then the position; `seat` is the seat that looks; `slots`:
    int16[SLOTS] is work space.
    """
    cells = int(b.par[N])
    n = 0
    for c in range(cells):
        n = spread(cell_mask(s, c), CELL_FEATURES * c, out, n)
    n = add_slots(s, b, slots, out, n)
    for i in range(n):
        out[i] = seen_from(out[i], turn, seat)
    return n


@rule
def list_batch(states, n, boards, turn, seats, out, counts):
    """List the active inputs of `n` positions: `out`: int32[n, most_active], `counts`: int32[n].

    `seats`: int8[n], the seat that looks at each.
    """
    slots = np.empty(SLOTS, np.int16)
    for i in range(n):
        counts[i] = list_features(states[i], boards[0], turn, seats[i], slots, out[i])


def active(
    states: NDArray[Any], boards: NDArray[Any], board: str, seats: NDArray[np.int8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the active inputs of positions, each seen from its seat, as `int32[n, most]`, `int32[n]`.

    Of row i the first `counts[i]` entries count.
    """
    out = np.zeros((len(states), most_active(board)), np.int32)
    counts = np.zeros(len(states), np.int32)
    turn = turn_table(int(boards[0]["par"][PLAYERS]))
    list_batch(states, len(states), boards, turn, seats, out, counts)
    return out, counts
