# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The random agent: every legal move alike."""

from __future__ import annotations

import numpy as np

from ringrift.agents.listing import legal_lists, refuse_swap
from ringrift.agents.protocol import Batch, Budgets, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.streams import below, stream
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLY


@rule
def draw_moves(states, n, seeds, purpose, moves, offsets, out):
    """Draw one legal move of each position into `out`: int64[n]."""
    for i in range(n):
        m = states[i].misc
        a, b = stream(seeds[i], m[PLY], m[CUR], purpose)
        count = offsets[i + 1] - offsets[i]
        out[i] = moves[offsets[i] + below(a, b, 0, count)]


class RandomAgent:
    """Draw uniformly from the legal moves."""

    def __init__(self, spec: ResolvedSpec) -> None:
        self.spec = spec

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch."""
        n = len(positions)
        refuse_swap(positions.spec, positions.states)
        moves, offsets = legal_lists(positions.spec, positions.states)
        out = np.zeros(n, np.int64)
        seeds = positions.seed_array()
        draw_moves(positions.states, n, seeds, rng.purpose, moves, offsets, out)
        forced = np.diff(offsets) == 1
        return [
            Decision(move=move, kind="forced" if alone else "random")
            for move, alone in zip(out.tolist(), forced.tolist(), strict=True)
        ]
