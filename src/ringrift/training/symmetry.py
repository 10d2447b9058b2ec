"""Symmetries of the boards: cell maps, and packed moves carried along (training.md 1).

A symmetry maps the position and its whole legal set exactly: 8 on square boards, 12 on hexagonal,
4 on hex8, whose border rule takes two extra steps along one diagonal (rules.md 10.4). Recovery
slides read axes in a fixed order; where a legal set holds one, only the identity is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.nets.encoder import cell_places
from ringrift.rules.geometry import HEX_AXES, SQUARE_AXES, geometry
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matrix = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetries:
    """Maps of one board, the identity first.

    `cells`: `int16[S, cells]`, the image of each cell. `axes`: `int8[S, axes]`, the image of each
    line axis; `reversed`: `bool[S, axes]`, whether it then runs the other way. `grid`:
    `int64[S, H * W]`, for each place of the transformed grid the place it takes its content from.
    """

    matrices: tuple[Matrix, ...]
    cells: NDArray[np.int16]
    axes: NDArray[np.int8]
    reversed: NDArray[np.bool_]
    grid: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.matrices)


def _image(m: Matrix, step: tuple[int, int]) -> tuple[int, int]:
    return m[0] * step[0] + m[1] * step[1], m[2] * step[0] + m[3] * step[1]


def _matrices(board: str) -> tuple[Matrix, ...]:
    g = geometry(board)
    kept = [set(g.directions)]
    if g.hex:
        if board == "hex8":
            kept.append({(1, 1), (-1, -1)})  # the extra steps of rules.md 10.4
    else:
        kept.append({(1, 0), (0, 1), (-1, 0), (0, -1)})  # territory is orthogonal
    found = [
        (a, b, c, d)
        for a, b, c, d in product((-1, 0, 1), repeat=4)
        if all({_image((a, b, c, d), step) for step in steps} == steps for steps in kept)
    ]
    return tuple(sorted(found, key=lambda m: (m != (1, 0, 0, 1), m)))


@lru_cache(maxsize=None)
def symmetries(board: str) -> Symmetries:
    """Return the symmetries of a board."""
    g = geometry(board)
    matrices = _matrices(board)
    centre = 0 if g.hex else g.size - 1  # coordinates are doubled, so that square centres fit
    place = {(2 * c[0] - centre, 2 * c[1] - centre): i for i, c in enumerate(g.coordinates)}
    cells = np.array([[place[_image(m, step)] for step in place] for m in matrices], np.int16)
    axes = HEX_AXES if g.hex else SQUARE_AXES
    images = np.zeros((len(matrices), len(axes)), np.int8)
    turned = np.zeros((len(matrices), len(axes)), np.bool_)
    for k, m in enumerate(matrices):
        for i, axis in enumerate(axes):
            x, y = _image(m, axis)
            turned[k, i] = (x, y) not in axes
            images[k, i] = axes.index((-x, -y) if turned[k, i] else (x, y))
    places = cell_places(board)
    grid = np.tile(np.arange(g.size**2), (len(matrices), 1))
    for k in range(len(matrices)):
        grid[k, places[cells[k]]] = places
    return Symmetries(matrices=matrices, cells=cells, axes=images, reversed=turned, grid=grid)


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
    if kind == PLACE or kind == PAY or kind == FORCE:
        return pack(kind, cell_map[a_of(m)], 0, 0, x_of(m))
    if kind == MOVE:
        return pack(kind, cell_map[a_of(m)], cell_map[b_of(m)], 0, 0)
    if kind == CAPTURES or kind == CONTINUE:
        return pack(kind, cell_map[a_of(m)], cell_map[b_of(m)], cell_map[c_of(m)], 0)
    if kind == LINE or kind == OPTION:
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


def tables(board: str, *, augment: bool) -> tuple[Any, ...]:
    """Return cells, axes, reversed as compiled code takes them; the identity alone if asked."""
    s = symmetries(board)
    count = len(s) if augment else 1
    return s.cells[:count], s.axes[:count], s.reversed[:count]
