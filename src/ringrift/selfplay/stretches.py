# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Stretches of choices that the heuristic makes in compiled code, the same as its `choose` makes.

A choice by the light heuristic costs less than asking for it from Python, so games go on without a
return until someone else is to move.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from ringrift.agents.evaluation import one_ply
from ringrift.agents.heuristic import HeuristicAgent, draw_weights, pick
from ringrift.agents.protocol import Agent
from ringrift.agents.streams import AGENT
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE
from ringrift.rules.legal import legal
from ringrift.selfplay.invariants import FINE, NO_MOVES
from ringrift.selfplay.steps import put

MOST_SCORED = 1 << 15
"""Moves scored in one call for all games: a worker reads its orders between calls."""


def goes_on(agent: Agent) -> TypeGuard[HeuristicAgent]:
    """Tell whether `play_on` chooses for an agent: not for one that scores in a way of its own."""
    return type(agent) is HeuristicAgent


@rule
def play_on(
    states, slots, seats, agent, boards, scratch, work, moves, scores, played, plies, checks,
    seeds, taus, eps, noise, weights, gain, most, faults, watches,
):  # fmt: skip
    """Play in each game `slots[k]` while `agent` sits at the seat to move; fill `faults`: int64[k].

    It is left once more than `most` moves are scored too. `seats`: int64[g, players], `seeds`: int64[g], `taus`:
    float64[k]; `work`: STATE[1], `moves`: int64[max_moves] and `scores`: float64[max_moves] are work
    space.
    """
    b = boards[0]
    w = scratch[0]
    bounds = np.zeros(2, np.int32)
    own = weights.copy()
    for k in range(len(slots)):
        i = slots[k]
        s = states[i]
        fault = FINE
        scored = 0
        while fault == FINE and plies[i] < played.shape[1] and s.misc[PHASE] != OVER:
            n = legal(s, b, w, moves)
            if n == 0:
                fault = NO_MOVES
                break
            chosen = 0
            if n > 1:
                seat = s.misc[CUR]
                if scored > most or seats[i, seat - 1] != agent:
                    break
                if noise > 0.0:
                    draw_weights(weights, noise, seeds[i], seat, AGENT, own)
                bounds[1] = n
                one_ply(
                    states[i : i + 1], 1, boards, scratch, work, moves, bounds, own, gain, scores
                )
                chosen = pick(s, scores, 0, n, seeds[i], AGENT, taus[k], eps)
                scored += n
            fault = put(states, i, boards, scratch, moves[chosen], played, plies, checks, watches)
        faults[k] = fault
