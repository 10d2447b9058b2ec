# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The heuristic agent: the position right after each legal move, by the light evaluator."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import light
from ringrift.agents.listing import legal_lists, refuse_swap, scratch
from ringrift.agents.protocol import Batch, Budgets, Decision, Rngs
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.streams import EXPLORE, below, stream, uniform
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLY


@rule
def pick_best(scores, first, last, a, b):
    """Return the index of the best score, equals by the stream (a, b)."""
    best = scores[first]
    level = 0
    for j in range(first, last):
        if scores[j] > best:
            best = scores[j]
            level = 0
        if scores[j] == best:
            level += 1
    left = below(a, b, 0, level)
    for j in range(first, last):
        if scores[j] == best:
            if left == 0:
                return j
            left -= 1
    return first


@rule
def pick_softmax(scores, first, last, tau, a, b):
    """Draw an index with probability proportional to exp(score / tau)."""
    best = scores[first]
    for j in range(first, last):
        best = max(best, scores[j])
    total = 0.0
    for j in range(first, last):
        total += math.exp((scores[j] - best) / tau)
    left = uniform(a, b, 0) * total
    for j in range(first, last):
        left -= math.exp((scores[j] - best) / tau)
        if left <= 0.0:
            return j
    return last - 1


@rule
def pick_all(states, n, seeds, purpose, scores, offsets, tau, eps, out):
    """Write the index of the move of each position to `out`: int64[n]."""
    for i in range(n):
        m = states[i].misc
        first = offsets[i]
        last = offsets[i + 1]
        a, b = stream(seeds[i], m[PLY], m[CUR], purpose)
        if eps > 0.0:
            c, d = stream(seeds[i], m[PLY], m[CUR], purpose | (EXPLORE << 8))
            if uniform(c, d, 0) < eps:
                out[i] = first + below(c, d, 1, last - first)
                continue
        if tau > 0.0:
            out[i] = pick_softmax(scores, first, last, tau, a, b)
        else:
            out[i] = pick_best(scores, first, last, a, b)


class HeuristicAgent:
    """Play the move whose position is worth most to the mover.

    `tau` draws by softmax of the values instead, `eps` is the rate of uniformly random moves.
    """

    def __init__(self, spec: ResolvedSpec, *, tau: float = 0.0, eps: float = 0.0) -> None:
        self.spec = spec
        self.tau = tau
        self.eps = eps
        self._work = lay.zeros(1, lay.STATE)

    def scores(
        self, positions: Batch
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]:
        """Return the mover's value after each legal move, the moves and their offsets."""
        spec, n = positions.spec, len(positions)
        refuse_swap(spec, positions.states)
        moves, offsets = legal_lists(spec, positions.states)
        scores = np.zeros(len(moves), np.float64)
        light.one_ply(
            positions.states,
            n,
            board_tables(spec),
            scratch(),
            self._work,
            moves,
            offsets,
            light.default_weights(spec),
            light.GAIN,
            scores,
        )
        return scores, moves, offsets

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch."""
        n = len(positions)
        scores, moves, offsets = self.scores(positions)
        out = np.zeros(n, np.int64)
        seeds = positions.seed_array()
        pick_all(positions.states, n, seeds, rng.purpose, scores, offsets, self.tau, self.eps, out)
        forced = (np.diff(offsets) == 1).tolist()
        return [
            Decision(move=move, kind="forced" if alone else "full", nodes=0 if alone else count)
            for move, alone, count in zip(
                moves[out].tolist(), forced, np.diff(offsets).tolist(), strict=True
            )
        ]
