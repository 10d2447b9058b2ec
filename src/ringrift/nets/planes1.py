# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The encoder `planes1`: `planes1-basic` and what the mover may do (training.md 1).

`planes` is `float32[H, W, 43]` on the grid of `nets.encoder`; the global numbers are the same.

| planes | content | planes | content |
|---|---|---|---|
| 0-30 | as `planes1-basic` | 38 | a stack that can be captured now |
| 31-34 | longest run of r's markers through the cell / L, at most 2 | 39 | cell of a region to process |
| 35 | where the mover may place | 40 | stack a payment may be taken from |
| 36, 37 | where a move, capture or slide begins, lands | 41 | cell of a line to process |
| | | 42 | cell is on the board |
"""

from __future__ import annotations

from ringrift.nets.encoder import ENCODER, MASK_PLANE, Encoder, encode
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import AXES, CUR, LINE_LENGTH, MARKER, PLAYERS, STACK1, N
from ringrift.rules.legal import legal
from ringrift.rules.lines import opposite, run_from
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FORCE,
    LINE,
    MOVE,
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
from ringrift.rules.territory import read_region

PLANES = 43
RUNS_AT, PLACE_AT, FROM_AT, TO_AT, TARGET_AT, REGION_AT, PAY_AT, LINE_AT, MASK_AT = (
    31, 35, 36, 37, 38, 39, 40, 41, 42,
)  # fmt: skip
BASIC = MASK_PLANE
"""Planes taken over from `planes1-basic`: all but its mask, which comes last."""
_NO_STACK = 2  # option of a slide that names a window, not a stack

PLANES1 = Encoder(
    id="planes1",
    version=1,
    planes=(
        *ENCODER.planes[:BASIC],
        *(f"run/L {r}" for r in range(4)),
        *("place", "from", "to", "target", "region", "payment", "line"),
        ENCODER.planes[MASK_PLANE],
    ),
    globals=ENCODER.globals,
)


@rule
def mark(b, planes, c, plane):
    """Set a plane at cell `c`."""
    planes[b.bit[c], b.row[c], plane] = 1.0


@rule
def encode_runs(s, b, seat, planes):
    """Write, at each marker, the longest line of its colour that it is part of."""
    players = int(b.par[PLAYERS])
    need = float(b.par[LINE_LENGTH])
    for c in range(b.par[N]):
        code = int(s.cell[c])
        if code <= MARKER or code >= STACK1:
            continue
        plane = RUNS_AT + (code - MARKER - seat + players) % players
        for i in range(b.par[AXES]):
            d = int(b.axis[i])
            if s.cell[b.nbr[c, opposite(b, d)]] == code:
                continue
            k = run_from(s, b, c, d, code)
            value = min(2.0, k / need)
            at = c
            for _ in range(k):
                y = b.bit[at]
                x = b.row[at]
                planes[y, x, plane] = max(planes[y, x, plane], value)
                at = int(b.nbr[at, d])


@rule
def encode_moves(s, b, w, moves, n, planes):
    """Write what the `n` legal moves in `moves` touch."""
    region = False
    for i in range(n):
        m = int(moves[i])
        kind = kind_of(m)
        a = a_of(m)
        if kind == PLACE:
            mark(b, planes, a, PLACE_AT)
        elif kind == MOVE:
            mark(b, planes, a, FROM_AT)
            mark(b, planes, b_of(m), TO_AT)
        elif kind in (CAPTURES, CONTINUE):
            mark(b, planes, a, FROM_AT)
            mark(b, planes, b_of(m), TARGET_AT)
            mark(b, planes, c_of(m), TO_AT)
        elif kind == RECOVER:
            mark(b, planes, a, FROM_AT)
            mark(b, planes, b_of(m), TO_AT)
            if (x_of(m) >> 2) & 3 != _NO_STACK:
                mark(b, planes, c_of(m), PAY_AT)
        elif kind in (PAY, FORCE):
            mark(b, planes, a, PAY_AT)
        elif kind in (LINE, OPTION):
            d = int(b.axis[x_of(m)])
            last = b_of(m)
            at = a
            mark(b, planes, at, LINE_AT)
            while at != last:
                at = int(b.nbr[at, d])
                mark(b, planes, at, LINE_AT)
        elif kind == REGION:
            region = True
    if region:
        encode_regions(s, b, w, moves, n, planes)


@rule
def encode_regions(s, b, w, moves, n, planes):
    """Write the cells of the regions that can be processed."""
    for i in range(n):
        m = int(moves[i])
        if kind_of(m) == REGION:
            read_region(s, b, w, a_of(m), x_of(m))
            for c in range(b.par[N]):
                if (int(w.comp[b.row[c]]) >> int(b.bit[c])) & 1 != 0:
                    mark(b, planes, c, REGION_AT)


@rule
def encode_known(s, b, w, seat, moves, n, planes, numbers):
    """Write the position seen from `seat` to `planes` (float32[H, W, 43]) and `numbers`.

    `moves[:n]` is its legal set; the scratch `w` is work space.
    """
    encode(s, b, seat, planes, numbers)
    for c in range(b.par[N]):
        y = b.bit[c]
        x = b.row[c]
        planes[y, x, MASK_PLANE] = 0.0
        planes[y, x, MASK_AT] = 1.0
    encode_runs(s, b, seat, planes)
    encode_moves(s, b, w, moves, n, planes)


@rule
def encode_planes1(s, b, w, seat, moves, planes, numbers):
    """Generate the legal set into `moves` (int64[max_moves]) and encode; see `encode_known`."""
    n = legal(s, b, w, moves)
    encode_known(s, b, w, seat, moves, n, planes, numbers)


@rule
def encode_planes1_one(states, i, boards, scratch, seat, moves, planes, numbers):
    """Encode position `i` from `seat`; see `encode_planes1`."""
    encode_planes1(states[i], boards[0], scratch[0], seat, moves, planes, numbers)


@rule
def encode_known_batch(
    states, first, count, boards, scratch, buffer, moves, offsets, planes, numbers
):
    """Encode positions `first` to `first + count`, none finished, from their movers' seats.

    The legal moves of position i are `moves[offsets[i]:offsets[i + 1]]`; where that is empty they
    are generated into `buffer` (int64[max_moves]). `planes`: float32[n, H, W, 43], `numbers`:
    float32[n, GLOBALS].
    """
    b = boards[0]
    w = scratch[0]
    for i in range(count):
        s = states[first + i]
        start = offsets[first + i]
        n = offsets[first + i + 1] - start
        mover = int(s.misc[CUR])
        if n == 0:
            encode_planes1(s, b, w, mover, buffer, planes[i], numbers[i])
        else:
            known = moves[start : start + n]
            encode_known(s, b, w, mover, known, n, planes[i], numbers[i])
