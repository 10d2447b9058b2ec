# ruff: noqa: PLR1714, SIM109 - Numba compiles two comparisons, not a tuple membership
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The rows of the policy head: which rows of its table a move adds up (training.md 4).

The logit of a move is the product of the layer `h` with the sum of its rows: where it comes from
and goes to, by kind and cell, and details of what it does, which cells cannot say.

| rows | number | moves |
|---|---|---|
| origin of kind, cell | 9 cells | by kind: place (none), move, capture: from; line, window: first |
| | | cell; region: first in scan order; payment: stack; slide: from; |
| | | extraction: stack |
| target of kind, cell | 9 cells | place: on; move, capture: landing; line, window: last cell; |
| | | region: last in scan order; slide: to; payment, extraction: none |
| scalar | 9 | `SP NP SW SC NM SR NL ST NT` |
| place | 8 | count 1-3; on nothing, on a stack of r |
| direction x distance | D (size - 1) | move, capture: to the landing |
| journey | 21 | move, capture: own height 1-4, 5+; owner of a marker landed on (4); |
| | | markers flipped 0-2, 3+; collapsed 0-2, 3+; capture: owner (4) |
| captured cap | 4 | capture: 1-3, 4+ |
| region | 8 | cells 1-2, 3-5, 6-11, 12+; own rings inside 0, 1, 2, 3+ |

r = seat relative to the mover. A recovery slide adds the rows of slide and those of its extraction
stack or of its window.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache

from ringrift.rules.codec import layout_hash as codec_hash
from ringrift.rules.geometry import geometry
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    CUR,
    DIRS,
    EMPTY,
    LINE_LENGTH,
    MARKER,
    PLAYERS,
    SIZE,
    STACK,
    STACK1,
    N,
)
from ringrift.rules.lines import along
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FORCE,
    LINE,
    MOVE,
    NONE,
    OPTION,
    PAY,
    PLACE,
    RECOVER,
    REGION,
    a_of,
    b_of,
    c_of,
    kind_of,
    x_of,
)
from ringrift.rules.policy import SCALARS, direction_of_step, scalar_of
from ringrift.rules.territory import read_region

VERSION = 1
ROW_KINDS = (
    "place", "move", "capture", "line", "window", "region", "payment", "slide", "extraction",
)  # fmt: skip
(
    PLACE_ROW, MOVE_ROW, CAPTURE_ROW, LINE_ROW, WINDOW_ROW, REGION_ROW, PAYMENT_ROW, SLIDE_ROW,
    EXTRACTION_ROW,
) = range(9)  # fmt: skip

MOST_ROWS = 10
"""Rows of one move, at most: those of a capture that lands on a marker are 9."""

