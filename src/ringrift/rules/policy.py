"""The policy layout: where in a net's policy table each move finds its logit (training.md 2).

The table is `planes x cells`, entry `plane * cells + cell`, followed by one entry per scalar move.
A move's logit is the sum of one or two entries. There is one layout per board, shared by two, three
and four players, generated from the move kinds:

| planes | at cell | moves |
|---|---|---|
| place 1-3 | destination | `P` |
| ray direction x distance | origin, distance counted to the landing | `M`, `C`, `K` |
| pay line, territory, recovery, forced | stack | `E`, `F` |
| line axis | first cell of the line | `L`, `O` with all cells |
| window axis | first cell of the window | `O` with a window |
| region wall 0-3, none | first cell in scan order | `T`; the wall's seat relative to the mover |
| slide direction | marker | `R`, and one of the two that follow |
| extraction | extraction stack | `R` |
| recovery window, axis in recovery order | first cell of the window | `R` option 2 |

A simple move and a capture never share origin, direction and distance: one of them has a stack
between. Capture and continuation never meet in a position.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.rules import layout as lay
from ringrift.rules.codec import layout_hash as codec_hash
from ringrift.rules.geometry import geometry
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import AXES, CUR, DIRS, HEX, PLAYERS, SIZE, N
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FORCE,
    LINE,
    MOVE,
    NO_LINE,
    NO_MOVE,
    NO_PLACE,
    NO_REGION,
    NONE,
    OPTION,
    PAY,
    PLACE,
    RECOVER,
    REGION,
    SKIP_CAPTURE,
    SKIP_PLACE,
    SKIP_RECOVER,
    SKIP_REGION,
    SWAP,
    a_of,
    b_of,
    c_of,
    kind_of,
    x_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALARS = ("SP", "NP", "SW", "SC", "NM", "SR", "NL", "ST", "NT")
PLACES = 3
PAYMENTS = ("line", "territory", "recovery", "forced")
WALLS = 5  # relative seats 0-3, none


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLayout:
    """The policy table of one board: `size == len(planes) * cells + len(SCALARS)` entries."""

    board: str
    cells: int
    planes: tuple[str, ...]
    scalars: tuple[str, ...]
    hash: str

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.planes) * self.cells + len(self.scalars)


@cache
def policy_layout(board: str) -> PolicyLayout:
    """Return the policy layout of a board."""
    g = geometry(board)
    axes = 3 if g.hex else 4
    directions = range(len(g.directions))
    planes = (
        *(f"place {k}" for k in range(1, PLACES + 1)),
        *(f"ray {d} {steps}" for d in directions for steps in range(1, g.size)),
        *(f"pay {name}" for name in PAYMENTS),
        *(f"line {axis}" for axis in range(axes)),
        *(f"window {axis}" for axis in range(axes)),
        *(f"region wall {wall}" for wall in (0, 1, 2, 3, "none")),
        *(f"slide {d}" for d in directions),
        "extraction",
        *(f"recovery window {axis}" for axis in range(axes)),
    )
    table = {
        "format": "ringrift.policy/1",
        "board": board,
        "cells": g.keys,
        "directions": g.directions,
        "planes": planes,
        "scalars": SCALARS,
        "codec": codec_hash,
    }
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return PolicyLayout(
        board=board,
        cells=len(g.keys),
        planes=planes,
        scalars=SCALARS,
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )


@rule
def direction_of_step(b, dx, dy):
    """Return the movement direction of a ray whose coordinates change by dx, dy (rules.md 1.5)."""
    if b.par[HEX] != 0:
        if dx > 0:
            return 0 if dy == 0 else 5
        if dx == 0:
            return 1 if dy > 0 else 4
        return 3 if dy == 0 else 2
    if dx > 0:
        if dy == 0:
            return 0
        return 1 if dy > 0 else 7
    if dx == 0:
        return 2 if dy > 0 else 6
    if dy == 0:
        return 4
    return 3 if dy > 0 else 5


@rule
def ray_plane(b, a, to):
    """Return direction * longest ray + distance - 1 of the ray from cell `a` to cell `to`."""
    dx = int(b.row[to]) - int(b.row[a])
    dy = int(b.bit[to]) - int(b.bit[a])
    steps = max(abs(dx), abs(dy))
    return direction_of_step(b, dx, dy) * (int(b.par[SIZE]) - 1) + steps - 1


@rule
def scalar_of(kind):
    """Return the number of a move kind without cells, -1 for the others."""
    if kind == SKIP_PLACE:
        return 0
    if kind == NO_PLACE:
        return 1
    if kind == SWAP:
        return 2
    if kind == SKIP_CAPTURE:
        return 3
    if kind == NO_MOVE:
        return 4
    if kind == SKIP_RECOVER:
        return 5
    if kind == NO_LINE:
        return 6
    if kind == SKIP_REGION:
        return 7
    if kind == NO_REGION:
        return 8
    return -1


@rule
def policy_entries(b, m, mover, players):
    """Return the entries (e1, e2) of the packed move `m` of seat `mover`; e2 is -1 where one does."""
    n = int(b.par[N])
    dirs = int(b.par[DIRS])
    axes = int(b.par[AXES])
    pay = 3 + dirs * (int(b.par[SIZE]) - 1)
    line = pay + 4
    region = line + 2 * axes
    slide = region + 5
    kind = kind_of(m)
    a = a_of(m)
    x = x_of(m)
    if kind == PLACE:
        return (x - 1) * n + a, -1
    if kind == MOVE:
        return (3 + ray_plane(b, a, b_of(m))) * n + a, -1
    if kind == CAPTURES or kind == CONTINUE:
        return (3 + ray_plane(b, a, c_of(m))) * n + a, -1
    if kind == PAY:
        return (pay + x) * n + a, -1
    if kind == FORCE:
        return (pay + 3) * n + a, -1
    if kind == LINE:
        return (line + x) * n + a, -1
    if kind == OPTION:
        if c_of(m) == NONE:
            return (line + x) * n + a, -1
        return (line + axes + x) * n + c_of(m), -1
    if kind == REGION:
        wall = (x - mover + players) % players if x > 0 else 4
        return (region + wall) * n + a, -1
    if kind == RECOVER:
        to = b_of(m)
        dx = int(b.row[to]) - int(b.row[a])
        dy = int(b.bit[to]) - int(b.bit[a])
        first = (slide + direction_of_step(b, dx, dy)) * n + a
        if (x >> 2) & 3 == 2:
            return first, (slide + dirs + 1 + (x >> 4)) * n + c_of(m)
        return first, (slide + dirs) * n + c_of(m)
    return (slide + dirs + 1 + axes) * n + scalar_of(kind), -1


@rule
def fill_entries(s, b, moves, start, stop, first, second):
    """Fill `first`, `second` (int32) with the entries of `moves[start:stop]`, at the same indices."""
    mover = int(s.misc[CUR])
    players = int(b.par[PLAYERS])
    for i in range(start, stop):
        e1, e2 = policy_entries(b, int(moves[i]), mover, players)
        first[i] = e1
        second[i] = e2


@rule
def entries_of(states, i, boards, moves, first, second):
    """Fill `first`, `second` with the entries of all `moves` of position `i`."""
    fill_entries(states[i], boards[0], moves, 0, len(moves), first, second)


def entries(
    states: np.ndarray[Any, np.dtype[Any]],
    boards: np.ndarray[Any, np.dtype[Any]],
    moves: np.ndarray[Any, np.dtype[np.int64]],
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the entries of legal `moves` of the one position `states`: `int32[2, len(moves)]`."""
    found = np.empty((2, len(moves)), np.int32)
    entries_of(lay.view(states), 0, lay.view(boards), moves, found[0], found[1])
    return found


def move_of(
    pair: tuple[int, int],
    states: np.ndarray[Any, np.dtype[Any]],
    boards: np.ndarray[Any, np.dtype[Any]],
    legal: np.ndarray[Any, np.dtype[np.int64]],
) -> int:
    """Return the move of `legal` whose entries are `pair`; raises `LookupError` if there is none."""
    table = entries(states, boards, legal)
    hits: Sequence[int] = np.flatnonzero((table[0] == pair[0]) & (table[1] == pair[1])).tolist()
    if len(hits) != 1:
        raise LookupError(f"{len(hits)} legal moves have the policy entries {pair}")
    return int(legal[hits[0]])
