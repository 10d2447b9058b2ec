# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Images of packed moves under the symmetries of a board, in compiled code."""

from __future__ import annotations

from ringrift.rules.jitconf import rule
from ringrift.rules.layout import LINE_LENGTH, N
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
    REGION,
    a_of,
    b_of,
    c_of,
    kind_of,
    pack,
    x_of,
)
from ringrift.rules.territory import read_region


@rule
def first_image(s, b, w, m, cell_map):
    """Return the first cell, in scan order, of the image of the region of the `T` move `m`."""
    read_region(s, b, w, a_of(m), x_of(m))
    first = NONE
    for c in range(b.par[N]):
        if (int(w.comp[b.row[c]]) >> int(b.bit[c])) & 1 != 0:
            first = min(first, int(cell_map[c]))
    return first


@rule
def move_image(s, b, w, m, cell_map, axis_map, turned):
    """Return the image of the legal move `m` of position `s`, which is no recovery slide.

    `cell_map`, `axis_map`, `turned` are one row of `Symmetries.cells`, `.axes`, `.reversed`.
    """
    kind = kind_of(m)
    if kind in (PLACE, PAY, FORCE):
        return pack(kind, cell_map[a_of(m)], 0, 0, x_of(m))
    if kind == MOVE:
        return pack(kind, cell_map[a_of(m)], cell_map[b_of(m)], 0, 0)
    if kind in (CAPTURES, CONTINUE):
        return pack(kind, cell_map[a_of(m)], cell_map[b_of(m)], cell_map[c_of(m)], 0)
    if kind in (LINE, OPTION):
        axis = x_of(m)
        first = a_of(m)
        last = b_of(m)
        c = c_of(m)
        if turned[axis]:
            first = b_of(m)
            last = a_of(m)
            if kind == OPTION and c != NONE:
                c = along(b, c, b.axis[axis], b.par[LINE_LENGTH] - 1)
        if kind == OPTION and c != NONE:
            c = cell_map[c]
        return pack(kind, cell_map[first], cell_map[last], c, axis_map[axis])
    if kind == REGION:
        return pack(kind, first_image(s, b, w, m, cell_map), 0, 0, x_of(m))
    return int(m)


@rule
def move_images(states, i, boards, scratch, moves, cell_map, axis_map, turned, out):
    """Fill `out` (int64) with the images of legal `moves` of position `i`; see `move_image`."""
    for j in range(len(moves)):
        out[j] = move_image(
            states[i], boards[0], scratch[0], int(moves[j]), cell_map, axis_map, turned
        )
