"""CUDA kernels of the rules: the only importer of `numba.cuda`.

A kernel calls the same functions as the CPU does. One thread plays one game at a time and takes the
next by its stride, so that a batch may be larger than the launch. Import this module only where a
batch on a GPU is asked for; it needs the extra `gpu`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from ringrift.rules import layout as lay
from ringrift.rules.cpu import MAX_PLIES, Playouts, playout_range
from ringrift.rules.geometry import board_tables
from ringrift.rules.spec import BoardSpec

BLOCK = 64
"""Threads per block."""

MAX_LANES = 8192
"""Threads of a launch; each owns scratch space and a buffer for the largest legal set."""

BUFFER_BYTES = 4 << 30
"""Device memory that the move buffers of all lanes may take together."""


@cuda.jit
def k_playouts(states, boards, scratch, out, seed, max_plies, results):
    """Play game g = 0.. from the start; fill `results` (int64[G, 4]) as `cpu.playout_range`."""
    lane = cuda.grid(1)
    lanes = states.shape[0]
    if lane < lanes:
        g = lane
        while g < results.shape[0]:
            playout_range(
                states[lane : lane + 1],
                boards,
                scratch[lane : lane + 1],
                out[lane],
                seed,
                g,
                g + 1,
                max_plies,
                results,
            )
            g += lanes


def available() -> bool:
    """Tell whether a CUDA device can be used."""
    return bool(cuda.is_available())


def random_playouts(
    spec: BoardSpec,
    games: int,
    *,
    seed: int = 0,
    lanes: int = MAX_LANES,
    max_plies: int = MAX_PLIES,
) -> Playouts:
    """Play `games` random games on the GPU; equal, game by game, to `cpu.random_playouts`."""
    lanes = max(1, min(lanes, games, BUFFER_BYTES // (8 * spec.max_moves)))
    results = cuda.to_device(np.zeros((games, 4), np.int64))
    k_playouts[(lanes + BLOCK - 1) // BLOCK, BLOCK](
        cuda.to_device(lay.zeros(lanes, lay.STATE)),
        cuda.to_device(board_tables(spec)),
        cuda.to_device(lay.zeros(lanes, lay.SCRATCH)),
        cuda.device_array((lanes, spec.max_moves + 32), np.int64),
        seed,
        max_plies,
        results,
    )
    winner, reason, plies, hashes = results.copy_to_host().T
    return Playouts(winner=winner, reason=reason, plies=plies, hash=hashes)


def signature() -> Any:
    """Return the argument types of `k_playouts`, for compiling it without a device."""
    from numba import from_dtype, types

    def array(dtype: Any, ndim: int = 1) -> Any:
        return types.Array(dtype, ndim, "C")

    return (
        array(from_dtype(lay.STATE)),
        array(from_dtype(lay.BOARD)),
        array(from_dtype(lay.SCRATCH)),
        array(types.int64, 2),
        types.int64,
        types.int64,
        array(types.int64, 2),
    )
