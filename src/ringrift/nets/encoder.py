"""The encoder `planes1-basic`: a position seen from a seat, as planes and global numbers.

`planes` is `float32[H, W, PLANES]`, row y + radius, column x + radius (training.md 1); the channels
lie together because that is how a position is written and how convolutions on a CPU read it.
`r` = relative seat: 0 the perspective seat, 1-3 the following seats; of absent seats all is 0.

| planes | content | planes | content |
|---|---|---|---|
| 0-3 | stack controlled by r | 20, 21 | height / 8, cap / 8, at most 2 |
| 4-7 | marker of r | 22-25 | height = 1, 2, 3, >= 4 |
| 8-11 | collapsed, owned by r | 26-29 | cap = 1, 2, 3, >= 4 |
| 12-15 | rings of r in the stack / 4, at most 2 | 30 | the one cell that may act |
| 16-19 | a non-top ring of r in the stack | 31 | cell is on the board |

| globals | content |
|---|---|
| 0-6 | phase, one-hot; all 0 when the game is over |
| 7-10 | mover as relative seat |
| 11 + 10 r | present, out, hand / R, elim / T, terr / TM, markers / cells, stacks / cells, |
| | last player standing (rules.md 16): streak / required, mask bit, first |
| 51-56 | acted, recovered, line debt, territory debt, recovery debt, swap legal |
| 57-59 | 2, 3, 4 players |
| 60-63 | R / 96, D / 4, L / 4, last-player-standing rounds / 3 |

Every plane value is a multiple of 1/8, at most 2.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringrift.rules.geometry import geometry
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    ACTED,
    COLLAPSED,
    COLLAPSED1,
    CUR,
    LINE_BASE,
    LINE_DEBT,
    LINE_LENGTH,
    LPS_FIRST,
    LPS_REAL,
    LPS_ROUNDS,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    MARKER,
    ONLY,
    OVER,
    PHASE,
    PHASE_NAMES,
    PLAYERS,
    RECOVERED,
    RING_GOAL,
    RINGS,
    STACK,
    STACK1,
    TERRITORY_DEBT,
    TERRITORY_GOAL,
    N,
)
from ringrift.rules.legal import swap_offered
from ringrift.rules.victory import is_out

PLANES = 32
GLOBALS = 64
MASK_PLANE = 31

_SEAT = 11
_SEAT_NUMBERS = 10
_FLAGS = _SEAT + 4 * _SEAT_NUMBERS


def _plane_names() -> tuple[str, ...]:
    per_seat = ("stack", "marker", "collapsed", "rings/4", "buried")
    sizes = ("1", "2", "3", "4+")
    return (
        *(f"{name} {r}" for name in per_seat for r in range(4)),
        "height/8",
        "cap/8",
        *(f"height {size}" for size in sizes),
        *(f"cap {size}" for size in sizes),
        "acting cell",
        "mask",
    )


def _global_names() -> tuple[str, ...]:
    seat = ("present", "out", "hand/R", "elim/T", "terr/TM", "markers/cells", "stacks/cells")
    last_standing = ("streak/required", "mask bit", "first")
    return (
        *(f"phase {name}" for name in PHASE_NAMES[:OVER]),
        *(f"mover {r}" for r in range(4)),
        *(f"{name} {r}" for r in range(4) for name in (*seat, *last_standing)),
        *("acted", "recovered", "line debt", "territory debt", "recovery debt", "swap legal"),
        *(f"{players} players" for players in (2, 3, 4)),
        *("R/96", "D/4", "L/4", "rounds/3"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Identity of an encoder: model cards and data sets carry `id` and `hash`.

    `version` rises when a value changes whose name does not.
    """

    id: str
    version: int
    planes: tuple[str, ...]
    globals: tuple[str, ...]

    @property
    def hash(self) -> str:
        """64 hex digits over id, version and the names of all inputs."""
        table = [self.id, self.version, self.planes, self.globals]
        return hashlib.sha256(json.dumps(table).encode()).hexdigest()

    @property
    def identity(self) -> dict[str, str]:
        """Id and hash as they stand in a card."""
        return {"id": self.id, "hash": self.hash}


ENCODER = Encoder(id="planes1-basic", version=1, planes=_plane_names(), globals=_global_names())


def grid(board: str) -> tuple[int, int]:
    """Return height and width of the planes of a board."""
    size = geometry(board).size
    return size, size


