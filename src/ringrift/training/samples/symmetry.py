"""Symmetries of the boards as maps of cells, axes and grids (training.md 1).

A symmetry maps the position and its whole legal set exactly: 8 on square boards, 12 on hexagonal,
4 on hex8, whose border rule takes two extra steps along one diagonal (rules.md 10.4). Recovery
slides read axes in a fixed order; where a legal set holds one, only the identity is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ringrift.nets.encoder import cell_places
from ringrift.rules.geometry import HEX_AXES, SQUARE_AXES, geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matrix = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetries:
    """Maps of one board, the identity first.

    `cells`: `int16[S, cells]`, the image of each cell. `axes`: `int8[S, axes]`, the image of each
    line axis; `reversed`: `bool[S, axes]`, whether it then runs the other way. `directions`:
    `int64[S, D]`, the image of each direction of movement. `grid`: `int64[S, H * W]`, for each place
    of the transformed grid the place it takes its content from.
    """

    matrices: tuple[Matrix, ...]
    cells: NDArray[np.int16]
    axes: NDArray[np.int8]
    reversed: NDArray[np.bool_]
    directions: NDArray[np.int64]
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


@cache
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
    steps = g.directions
    directions = np.array([[steps.index(_image(m, step)) for step in steps] for m in matrices])
    places = cell_places(board)
    grid = np.tile(np.arange(g.size**2), (len(matrices), 1))
    for k in range(len(matrices)):
        grid[k, places[cells[k]]] = places
    return Symmetries(
        matrices=matrices,
        cells=cells,
        axes=images,
        reversed=turned,
        directions=directions,
        grid=grid,
    )


def draw(masks: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw for each sample one of the symmetries that its mask allows, bit k for symmetry k."""
    bits = np.arange(16)
    allowed = (masks[:, None] >> bits) & 1
    nth = (rng.random(len(masks)) * allowed.sum(1)).astype(np.int64)
    return np.asarray((np.cumsum(allowed, 1) > nth[:, None]).argmax(1), np.int64)
