"""Records of compiled code: the position, the board tables, scratch space, and their constants.

One maximum-size record serves all four boards. A cell holds one code:

    0 empty | 1-4 marker of seat | 5-8 stack controlled by seat | 9-12 collapsed for seat | 13 off board

so that "a slide stops here" is `code >= STACK1` and "never enters" is `code >= COLLAPSED1`.
Index `OFF` is the one cell outside every board; its code is `WALL` and all its neighbours are
itself, so that no walk has to test an index. Rings are nodes of a pool, linked from top to bottom.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ringrift.rules.jitconf import COMPILED

MAX_CELLS = 469
OFF = MAX_CELLS
MAX_RINGS = 512
MAX_ROWS = 25
MAX_REGIONS = 512
"""Distinct processable regions: a component per colour needs a cell of its own, and a colour that
encloses k components needs about k markers, so all colours together stay below the cell count."""

EMPTY = 0
MARKER = 0  # + seat
STACK = 4  # + seat
COLLAPSED = 8  # + seat
STACK1 = 5
COLLAPSED1 = 9
WALL = 13
CODES = 14

# phases, in turn order (rules.md 2.3)
PLACEMENT, MOVEMENT, CAPTURE, CHAIN, LINES, TERRITORY, FORCED, OVER = range(8)
PHASE_NAMES = (
    "ring_placement",
    "movement",
    "capture",
    "chain_capture",
    "line_processing",
    "territory_processing",
    "forced_elimination",
    "game_over",
)

# result reasons (rules.md 15, 16)
NO_REASON, BY_RINGS, BY_TERRITORY, BY_LAST, BY_ROUNDS = range(5)
REASON_NAMES = (
    "",
    "ring_elimination",
    "territory_control",
    "last_player_standing",
    "lps_rounds",
)

# State.misc
PHASE = 0
CUR = 1  # seat to move
ONLY = 2  # the one cell that may act (must_from, capture_at, chain_at), -1 none
LINE_DEBT = 3
TERRITORY_DEBT = 4
ACTED = 5
RECOVERED = 6
WINNER = 7
REASON = 8
PREV = 9  # seat of the last recorded move, 0 none
MOVED = 10  # bit per seat that has a recorded move
RINGS_USED = 11  # ring nodes handed out
PLY = 12
TURN = 13  # completed turns
HANDS_COUNTED = 14  # the stalemate ladder counted hands (rules.md 15 step 5)
LPS_ROUND = 15
LPS_FIRST = 16
LPS_SEEN = 17  # bit per seat in the mask
LPS_REAL = 18  # bit per seat whose mask value is true
LPS_EXCLUSIVE = 19  # exclusive player of the last round
LPS_STREAK = 20
LPS_STREAK_SEAT = 21
LPS_UPDATED = 22  # the last move ran the update
MISC = 24

# Board.par
N = 0  # cells
SIZE = 1  # rows and columns of the grid
HEX = 2
DIRS = 3
AXES = 4
PLAYERS = 5
LINE_BASE = 6  # D of rules.md 1.1
LINE_LENGTH = 7  # L
RINGS = 8  # R: own-colour cap
RING_GOAL = 9  # T
TERRITORY_GOAL = 10  # TM
LPS_ROUNDS = 11
SWAP_RULE = 12
BORDER_FLOOD = 13  # border markers spread by king steps (rules.md 10.4)
LEAST_WALL = 14  # fewest wall cells that can cut a cell off
PAR = 16

STATE = np.dtype(
    [
        ("cell", np.int8, (MAX_CELLS + 3,)),
        ("height", np.int16, (MAX_CELLS + 1,)),
        ("cap", np.int16, (MAX_CELLS + 1,)),
        ("top", np.int16, (MAX_CELLS + 1,)),
        ("bottom", np.int16, (MAX_CELLS + 1,)),
        ("below", np.int16, (MAX_RINGS,)),
        ("owner", np.int8, (MAX_RINGS,)),
        ("count", np.int16, (CODES + 2,)),  # cells per code
        ("hand", np.int16, (5,)),  # index = seat; 0 unused
        ("elim", np.int32, (5,)),
        ("terr", np.int32, (5,)),
        ("rings", np.int16, (5,)),  # rings of the colour in stacks, any depth
        ("out_turn", np.int32, (5,)),  # turn + 1 in which the seat went out, 0 never
        ("misc", np.int64, (MISC,)),
    ],
    align=True,
)

BOARD = np.dtype(
    [
        ("par", np.int64, (PAR,)),
        ("nbr", np.int16, (MAX_CELLS + 1, 8)),  # movement order, OFF outside
        ("axis", np.int8, (4,)),  # forward direction of each line axis, line order (rules.md 1.5)
        ("recovery_axis", np.int8, (4,)),  # the same directions in recovery order
        ("row", np.int8, (MAX_CELLS + 3,)),
        ("bit", np.int8, (MAX_CELLS + 3,)),
        ("at", np.int16, (MAX_ROWS, MAX_ROWS)),  # cell at (row, bit), OFF outside
        ("full", np.int32, (MAX_ROWS,)),  # on-board bits of each row
    ],
    align=True,
)

SCRATCH = np.dtype(
    [
        ("stacks", np.int32, (5, MAX_ROWS)),  # rows of stacks by controller
        ("markers", np.int32, (5, MAX_ROWS)),
        ("open", np.int32, (MAX_ROWS,)),  # not collapsed
        ("buried", np.int32, (MAX_ROWS,)),  # stacks with a buried ring of the mover
        ("free", np.int32, (MAX_ROWS,)),  # not wall, for the colour at hand
        ("todo", np.int32, (MAX_ROWS,)),
        ("comp", np.int32, (MAX_ROWS,)),
        ("border", np.int32, (MAX_ROWS,)),
        ("reach", np.int32, (MAX_ROWS,)),
        ("region", np.int32, (MAX_REGIONS, MAX_ROWS)),
        ("region_first", np.int16, (MAX_REGIONS,)),
        ("region_wall", np.int8, (MAX_REGIONS,)),
    ],
    align=True,
)


class StateView(NamedTuple):
    """A position as plain-Python rules see it: the record's fields as memoryviews."""

    cell: Any
    height: Any
    cap: Any
    top: Any
    bottom: Any
    below: Any
    owner: Any
    count: Any
    hand: Any
    elim: Any
    terr: Any
    rings: Any
    out_turn: Any
    misc: Any


class BoardView(NamedTuple):
    """Board tables as plain-Python rules see them."""

    par: Any
    nbr: Any
    axis: Any
    recovery_axis: Any
    row: Any
    bit: Any
    at: Any
    full: Any


class ScratchView(NamedTuple):
    """Scratch space as plain-Python rules see it."""

    stacks: Any
    markers: Any
    open: Any
    buried: Any
    free: Any
    todo: Any
    comp: Any
    border: Any
    reach: Any
    region: Any
    region_first: Any
    region_wall: Any


_VIEWS: dict[np.dtype[Any], Any] = {STATE: StateView, BOARD: BoardView, SCRATCH: ScratchView}


def zeros(count: int, dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Allocate `count` zeroed records."""
    return np.zeros(count, dtype)


def view(records: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """Give rules the form they run on: the array itself, or memoryviews of it without a compiler.

    In plain Python, NumPy scalars would overflow where compiled integers do not; memoryviews give
    Python integers and are ten times faster.
    """
    if COMPILED:
        return records
    make = _VIEWS[records.dtype]
    return [make(*(memoryview(r[name]) for name in make._fields)) for r in records]
