"""Evaluators without a net: the heuristic, and a constant for tests and measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import evaluation
from ringrift.agents.listing import scratch
from ringrift.agents.weights import Profile, default_profile
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay

PRIOR_TEMPERATURE = 0.5


class ConstantEvaluator:
    """Call every position level and every move alike."""

    def __init__(self, spec: BoardSpec) -> None:
        self._players = spec.players

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return zeros; see `protocol.Evaluator`."""
        return (
            np.zeros(len(moves), np.float32),
            np.zeros((len(states), self._players), np.float32),
        )


class HeuristicEvaluator:
    """Values of the heuristic; priors are a softmax of its light one-ply values."""

    def __init__(self, spec: BoardSpec, profile: Profile | None = None) -> None:
        self._players = spec.players
        profile = default_profile(spec.config) if profile is None else profile
        self._weights = profile.effective()
        self._light = profile.effective(full=False)
        self._gain = profile.gain
        self._work = lay.zeros(1, lay.STATE)

    def evaluate(
        self,
        states: NDArray[Any],
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits and values; see `protocol.Evaluator`."""
        n, gain = len(states), self._gain
        scores = np.empty(len(moves), np.float64)
        values = np.empty((n, self._players), np.float64)
        evaluation.one_ply(
            states, n, boards, scratch(), self._work, moves, offsets, self._light, gain, scores
        )
        evaluation.evaluate_all(states, n, boards, scratch(), self._weights, gain, values)
        return (scores / PRIOR_TEMPERATURE).astype(np.float32), values.astype(np.float32)
