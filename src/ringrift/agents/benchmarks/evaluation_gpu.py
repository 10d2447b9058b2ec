"""The heuristic evaluator on a CUDA device, one position a lane; import only where it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.evaluation import evaluate
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

# `rules.gpu` stays the one importer of numba.cuda.
from ringrift.rules.gpu import BLOCK, cuda  # type: ignore[attr-defined]


@cuda.jit
def k_evaluate(states, boards, scratch, weights, gain, work, values):
    """Evaluate every position into `values`: float64[n, players]; `work`: float64[n, 5, k]."""
    i = cuda.grid(1)
    if i < states.shape[0]:
        evaluate(states[i], boards[0], scratch[i], weights, gain, work[i], values[i])


def evaluate_on_gpu(
    spec: BoardSpec, states: NDArray[Any], weights: NDArray[np.float64], gain: float
) -> NDArray[np.float64]:
    """Return the values of `states`: `STATE[n]`, `float64[n, players]`, copies to and fro included."""
    n = len(states)
    values = cuda.device_array((n, spec.players), np.float64)
    k_evaluate[(n + BLOCK - 1) // BLOCK, BLOCK](
        cuda.to_device(states),
        cuda.to_device(board_tables(spec)),
        cuda.to_device(lay.zeros(n, lay.SCRATCH)),
        cuda.to_device(weights),
        gain,
        cuda.device_array((n, 5, len(weights)), np.float64),
        values,
    )
    found: NDArray[np.float64] = values.copy_to_host()
    return found


def signature() -> Any:
    """Return the argument types of `k_evaluate`, for compiling it without a device."""
    from numba import from_dtype, types

    def array(dtype: Any, ndim: int = 1) -> Any:
        return types.Array(dtype, ndim, "C")

    return (
        array(from_dtype(lay.STATE)),
        array(from_dtype(lay.BOARD)),
        array(from_dtype(lay.SCRATCH)),
        array(types.float64),
        types.float64,
        array(types.float64, 3),
        array(types.float64, 2),
    )
