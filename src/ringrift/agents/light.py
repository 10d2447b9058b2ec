# ruff: noqa: SIM300 - compiled rules: Numba values, one flat pass
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The light heuristic: nineteen own quantities of each seat in one pass over the board.

`score[p]` is the weighted sum of the features of `p`; the value of `p` is the mean over opponents
of `tanh(gain * (score[p] - score[o]) / 2)`. Finished positions have the value of their ranking.
Weights are the table of `agents.md` 4, per column; the full evaluator replaces `features` alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.values import final_values
from ringrift.rules import BoardSpec
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import (
    COLLAPSED1,
    CUR,
    DIRS,
    HEX,
    LPS_ROUNDS,
    LPS_STREAK,
    LPS_STREAK_SEAT,
    MARKER,
    OVER,
    PHASE,
    PLAYERS,
    RING_GOAL,
    SIZE,
    STACK,
    STACK1,
    TERRITORY_GOAL,
    N,
)
from ringrift.rules.placement import recovery_eligible
from ringrift.rules.turn import apply

FEATURES = (
    "stacks", "height", "cap", "hand", "elim", "territory", "ring_goal", "territory_goal",
    "markers", "center", "mobility", "blocked", "no_stack", "one_stack", "fe_risk", "adjacent",
    "buried", "recovery", "lps",
)  # fmt: skip
FEATURES_VERSION = 1

(
    STACKS, HEIGHT, CAP, HAND, ELIM, TERRITORY, RINGS_TO_GO, CELLS_TO_GO,
    MARKERS, CENTER, MOBILITY, BLOCKED, NO_STACK, ONE_STACK, FE_RISK, ADJACENT,
    BURIED, RECOVERY, LPS,
) = range(19)  # fmt: skip

_WEIGHTS = {
    "2p small": (
        9.39, 6.81, 4.82, 5.17, 13.12, 8.66, 1063, 1120, 3.76, 2.28, 6.42, 4.57, 51.0, 10.53, 2.89,
        6.11, 3, 14, 100,
    ),
    "2p large": (
        10.57, 4.52, 5.19, 1.53, 11.91, 7.24, 1032, 1016, 1.0, 4.45, 7.27, 5.8, 50.9, 9.2, 3.87,
        6.05, 4, 18, 100,
    ),
    "3p": (
        9.84, 5.8, 5.58, 1.63, 10.89, 8.4, 1027, 1048, 0.17, 4.13, 8.58, 5.7, 49.5, 10.6, 3.05,
        5.29, 3.5, 16, 100,
    ),
    "4p": (
        10.21, 6.85, 5.64, 0.25, 11.67, 6.55, 1015, 996, 0.4, 5.35, 5.8, 5.13, 50.7, 9.5, 4.99,
        4.28, 4, 18, 100,
    ),
}  # fmt: skip
GAIN = 0.02
"""Slope of the value in weighted score, until profiles carry a fitted one."""


@lru_cache(maxsize=64)
def default_weights(spec: BoardSpec) -> NDArray[np.float64]:
    """Return the default weights of a configuration, `float64[19]`; treat them as read-only."""
    if spec.players == 2:
        column = "2p small" if spec.board in ("square8", "hex8") else "2p large"
    else:
        column = f"{spec.players}p"
    return np.array(_WEIGHTS[column], np.float64)


@rule
def diminishing(x):
    """Count up to five in full and the rest at a tenth: `g` of agents.md 4."""
    return float(x) if x <= 5 else 5.0 + 0.1 * (x - 5)


@rule
def is_central(b, c):
    """Tell the central cells: 4 of square8, distance 1 on square19 and hex8, 2 on hexagonal."""
    size = b.par[SIZE]
    row = 2 * int(b.row[c]) - (size - 1)
    bit = 2 * int(b.bit[c]) - (size - 1)
    if b.par[HEX] != 0:
        return max(abs(row), abs(bit), abs(row + bit)) <= (4 if size > 9 else 2)
    return max(abs(row), abs(bit)) <= (2 if size > 8 else 1)