def cell_places(board: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return, for each cell, its index y' * W + x' on the grid: `int64[cells]`."""
    g = geometry(board)
    return np.array([(c[1] + g.radius) * g.size + c[0] + g.radius for c in g.coordinates], np.int64)


@rule
def encode_stack(s, c, seat, players, out):
    """Write the planes of the stack on cell `c` to `out` (float32[PLANES])."""
    h = int(s.height[c])
    cap = int(s.cap[c])
    ring = s.top[c]
    out[(int(s.owner[ring]) - seat + players) % players] = 1.0
    first = True
    while ring >= 0:
        r = (int(s.owner[ring]) - seat + players) % players
        out[12 + r] = min(2.0, out[12 + r] + 0.25)
        if not first:
            out[16 + r] = 1.0
        first = False
        ring = s.below[ring]
    out[20] = min(2.0, h * 0.125)
    out[21] = min(2.0, cap * 0.125)
    out[21 + min(h, 4)] = 1.0
    out[25 + min(cap, 4)] = 1.0


@rule
def encode_globals(s, b, seat, out):
    """Write the global numbers of the position seen from `seat` to `out` (float32[GLOBALS])."""
    m = s.misc
    players = int(b.par[PLAYERS])
    cells = float(b.par[N])
    for i in range(GLOBALS):
        out[i] = 0.0
    phase = m[PHASE]
    if phase < OVER:
        out[phase] = 1.0
    out[7 + (int(m[CUR]) - seat + players) % players] = 1.0
    for r in range(players):
        q = (seat - 1 + r) % players + 1
        i = _SEAT + _SEAT_NUMBERS * r
        out[i] = 1.0
        out[i + 1] = 1.0 if is_out(s, q) else 0.0
        out[i + 2] = s.hand[q] / float(b.par[RINGS])
        out[i + 3] = s.elim[q] / float(b.par[RING_GOAL])
        out[i + 4] = s.terr[q] / float(b.par[TERRITORY_GOAL])
        out[i + 5] = s.count[MARKER + q] / cells
        out[i + 6] = s.count[STACK + q] / cells
        if m[LPS_STREAK_SEAT] == q:
            out[i + 7] = m[LPS_STREAK] / float(b.par[LPS_ROUNDS])
        out[i + 8] = float((m[LPS_REAL] >> q) & 1)
        out[i + 9] = 1.0 if m[LPS_FIRST] == q else 0.0
    recovered = m[RECOVERED] != 0
    owes_region = m[TERRITORY_DEBT] != 0
    out[_FLAGS] = 1.0 if m[ACTED] != 0 else 0.0
    out[_FLAGS + 1] = 1.0 if recovered else 0.0
    out[_FLAGS + 2] = 1.0 if m[LINE_DEBT] != 0 else 0.0
    out[_FLAGS + 3] = 1.0 if owes_region and not recovered else 0.0
    out[_FLAGS + 4] = 1.0 if owes_region and recovered else 0.0
    out[_FLAGS + 5] = 1.0 if swap_offered(s, b) else 0.0
    out[_FLAGS + 6 + players - 2] = 1.0
    out[60] = b.par[RINGS] / 96.0
    out[61] = b.par[LINE_BASE] / 4.0
    out[62] = b.par[LINE_LENGTH] / 4.0
    out[63] = b.par[LPS_ROUNDS] / 3.0


@rule
def encode(s, b, seat, planes, numbers):
    """Write the position seen from `seat` to `planes` (float32[H, W, PLANES]) and `numbers`.

    `numbers` is float32[GLOBALS]. Both are written whole; a grid larger than the board is padding.
    """
    players = int(b.par[PLAYERS])
    planes[:] = 0.0
    only = s.misc[ONLY]
    for c in range(b.par[N]):
        out = planes[b.bit[c], b.row[c]]
        out[MASK_PLANE] = 1.0
        code = int(s.cell[c])
        if code != 0:
            if code < STACK1:
                out[4 + (code - MARKER - seat + players) % players] = 1.0
            elif code >= COLLAPSED1:
                out[8 + (code - COLLAPSED - seat + players) % players] = 1.0
            else:
                encode_stack(s, c, seat, players, out)
                if c == only:
                    out[30] = 1.0
    encode_globals(s, b, seat, numbers)


@rule
def encode_batch(states, boards, planes, numbers):
    """Encode each position from its mover's seat: float32[n, H, W, PLANES], float32[n, GLOBALS]."""
    b = boards[0]
    for i in range(len(states)):
        s = states[i]
        encode(s, b, int(s.misc[CUR]), planes[i], numbers[i])


@rule
def encode_one(states, i, boards, seat, planes, numbers):
    """Encode position `i` from `seat`; see `encode`."""
    encode(states[i], boards[0], seat, planes, numbers)
