r"""Boards as tables: cells, coordinates, neighbours, axes, grid rows (rules.md 1.3-1.5).

Cells are numbered in scan order: x ascending outside, y ascending inside. square8, for instance:

    y\x  0   1   2 ...            row = x, bit = y on square boards;
    0    0   8  16                row = x + radius, bit = y + radius on hex boards,
    1    1   9  17                so a row of a hex board holds the cells of one x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ringrift.rules import layout as lay
from ringrift.rules.spec import BoardSpec

SQUARE_SIZE = {"square8": 8, "square19": 19}
HEX_RADIUS = {"hex8": 4, "hexagonal": 12}

SQUARE_DIRECTIONS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
HEX_DIRECTIONS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))  # (x, y); z = -x-y
SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))
SQUARE_RECOVERY_AXES = ((1, 0), (0, 1), (1, 1), (1, -1))
HEX_AXES = ((1, 0), (1, -1), (0, -1))

Coordinates = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Coordinates of one board: `coordinates[c]`, `keys[c]` and `index[key]`, cells in scan order."""

    board: str
    hex: bool
    size: int
    radius: int
    coordinates: tuple[Coordinates, ...]
    keys: tuple[str, ...]
    index: dict[str, int]

    @property
    def directions(self) -> tuple[tuple[int, int], ...]:
        """Movement directions in the order of rules.md 1.5."""
        return HEX_DIRECTIONS if self.hex else SQUARE_DIRECTIONS


@cache
def geometry(board: str) -> Geometry:
    """Build the coordinate tables of a board."""
    coordinates: list[Coordinates]
    if board in SQUARE_SIZE:
        size, radius = SQUARE_SIZE[board], 0
        coordinates = [(x, y) for x in range(size) for y in range(size)]
    else:
        radius = HEX_RADIUS[board]
        size = 2 * radius + 1
        span = range(-radius, radius + 1)
        coordinates = [(x, y, -x - y) for x in span for y in span if abs(x + y) <= radius]
    keys = tuple(",".join(map(str, c)) for c in coordinates)
    return Geometry(
        board=board,
        hex=board in HEX_RADIUS,
        size=size,
        radius=radius,
        coordinates=tuple(coordinates),
        keys=keys,
        index={key: i for i, key in enumerate(keys)},
    )


@lru_cache(maxsize=64)
def board_tables(spec: BoardSpec) -> np.ndarray[Any, np.dtype[Any]]:
    """Build the one-element `BOARD` record of a specification; treat it as read-only."""
    g = geometry(spec.board)
    boards = lay.zeros(1, lay.BOARD)
    b = boards[0]
    par = b["par"]
    par[lay.N] = spec.cells
    par[lay.SIZE] = g.size
    par[lay.HEX] = g.hex
    par[lay.DIRS] = len(g.directions)
    par[lay.PLAYERS] = spec.players
    par[lay.LINE_BASE] = spec.base_line_length
    par[lay.LINE_LENGTH] = spec.line_length
    par[lay.RINGS] = spec.rings_per_player
    par[lay.RING_GOAL] = spec.ring_threshold
    par[lay.TERRITORY_GOAL] = spec.territory_minimum
    par[lay.LPS_ROUNDS] = spec.lps_rounds
    par[lay.SWAP_RULE] = spec.swap_rule
    par[lay.BORDER_FLOOD] = spec.board != "hexagonal"
    par[lay.LEAST_WALL] = 3 if g.hex else 2

    axes = HEX_AXES if g.hex else SQUARE_AXES
    recovery = HEX_AXES if g.hex else SQUARE_RECOVERY_AXES
    par[lay.AXES] = len(axes)
    b["axis"][: len(axes)] = [g.directions.index(a) for a in axes]
    b["recovery_axis"][: len(axes)] = [g.directions.index(a) for a in recovery]

    b["nbr"][:] = lay.OFF
    b["at"][:] = lay.OFF
    place = {c[:2]: i for i, c in enumerate(g.coordinates)}
    for (x, y), i in place.items():
        row, bit = x + g.radius, y + g.radius
        b["row"][i], b["bit"][i] = row, bit
        b["at"][row, bit] = i
        b["full"][row] |= 1 << bit
        for d, (dx, dy) in enumerate(g.directions):
            b["nbr"][i, d] = place.get((x + dx, y + dy), lay.OFF)
    return boards
