"""A net and its work space in memory, in the form that compiled code takes them.

H = width of an accumulator, F = inputs, R = policy rows, P = players. What H does not touch lies in
records: each array of a tuple is counted as a reference at every call, which a record is not, and
with an array per tensor that took as long as the net.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ringrift.nets.calibration import THIRDS
from ringrift.nets.nnue import features
from ringrift.rules.layout import MAX_CELLS

WIDTH = 32
"""Units of each hidden layer behind the accumulators."""

LEAST_LAYERS, MOST_LAYERS = 2, 6
"""Hidden layers that a net may have."""

POLICY_WIDTH = 64
MOST_ACTIVE = 7 * MAX_CELLS + 1 + features.SLOTS

SMALL = np.dtype(
    [
        ("first_bias", np.int32, (WIDTH,)),  # scale 64 * 127, as every bias but that of inputs
        # scale 64, as every weight behind the accumulators
        ("inner", np.int8, (MOST_LAYERS - 1, WIDTH, WIDTH)),
        ("inner_bias", np.int32, (MOST_LAYERS - 1, WIDTH)),
        ("inners", np.int32),  # hidden layers after the first
        ("last", np.int8, (WIDTH,)),
        ("last_bias", np.int32),
        ("head_bias", np.int32, (POLICY_WIDTH,)),
        (
            "unit",
            np.float64,
            (THIRDS,),
        ),  # output that stands for a logit of 1, by third of the game
        ("turn", np.int16, (4, 256)),  # `features.turn_table`
    ],
    align=True,
)

PLACE = np.dtype(
    [
        ("masks", np.int64, (MAX_CELLS,)),  # the features of the position held here
        ("slots", np.int16, (features.SLOTS,)),
        ("known", np.int32),  # their number; 0 until a position is held
    ],
    align=True,
)

SPARE = np.dtype(
    [
        ("added", np.int32, (MOST_ACTIVE,)),
        ("removed", np.int32, (MOST_ACTIVE,)),
        ("slots", np.int16, (features.SLOTS,)),
        ("y", np.int16, (2, WIDTH)),
        ("z", np.int32, (4,)),  # outputs of the seats, scale 8128
        ("h", np.int16, (POLICY_WIDTH,)),  # the policy layer
        ("row", np.int32, (10,)),  # rows of a move
        ("total", np.int16, (POLICY_WIDTH,)),  # their sum
    ],
    align=True,
)


class Net(NamedTuple):
    """A quantised net."""

    inputs: NDArray[np.int16]  # [F + 1, H], scale 127; the last row is the bias
    layers: NDArray[np.int8]  # [32 or 96, 2 H]: the first layer, and the policy layer if any
    rows: NDArray[np.int8]  # [R or 0, 64], scale 64
    small: NDArray[Any]  # SMALL[1]


class Work(NamedTuple):
    """Accumulators of several positions, each with the features it was made from.

    A place holds one position. One thread uses it at a time, with one net.
    """

    sums: NDArray[Any]  # int16 or int32[places * P, H]: row place * P + seat - 1
    x: NDArray[np.int16]  # [P, 2 H]: clipped own sums, and the largest of the others'
    places: NDArray[Any]  # PLACE[places]
    spare: NDArray[Any]  # SPARE[1]


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Allocate zeros at a multiple of 64 bytes, so that no vector crosses two cache lines."""
    kind = np.dtype(dtype)
    size = kind.itemsize * int(np.prod(shape))
    block = np.zeros(size + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + size].view(kind).reshape(shape)


def new_work(net: Net, players: int, *, wide: bool = False, places: int = 1) -> Work:
    """Allocate work space for `net`; `wide` takes accumulators of int32."""
    if places < 1:
        raise ValueError(f"{places} places; expected at least 1")
    hidden = net.inputs.shape[1]
    return Work(
        sums=aligned((places * players, hidden), np.int32 if wide else np.int16),
        x=aligned((players, 2 * hidden), np.int16),
        places=np.zeros(places, PLACE),
        spare=np.zeros(1, SPARE),
    )
