"""A position as a short row of bytes that holds all of it (data.md 4, `states`).

Little-endian; `p` players, `n` cells, room for every ring of the specification:

| bytes | content |
|---|---|
| 0 | format, 1 |
| 1, 2 | phase, seat to move |
| 3-4 | the one cell that may act + 1, 0 none |
| 5 | debts of line 1 and territory 2, acted 4, recovered 8, hands counted 16, counters updated 32 |
| 6 | winner + 16 x reason |
| 7, 8 | seat of the last move; bit per seat that has moved |
| 9-20 | ply, completed turns, round of the last-player-standing counters: 4 each |
| 21 | first seat of the round + 16 x exclusive seat |
| 22, 23, 24 | bits of the seats seen and of those that could act; seat of the streak |
| 25-26 | streak |
| 27 ... | 10 per seat: hand 2, eliminated 2, territory 2, turn it went out + 1 in 4 |
| ... | cells, two in a byte, the first in the low half: their codes (`layout`) |
| ... | rings, 3 bits each: seat - 1, and 4 for the top of its stack; cell by cell, bottom to top |

Equal positions have equal bytes: which ring is which node of the pool is left out.
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    ACTED,
    COLLAPSED1,
    CUR,
    EMPTY,
    HANDS_COUNTED,
    LINE_DEBT,
    LPS_EXCLUSIVE,
    LPS_FIRST,
    LPS_REAL,
    LPS_ROUND,
    LPS_SEEN,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    LPS_UPDATED,
    MAX_CELLS,
    MAX_RINGS,
    MOVED,
    OFF,
    ONLY,
    OVER,
    PHASE,
    PLAYERS,
    PLY,
    PREV,
    REASON,
    RECOVERED,
    RINGS,
    RINGS_USED,
    STACK,
    STACK1,
    TERRITORY_DEBT,
    TURN,
    WALL,
    WINNER,
    N,
)

FORMAT = 1
SEATS_AT = 27
SEAT_BYTES = 10
REASONS = 5

FINE, BAD_FORMAT, BAD_TURN, BAD_CELLS, BAD_RINGS = 0, 1, 2, 3, 4
FAULTS = ("", "format", "turn", "cells", "rings")
"""What `read_packed` found wrong, by its answer."""


@rule
def packed_size(b):
    """Return the number of bytes of a packed position."""
    players = int(b.par[PLAYERS])
    rings = min(MAX_RINGS, players * int(b.par[RINGS]))
    return SEATS_AT + SEAT_BYTES * players + (int(b.par[N]) + 1) // 2 + (3 * rings + 7) // 8


@rule
def put_number(out, at, value, width):
    """Write a whole number in `width` bytes; return where the next one goes."""
    for i in range(width):
        out[at + i] = (int(value) >> (8 * i)) & 255
    return at + width


@rule
def get_number(data, at, width):
    """Read a whole number of `width` bytes."""
    value = 0
    for i in range(width):
        value |= int(data[at + i]) << (8 * i)
    return value


@rule
def write_turn(s, b, out):
    """Write all but the board; return where the cells begin."""
    m = s.misc
    out[0] = FORMAT
    out[1] = int(m[PHASE])
    out[2] = int(m[CUR])
    put_number(out, 3, m[ONLY] + 1, 2)
    flags = int(m[LINE_DEBT]) | (int(m[TERRITORY_DEBT]) << 1) | (int(m[ACTED]) << 2)
    flags |= (int(m[RECOVERED]) << 3) | (int(m[HANDS_COUNTED]) << 4) | (int(m[LPS_UPDATED]) << 5)
    out[5] = flags
    out[6] = int(m[WINNER]) | (int(m[REASON]) << 4)
    out[7] = int(m[PREV])
    out[8] = int(m[MOVED])
    at = put_number(out, 9, m[PLY], 4)
    at = put_number(out, at, m[TURN], 4)
    put_number(out, at, m[LPS_ROUND], 4)
    out[21] = int(m[LPS_FIRST]) | (int(m[LPS_EXCLUSIVE]) << 4)
    out[22] = int(m[LPS_SEEN])
    out[23] = int(m[LPS_REAL])
    out[24] = int(m[LPS_STREAK_SEAT])
    at = put_number(out, 25, m[LPS_STREAK], 2)
    for q in range(1, int(b.par[PLAYERS]) + 1):
        at = put_number(out, at, s.hand[q], 2)
        at = put_number(out, at, s.elim[q], 2)
        at = put_number(out, at, s.terr[q], 2)
        at = put_number(out, at, s.out_turn[q], 4)
    return at


@rule
def write_packed(s, b, out):
    """Write the position to `out` (uint8[packed_size]); false if its rings do not fit."""
    at = write_turn(s, b, out)
    size = packed_size(b)
    for i in range(at, size):
        out[i] = 0
    n = int(b.par[N])
    rings_at = at + (n + 1) // 2
    room = (8 * (size - rings_at)) // 3
    used = 0
    for c in range(n):
        code = int(s.cell[c])
        out[at + (c >> 1)] = int(out[at + (c >> 1)]) | (code << (4 * (c & 1)))
        if STACK1 <= code and code < COLLAPSED1:
            height = int(s.height[c])
            if used + height > room:
                return False
            ring = int(s.top[c])
            for i in range(height):
                bit = 3 * (used + height - 1 - i)
                value = (int(s.owner[ring]) - 1) | (4 if i == 0 else 0)
                wide = value << (bit & 7)
                first = rings_at + (bit >> 3)
                out[first] = int(out[first]) | (wide & 255)
                if wide > 255:
                    out[first + 1] = int(out[first + 1]) | (wide >> 8)
                ring = int(s.below[ring])
            used += height
    return True


@rule
def read_turn(data, s, b):
    """Read all but the board; false if a seat, phase or cell is out of range."""
    m = s.misc
    players = int(b.par[PLAYERS])
    for i in range(len(m)):
        m[i] = 0
    m[PHASE] = int(data[1])
    m[CUR] = int(data[2])
    m[ONLY] = get_number(data, 3, 2) - 1
    flags = int(data[5])
    m[LINE_DEBT] = flags & 1
    m[TERRITORY_DEBT] = (flags >> 1) & 1
    m[ACTED] = (flags >> 2) & 1
    m[RECOVERED] = (flags >> 3) & 1
    m[HANDS_COUNTED] = (flags >> 4) & 1
    m[LPS_UPDATED] = (flags >> 5) & 1
    m[WINNER] = int(data[6]) & 15
    m[REASON] = int(data[6]) >> 4
    m[PREV] = int(data[7])
    m[MOVED] = int(data[8])
    m[PLY] = get_number(data, 9, 4)
    m[TURN] = get_number(data, 13, 4)
    m[LPS_ROUND] = get_number(data, 17, 4)
    m[LPS_FIRST] = int(data[21]) & 15
    m[LPS_EXCLUSIVE] = int(data[21]) >> 4
    m[LPS_SEEN] = int(data[22])
    m[LPS_REAL] = int(data[23])
    m[LPS_STREAK_SEAT] = int(data[24])
    m[LPS_STREAK] = get_number(data, 25, 2)
    at = SEATS_AT
    for q in range(5):
        present = 1 <= q and q <= players
        s.hand[q] = get_number(data, at, 2) if present else 0
        s.elim[q] = get_number(data, at + 2, 2) if present else 0
        s.terr[q] = get_number(data, at + 4, 2) if present else 0
        s.out_turn[q] = get_number(data, at + 6, 4) if present else 0
        s.rings[q] = 0
        if present:
            if s.hand[q] > MAX_RINGS:
                return False
            at += SEAT_BYTES
    seats = 2 << players
    least = 0 if m[PHASE] == OVER else 1
    return (
        m[PHASE] <= OVER
        and flags < 64
        and least <= m[CUR]
        and m[CUR] <= players
        and m[ONLY] < b.par[N]
        and m[WINNER] <= players
        and m[REASON] < REASONS
        and m[PREV] <= players
        and m[MOVED] < seats
        and m[LPS_FIRST] <= players
        and m[LPS_EXCLUSIVE] <= players
        and m[LPS_SEEN] < seats
        and m[LPS_REAL] < seats
        and m[LPS_STREAK_SEAT] <= players
    )


@rule
def read_packed(data, s, b):
    """Read `data` (uint8[packed_size]) into `s`; return FINE, or the fault found first."""
    if data[0] != FORMAT:
        return BAD_FORMAT
    if not read_turn(data, s, b):
        return BAD_TURN
    players = int(b.par[PLAYERS])
    n = int(b.par[N])
    at = SEATS_AT + SEAT_BYTES * players
    rings_at = at + (n + 1) // 2
    room = (8 * (packed_size(b) - rings_at)) // 3
    for code in range(len(s.count)):
        s.count[code] = 0
    for c in range(MAX_CELLS):
        s.height[c] = 0
        s.cap[c] = 0
        s.top[c] = -1
        s.bottom[c] = -1
        s.cell[c] = EMPTY if c < n else WALL
    s.cell[OFF] = WALL
    used = 0
    for c in range(n):
        code = (int(data[at + (c >> 1)]) >> (4 * (c & 1))) & 15
        if code >= WALL or (code != EMPTY and (code - 1) % 4 >= players):
            return BAD_CELLS
        s.cell[c] = code
        s.count[code] += 1
        if STACK1 <= code and code < COLLAPSED1:
            below = -1
            cap = 0
            last = 0
            top = 0
            while top == 0:
                if used == room or used == MAX_RINGS:
                    return BAD_RINGS
                bit = 3 * used
                wide = int(data[rings_at + (bit >> 3)]) >> (bit & 7)
                if (bit & 7) > 5:
                    wide |= int(data[rings_at + (bit >> 3) + 1]) << (8 - (bit & 7))
                seat = (wide & 3) + 1
                top = wide & 4
                if seat > players:
                    return BAD_RINGS
                s.owner[used] = seat
                s.below[used] = below
                if below < 0:
                    s.bottom[c] = used
                below = used
                cap = cap + 1 if seat == last else 1
                last = seat
                s.rings[seat] += 1
                s.height[c] += 1
                used += 1
            if last != code - STACK:
                return BAD_RINGS
            s.top[c] = below
            s.cap[c] = cap
    s.misc[RINGS_USED] = used
    if s.misc[ONLY] >= 0 and s.height[s.misc[ONLY]] == 0:
        return BAD_TURN
    return FINE


@rule
def pack_one(states, i, boards, out):
    """Write position `i` to `out`; see `write_packed`."""
    return write_packed(states[i], boards[0], out)


@rule
def unpack_one(data, states, i, boards):
    """Read `data` into position `i`; see `read_packed`."""
    return read_packed(data, states[i], boards[0])


@rule
def unpack_batch(data, states, boards):
    """Read rows of `data` (uint8[n, packed_size]) into positions; return the first bad row or -1."""
    for i in range(len(data)):
        if read_packed(data[i], states[i], boards[0]) != FINE:
            return i
    return -1


@rule
def size_of(boards):
    """Return the number of bytes of a packed position of these boards."""
    return packed_size(boards[0])
