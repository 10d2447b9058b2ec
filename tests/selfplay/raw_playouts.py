"""Games of the heuristic from first ply to last in compiled code, one after the other: what self-play
is measured against. They have no record, no check and no other player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from ringrift.agents.evaluation import one_ply
from ringrift.agents.heuristic import HeuristicAgent, pick_best
from ringrift.agents.streams import AGENT, OPENING, below, stream
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.layout import CUR, OVER, PHASE
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply, reset
from ringrift.selfplay.plans import GamePlan

from .jobs import SQUARE8

MOST_PLIES = 500


@numba.njit(nogil=True, error_model="numpy")  # no cache: the package's own holds nothing of tests
def playouts(
    seeds: Any, randoms: Any, states: Any, boards: Any, scratch: Any, work: Any, moves: Any,
    scores: Any, weights: Any, gain: Any, played: Any, plies: Any,
) -> None:  # fmt: skip
    """Play game k with `randoms[k]` random choices, then the best moves, into `played[k]`."""
    s = states[0]
    b = boards[0]
    w = scratch[0]
    bounds = np.zeros(2, np.int32)
    for k in range(len(seeds)):
        reset(s, b)
        ply = 0
        left = randoms[k]
        while ply < played.shape[1] and s.misc[PHASE] != OVER:
            n = legal(s, b, w, moves)
            chosen = 0
            if n > 1 and left > 0:
                x, y = stream(seeds[k], ply, s.misc[CUR], OPENING)
                chosen = below(x, y, 0, n)
                left -= 1
            elif n > 1:
                bounds[1] = n
                one_ply(states, 1, boards, scratch, work, moves, bounds, weights, gain, scores)
                x, y = stream(seeds[k], ply, s.misc[CUR], AGENT)
                chosen = pick_best(scores, 0, n, x, y)
            played[k, ply] = moves[chosen]
            ply += 1
            apply(s, b, w, moves[chosen])
        plies[k] = ply


class RawPlayouts:
    """Plays as `agent` does, on square8 with two players."""

    def __init__(self, agent: HeuristicAgent) -> None:
        self._agent = agent
        self._state = lay.zeros(1, lay.STATE)
        self._work = lay.zeros(1, lay.STATE)
        self._scratch = lay.zeros(1, lay.SCRATCH)
        self._moves = np.zeros(SQUARE8.max_moves, np.int64)
        self._scores = np.zeros(SQUARE8.max_moves)

    def play(self, plans: Sequence[GamePlan]) -> list[tuple[int, ...]]:
        """Return the moves of each game."""
        played = np.zeros((len(plans), MOST_PLIES), np.int64)
        plies = np.zeros(len(plans), np.int64)
        playouts(
            np.array([plan.seed for plan in plans], np.int64),
            np.array([plan.random_choices for plan in plans], np.int64),
            self._state, board_tables(SQUARE8), self._scratch, self._work, self._moves,
            self._scores, self._agent.weights, self._agent.gain, played, plies,
        )  # fmt: skip
        return [tuple(row[:n].tolist()) for row, n in zip(played, plies.tolist(), strict=True)]
