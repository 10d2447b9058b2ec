# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Evaluation by a short rollout: a few light choices, then the full heuristic (agents.md 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import evaluation
from ringrift.agents.evaluators import PRIOR_TEMPERATURE
from ringrift.agents.heuristic import pick_softmax
from ringrift.agents.listing import scratch
from ringrift.agents.streams import MAX_SEED, stream
from ringrift.agents.weights import Profile, default_profile
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLY
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply

CHOICES = 3
ROLLOUT_TEMPERATURE = 0.3

_ROLLOUT = 7 << 8
"""Purpose of the streams of rollouts, whose seed is the hash of the position they start from."""


@rule
def roll(
    states, n, boards, scratch, work, scores, moves, offsets, light, weights, gain, tau, length,
    buffer, bounds, buffer_scores, values,
):  # fmt: skip
    """Play `length` choices from each of `n` positions and evaluate what is reached in full.

    `scores`: float64[t] are the light scores of the positions' own moves, which serve the first
    choice; where none are given they are made here. `work`: STATE[2]; `buffer`: int64[max moves],
    `bounds`: int32[2] and `buffer_scores`: float64[max moves] hold a legal set of the rollout;
    `values`: float64[n, players].
    """
    b = boards[0]
    w = scratch[0]
    f = np.zeros((5, len(weights)))
    for i in range(n):
        seed = ((hash_high(states[i], b) << 32) | hash_low(states[i], b)) & MAX_SEED
        work[0] = states[i]
        s = work[0]
        done = 0
        if offsets[i] < offsets[i + 1]:
            x, y = stream(seed, s.misc[PLY], s.misc[CUR], _ROLLOUT)
            move = moves[pick_softmax(scores, offsets[i], offsets[i + 1], tau, x, y)]
            apply(s, b, w, move)
            done = 1
        count = legal(s, b, w, buffer)
        while count > 0 and (done < length or count == 1):
            at = 0
            if count > 1:
                bounds[1] = count
                evaluation.one_ply(
                    work, 1, boards, scratch, work[1:], buffer, bounds, light, gain, buffer_scores
                )
                x, y = stream(seed, s.misc[PLY], s.misc[CUR], _ROLLOUT)
                at = pick_softmax(buffer_scores, 0, count, tau, x, y)
                done += 1
            apply(s, b, w, buffer[at])
            count = legal(s, b, w, buffer)
        evaluation.evaluate(s, b, w, weights, gain, f, values[i])


class RolloutEvaluator:
    """Values after `choices` choices drawn by light scores; priors as the heuristic's.

    Draws follow from the position alone, so its value is the same in every batch and every tree.
    Forced plies are played on the way and at the end, and are not counted. A choice has the same
    value without its legal moves.
    """

    def __init__(
        self, spec: BoardSpec, profile: Profile | None = None, choices: int = CHOICES
    ) -> None:
        if choices < 1:
            raise UsageError(f"rollout is {choices}; expected at least 1")
        self._players = spec.players
        profile = default_profile(spec.config) if profile is None else profile
        self._weights = profile.effective()
        self._light = profile.effective(full=False)
        self._gain = profile.gain
        self._choices = choices
        self._work = lay.zeros(2, lay.STATE)
        self._buffer = np.zeros(spec.max_moves, np.int64)
        self._buffer_scores = np.zeros(spec.max_moves)
        self._bounds = np.zeros(2, np.int32)

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits and values; see `protocol.Evaluator`."""
        n, gain = len(states), self._gain
        scores = np.empty(len(moves))
        values = np.empty((n, self._players))
        evaluation.one_ply(
            states, n, boards, scratch(), self._work, moves, offsets, self._light, gain, scores
        )
        roll(
            states, n, boards, scratch(), self._work, scores, moves, offsets, self._light,
            self._weights, gain, ROLLOUT_TEMPERATURE, self._choices, self._buffer, self._bounds,
            self._buffer_scores, values,
        )  # fmt: skip
        return (scores / PRIOR_TEMPERATURE).astype(np.float32), values.astype(np.float32)
