"""Positions of random games to measure with: one of each game, every ply of it alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import streams
from ringrift.agents.listing import scratch
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.cpu import MAX_PLIES, playout_range
from ringrift.rules.geometry import board_tables


def random_positions(spec: BoardSpec, count: int, *, seed: int) -> NDArray[Any]:
    """Return `STATE[count]`, none finished: game i is played to its end, then again to one ply."""
    states = lay.zeros(count, lay.STATE)
    results = np.zeros((count, 4), np.int64)
    _play(spec, states, seed, [MAX_PLIES] * count, results)
    cuts = []
    for i, plies in enumerate(results[:, 2].tolist()):
        a, b = streams.stream(seed, i, 0, streams.SCHEDULE)
        cuts.append(int(streams.below(a, b, 0, plies)))
    _play(spec, states, seed, cuts, results)
    return states


def _play(
    spec: BoardSpec, states: NDArray[Any], seed: int, cuts: list[int], results: NDArray[np.int64]
) -> None:
    boards, work = lay.view(board_tables(spec)), lay.view(scratch())
    out = np.zeros(spec.max_moves + 32, np.int64)
    for i, cut in enumerate(cuts):
        one = lay.view(states[i : i + 1])
        playout_range(one, boards, work, out, seed, i, i + 1, cut, results)
