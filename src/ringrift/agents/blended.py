"""One-ply play by two opinions: an NNUE and the heuristic (selfplay.md 4, `nnue-guided`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.agents.evaluators import PRIOR_TEMPERATURE
from ringrift.agents.heuristic import HeuristicAgent
from ringrift.agents.streams import AGENT
from ringrift.rules.geometry import board_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.agents.protocol import Batch, Evaluator
    from ringrift.agents.spec import ResolvedSpec

DECIDED = 1.0
"""Value of a won game; the heuristic alone knows that a game is over."""


class BlendedAgent(HeuristicAgent):
    """Play the move whose position is worth most by `share` * NNUE + (1 - `share`) * heuristic.

    `nnue` gives as logits the mover's value after each move, divided by `PRIOR_TEMPERATURE`.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        weights: NDArray[np.float64],
        gain: float,
        nnue: Evaluator,
        *,
        share: float,
    ) -> None:
        super().__init__(spec, weights, gain)
        self._nnue = nnue
        self._share = share

    def scores(
        self, positions: Batch, purpose: int = AGENT
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]:
        """Return the mover's blended value after each legal move, the moves and their offsets."""
        own, moves, offsets = super().scores(positions, purpose)
        boards: NDArray[Any] = board_tables(positions.spec)
        logits, _ = self._nnue.evaluate(positions.states, boards, moves, offsets)
        after = logits.astype(np.float64) * PRIOR_TEMPERATURE
        blended = self._share * after + (1 - self._share) * own
        return np.where(np.abs(own) >= DECIDED, own, blended), moves, offsets
