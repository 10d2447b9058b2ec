# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The heuristic evaluator: weighted features of every seat, compared with each opponent's.

`score[p]` is the weighted sum of the features of `p`; the value of `p` is the mean over opponents
of `tanh(gain * (score[p] - score[o]) / 2)`. Finished positions have the value of their ranking.
`weights` are `Profile.effective`: 19 numbers evaluate lightly, 27 in full (`agents.md` 4).
"""

from __future__ import annotations

import math

import numpy as np

from ringrift.agents.full import FIRST_FULL, FULL_FEATURES, full_features
from ringrift.agents.light import LIGHT_FEATURES, light_features
from ringrift.agents.values import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE, PLAYERS
from ringrift.rules.turn import apply

FEATURES = LIGHT_FEATURES + FULL_FEATURES
FEATURES_VERSION = 2


@rule
def fill_features(s, b, w, f):
    """Fill `f`: float64[5, 19 or 27] with the features of every seat; row 0 is unused."""
    light_features(s, b, f)
    if f.shape[1] > FIRST_FULL:
        full_features(s, b, w, f)


@rule
def evaluate(s, b, w, weights, gain, f, out):
    """Write the value of each seat to `out`: float[players]; `f`: float64[5, k] is work space."""
    if s.misc[PHASE] == OVER:
        final_values(s, b, out)
        return
    fill_features(s, b, w, f)
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
def evaluate_all(states, n, boards, scratch, weights, gain, values):
    """Evaluate the first `n` positions into `values`: float[n, players]."""
    f = np.zeros((5, len(weights)))
    for i in range(n):
        evaluate(states[i], boards[0], scratch[0], weights, gain, f, values[i])


@rule
def features_of(states, n, boards, scratch, out):
    """Fill `out`: float64[n, 5, 19 or 27] with the features of `n` positions."""
    for i in range(n):
        fill_features(states[i], boards[0], scratch[0], out[i])


@rule
def one_ply(states, n, boards, scratch, work, moves, offsets, weights, gain, scores):
    """Score every legal move by the mover's value right after it: `scores`: float[t].

    `work`: STATE[1] holds the position after the move.
    """
    b = boards[0]
    w = scratch[0]
    f = np.zeros((5, len(weights)))
    out = np.zeros(4)
    for i in range(n):
        seat = states[i].misc[CUR]
        for j in range(offsets[i], offsets[i + 1]):
            work[0] = states[i]
            apply(work[0], b, w, moves[j])
            evaluate(work[0], b, w, weights, gain, f, out)
            scores[j] = out[seat - 1]