@rule
def stack_features(s, b, c, f):
    """Add the stack on `c` to the features of its controller."""
    mine = s.cell[c]
    p = mine - STACK
    cap = int(s.cap[c])
    f[p, STACKS] += 1
    f[p, HEIGHT] += diminishing(s.height[c])
    f[p, CAP] += diminishing(cap)
    if is_central(b, c):
        f[p, CENTER] += 1
    ways = 0
    for d in range(b.par[DIRS]):
        t = b.nbr[c, d]
        code = s.cell[t]
        if code < STACK1:
            ways += 1
        elif code < COLLAPSED1:
            if s.cap[t] <= cap:
                ways += 1
            if code != mine:
                f[p, ADJACENT] += min(2.5, max(-2.5, (cap - int(s.cap[t])) / 2))
    f[p, MOBILITY] += ways
    if ways == 0:
        f[p, BLOCKED] -= 1


@rule
def features(s, b, f):
    """Fill `f`: float64[5, 19] with the features of every seat; row 0 is unused."""
    players = b.par[PLAYERS]
    stacks = 0
    cells = 0
    for p in range(1, players + 1):
        for k in range(f.shape[1]):
            f[p, k] = 0.0
        stacks += int(s.count[STACK + p])
        cells += int(s.terr[p])
    c = 0
    while stacks > 0 and c < b.par[N]:
        if STACK1 <= s.cell[c] and s.cell[c] < COLLAPSED1:
            stacks -= 1
            stack_features(s, b, c, f)
        c += 1
    for p in range(1, players + 1):
        own = f[p, STACKS]
        terr = int(s.terr[p])
        f[p, HAND] = s.hand[p]
        f[p, ELIM] = s.elim[p]
        f[p, TERRITORY] = terr
        f[p, RINGS_TO_GO] = 1.0 / max(1, int(b.par[RING_GOAL]) - int(s.elim[p]))
        behind = max(int(b.par[TERRITORY_GOAL]) - terr, 1 + (cells - terr) - terr)
        f[p, CELLS_TO_GO] = 1.0 / max(1, behind)
        f[p, MARKERS] = s.count[MARKER + p]
        f[p, NO_STACK] = -1.0 if own == 0 else 0.0
        f[p, ONE_STACK] = -1.0 if own == 1 else 0.0
        if own > 0:
            f[p, FE_RISK] = -max(0.0, 2.0 - f[p, MOBILITY] / own)
        f[p, BURIED] = s.rings[p] - own
        f[p, RECOVERY] = 1.0 if recovery_eligible(s, p) else 0.0
        if s.misc[LPS_STREAK_SEAT] == p:
            share = s.misc[LPS_STREAK] / b.par[LPS_ROUNDS]
            f[p, LPS] = share * share


@rule
def evaluate(s, b, weights, gain, f, out):
    """Write the value of each seat to `out`: float[players]; `f`: float64[5, 19] is work space."""
    if s.misc[PHASE] == OVER:
        final_values(s, b, out)
        return
    features(s, b, f)
    players = b.par[PLAYERS]
    for p in range(1, players + 1):
        total = 0.0
        for k in range(len(weights)):
            total += weights[k] * f[p, k]
        f[p, 0] = total
    for p in range(1, players + 1):
        mean = 0.0
        for q in range(1, players + 1):
            if q != p:
                mean += math.tanh(gain * (f[p, 0] - f[q, 0]) / 2)
        out[p - 1] = mean / (players - 1)


@rule
def evaluate_all(states, n, boards, weights, gain, values):
    """Evaluate the first `n` positions into `values`: float[n, players]."""
    f = np.zeros((5, len(weights)))
    for i in range(n):
        evaluate(states[i], boards[0], weights, gain, f, values[i])


@rule
def one_ply(states, n, boards, scratch, work, moves, offsets, weights, gain, scores):
    """Score every legal move by the mover's value right after it: `scores`: float[t].

    `work`: STATE[1] holds the position after the move.
    """
    b = boards[0]
    f = np.zeros((5, len(weights)))
    out = np.zeros(4)
    for i in range(n):
        seat = states[i].misc[CUR]
        for j in range(offsets[i], offsets[i + 1]):
            work[0] = states[i]
            apply(work[0], b, scratch[0], moves[j])
            evaluate(work[0], b, weights, gain, f, out)
            scores[j] = out[seat - 1]
