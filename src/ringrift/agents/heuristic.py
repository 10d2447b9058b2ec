# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The heuristic agent: the best position right after a legal move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import evaluation
from ringrift.agents.listing import legal_lists, refuse_swap, scratch
from ringrift.agents.protocol import Batch, Budgets, Decision, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.streams import AGENT, EXPLORE, below, stream, uniform
from ringrift.rules import BoardSpec
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
def pick(s, scores, first, last, seed, purpose, tau, eps):
    """Return the index of the move taken in position `s`, whose moves have `scores[first:last]`."""
    m = s.misc
    a, b = stream(seed, m[PLY], m[CUR], purpose)
    if eps > 0.0:
        c, d = stream(seed, m[PLY], m[CUR], purpose | (EXPLORE << 8))
        if uniform(c, d, 0) < eps:
            return first + below(c, d, 1, last - first)
    if tau > 0.0:
        return pick_softmax(scores, first, last, tau, a, b)
    return pick_best(scores, first, last, a, b)


@rule
def pick_all(states, n, seeds, purpose, scores, offsets, taus, eps, out):
    """Write the index of the move of each position to `out`: int64[n]; `taus`: float64[n]."""
    for i in range(n):
        first = offsets[i]
        last = offsets[i + 1]
        out[i] = pick(states[i], scores, first, last, seeds[i], purpose, taus[i], eps)


@rule
def draw_weights(weights, noise, seed, seat, purpose, out):
    """Write the weights of one seat of one game: each times 1 + U(-noise, noise)."""
    a, b = stream(seed, 0, seat, purpose | (EXPLORE << 16))
    for k in range(len(weights)):
        out[k] = weights[k] * (1.0 + noise * (2.0 * uniform(a, b, k) - 1.0))


class HeuristicAgent:
    """Play the move whose position is worth most to the mover.

    `weights`: float64[19 or 27] and `gain` are those of a profile (`weights.Profile`). `tau` draws
    by softmax of the values instead, and so does the `tau` of a budget; `eps` is the rate of
    uniformly random moves, and `noise` multiplies each weight by 1 + U(-noise, noise), drawn once per
    game and seat.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        weights: NDArray[np.float64],
        gain: float,
        *,
        tau: float = 0.0,
        eps: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self.spec = spec
        self.weights = weights
        self.gain = gain
        self.tau = tau
        self.eps = eps
        self.noise = noise
        self._work = lay.zeros(1, lay.STATE)

    def scores(
        self, positions: Batch, purpose: int = AGENT
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]:
        """Return the mover's value after each legal move, the moves and their offsets.

        `purpose` names the streams that noise is drawn from.
        """
        spec, n = positions.spec, len(positions)
        refuse_swap(spec, positions.states)
        moves, offsets = legal_lists(spec, positions.states)
        scores = np.zeros(len(moves), np.float64)
        if self.noise == 0.0:
            self._score(spec, positions.states, moves, offsets, self.weights, scores)
            return scores, moves, offsets
        weights = np.empty(len(self.weights))
        for i in range(n):
            part = slice(offsets[i], offsets[i + 1])
            bounds = np.array([0, offsets[i + 1] - offsets[i]], np.int32)
            state = positions.states[i : i + 1]
            seat = int(state[0]["misc"][CUR])
            draw_weights(self.weights, self.noise, positions.seeds[i], seat, purpose, weights)
            self._score(spec, state, moves[part], bounds, weights, scores[part])
        return scores, moves, offsets

    def _score(
        self,
        spec: BoardSpec,
        states: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        weights: NDArray[np.float64],
        scores: NDArray[np.float64],
    ) -> None:
        evaluation.one_ply(
            states, len(states), board_tables(spec), scratch(), self._work, moves, offsets,
            weights, self.gain, scores,
        )  # fmt: skip

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch."""
        n = len(positions)
        scores, moves, offsets = self.scores(positions, rng.purpose)
        out = np.zeros(n, np.int64)
        seeds = positions.seed_array()
        own = [self.tau if b.tau is None else b.tau for b in budget_list(budget, n)]
        taus = np.array(own, np.float64)
        pick_all(positions.states, n, seeds, rng.purpose, scores, offsets, taus, self.eps, out)
        forced = (np.diff(offsets) == 1).tolist()
        return [
            Decision(move=move, kind="forced" if alone else "full", nodes=0 if alone else count)
            for move, alone, count in zip(
                moves[out].tolist(), forced, np.diff(offsets).tolist(), strict=True
            )
        ]
