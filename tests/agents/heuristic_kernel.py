"""The heuristic evaluator as a CUDA kernel: one thread a position, the functions of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, from_dtype, types

from ringrift.agents.evaluation import evaluate
from ringrift.rules import layout as lay


@cuda.jit
def k_evaluate(states, boards, scratch, weights, gain, work, out):
    """Fill `out`: float64[n, players]; `work`: float64[n, 5, k], `scratch`: SCRATCH[n]."""
    i = cuda.grid(1)
    if i < states.shape[0]:
        evaluate(states[i], boards[0], scratch[i], weights, gain, work[i], out[i])


def signature() -> Any:
    """Argument types, for compiling without a device."""

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


def evaluated(
    states: Any, boards: Any, weights: Any, gain: float, players: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Evaluate positions on the device, or in the simulator."""
    n = len(states)
    out = cuda.to_device(np.zeros((n, players)))
    k_evaluate[(n + 31) // 32, 32](
        cuda.to_device(states),
        cuda.to_device(boards),
        cuda.to_device(lay.zeros(n, lay.SCRATCH)),
        cuda.to_device(np.array(weights)),
        gain,
        cuda.to_device(np.zeros((n, 5, len(weights)))),
        out,
    )
    return np.asarray(out.copy_to_host())