_PLACE_DETAILS = ("count 1", "count 2", "count 3", "on none", *(f"on {r}" for r in range(4)))
_JOURNEY = (
    *(f"height {size}" for size in ("1", "2", "3", "4", "5+")),
    *(f"lands on marker {r}" for r in range(4)),
    *(f"flips {count}" for count in ("0", "1", "2", "3+")),
    *(f"collapses {count}" for count in ("0", "1", "2", "3+")),
    *(f"captures from {r}" for r in range(4)),
    *(f"captured cap {size}" for size in ("1", "2", "3", "4+")),
)
_REGION_DETAILS = (
    *(f"region of {cells}" for cells in ("1-2", "3-5", "6-11", "12+")),
    *(f"own rings {count}" for count in ("0", "1", "2", "3+")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one board: their names in order, and the hash of what they mean."""

    board: str
    names: tuple[str, ...]
    hash: str


@cache
def policy_rows(board: str) -> Rows:
    """Return the rows of a board; two, three and four players share them."""
    g = geometry(board)
    rays = range(1, g.size)
    names = (
        *(f"origin {kind} {key}" for kind in ROW_KINDS for key in g.keys),
        *(f"target {kind} {key}" for kind in ROW_KINDS for key in g.keys),
        *(f"scalar {name}" for name in SCALARS),
        *(f"place {name}" for name in _PLACE_DETAILS),
        *(f"ray {d} {steps}" for d in range(len(g.directions)) for steps in rays),
        *_JOURNEY,
        *_REGION_DETAILS,
    )
    table = {
        "format": "ringrift.nnue-rows",
        "version": VERSION,
        "board": board,
        "directions": g.directions,
        "names": names,
        "codec": codec_hash,
    }
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return Rows(board=board, names=names, hash=hashlib.sha256(text.encode()).hexdigest())


@rule
def origin(b, kind, c):
    """Return the row of origin cell `c`."""
    return kind * int(b.par[N]) + int(c)


@rule
def target(b, kind, c):
    """Return the row of target cell `c`."""
    return (9 + kind) * int(b.par[N]) + int(c)


@rule
def add_place(s, b, details, seat, players, c, count, out):
    """List the rows of a placement of `count` rings on `c`."""
    out[0] = target(b, PLACE_ROW, c)
    out[1] = details + count - 1
    code = int(s.cell[c])
    out[2] = details + 3
    if code >= STACK1:
        out[2] = details + 4 + (code - STACK - seat + players) % players
    return 3


@rule
def add_journey(s, b, details, seat, players, kind, c, taken, to, out):
    """List the rows of a move or capture from `c` to `to`; `taken` is the captured stack, or -1."""
    dx = int(b.row[to]) - int(b.row[c])
    dy = int(b.bit[to]) - int(b.bit[c])
    d = direction_of_step(b, dx, dy)
    ray = int(b.par[SIZE]) - 1
    out[0] = origin(b, kind, c)
    out[1] = target(b, kind, to)
    out[2] = details + d * ray + max(abs(dx), abs(dy)) - 1
    journey = details + int(b.par[DIRS]) * ray
    out[3] = journey + min(int(s.height[c]), 5) - 1
    flipped = 0
    collapsed = 0
    t = b.nbr[c, d]
    while t != to:
        code = int(s.cell[t])
        if code == MARKER + seat:
            collapsed += 1
        elif code != EMPTY and code < STACK1:
            flipped += 1
        t = b.nbr[t, d]
    out[4] = journey + 9 + min(flipped, 3)
    out[5] = journey + 13 + min(collapsed, 3)
    n = 6
    on = int(s.cell[to])
    if on != EMPTY:
        out[n] = journey + 5 + (on - MARKER - seat + players) % players
        n += 1
    if taken >= 0:
        owner = int(s.cell[taken]) - STACK
        out[n] = journey + 17 + (owner - seat + players) % players
        out[n + 1] = journey + 21 + min(int(s.cap[taken]), 4) - 1
        n += 2
    return n


@rule
def add_region(s, b, w, details, seat, m, out):
    """List the rows of the collapse of a region."""
    read_region(s, b, w, a_of(m), x_of(m))
    cells = 0
    rings = 0
    last = a_of(m)
    for c in range(b.par[N]):
        if (int(w.comp[b.row[c]]) >> int(b.bit[c])) & 1 != 0:
            cells += 1
            last = c
            ring = int(s.top[c])
            while ring >= 0:
                if s.owner[ring] == seat:
                    rings += 1
                ring = int(s.below[ring])
    size = 3
    if cells < 3:
        size = 0
    elif cells < 6:
        size = 1
    elif cells < 12:
        size = 2
    out[0] = origin(b, REGION_ROW, a_of(m))
    out[1] = target(b, REGION_ROW, last)
    out[2] = details + size
    out[3] = details + 4 + min(rings, 3)
    return 4


@rule
def add_window(b, first, d, out, n):
    """Append the rows of the window of needed length from `first` in direction `d`."""
    out[n] = origin(b, WINDOW_ROW, first)
    out[n + 1] = target(b, WINDOW_ROW, along(b, first, d, b.par[LINE_LENGTH] - 1))
    return n + 2


@rule
def move_rows(s, b, w, m, out):
    """List the rows of the legal packed move `m` in `out` (int32[MOST_ROWS]); return their number."""
    seat = int(s.misc[CUR])
    players = int(b.par[PLAYERS])
    scalars = 18 * int(b.par[N])
    place = scalars + 9
    rays = place + 8
    kind = kind_of(m)
    a = a_of(m)
    if kind == PLACE:
        return add_place(s, b, place, seat, players, a, x_of(m), out)
    if kind == MOVE:
        return add_journey(s, b, rays, seat, players, MOVE_ROW, a, -1, b_of(m), out)
    if kind == CAPTURES or kind == CONTINUE:
        return add_journey(s, b, rays, seat, players, CAPTURE_ROW, a, b_of(m), c_of(m), out)
    if kind == PAY or kind == FORCE:
        out[0] = origin(b, PAYMENT_ROW, a)
        return 1
    if kind == LINE or kind == OPTION:
        if kind == OPTION and c_of(m) != NONE:
            return add_window(b, c_of(m), b.axis[x_of(m)], out, 0)
        out[0] = origin(b, LINE_ROW, a)
        out[1] = target(b, LINE_ROW, b_of(m))
        return 2
    if kind == REGION:
        regions = rays + int(b.par[DIRS]) * (int(b.par[SIZE]) - 1) + len(_JOURNEY)
        return add_region(s, b, w, regions, seat, m, out)
    if kind == RECOVER:
        out[0] = origin(b, SLIDE_ROW, a)
        out[1] = target(b, SLIDE_ROW, b_of(m))
        if (x_of(m) >> 2) & 3 == 2:
            return add_window(b, c_of(m), b.recovery_axis[x_of(m) >> 4], out, 2)
        out[2] = origin(b, EXTRACTION_ROW, c_of(m))
        return 3
    out[0] = scalars + scalar_of(kind)
    return 1


@rule
def rows_batch(states, boards, scratch, moves, offsets, out, counts):
    """List the rows of all `moves`: `out`: int32[t, MOST_ROWS], `counts`: int32[t].

    The moves of position i are `moves[offsets[i]:offsets[i + 1]]`.
    """
    for i in range(len(states)):
        for j in range(offsets[i], offsets[i + 1]):
            counts[j] = move_rows(states[i], boards[0], scratch[0], moves[j], out[j])
