"""All that a net says of a batch of positions, for those who measure it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Prediction(NamedTuple):
    """Of `n` positions with `total` legal moves and `P` seats, in the order of the seats.

    `logits`: `float32[total]` and `values`: `float32[n, P]` are what searches get; `win`:
    `float64[n, P]` the logarithm of each seat's probability to win, `rank`: `float64[n, P, P]` that
    of each rank of each seat, None for a net that does not predict ranks apart. The temperature of
    the model has divided what they come from.
    """

    logits: NDArray[np.float32]
    values: NDArray[np.float32]
    win: NDArray[np.float64]
    rank: NDArray[np.float64] | None
