# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Decoding of packed positions with their legal moves, and scores of policies, in compiled code."""

from __future__ import annotations

import math

from ringrift.nets.calibration import third_of
from ringrift.rules.engine import hash64
from ringrift.rules.jitconf import rule
from ringrift.rules.legal import legal
from ringrift.rules.packing import FINE, read_packed
from ringrift.training.samples.targets import place_target


@rule
def decode(
    rows, states, boards, scratch, buffer, offsets, keys, shares, pointer, moves, target, out
):
    """Decode packed positions with their legal moves and, beside each move, its share of the target.

    `rows`: uint8[n, S]; `offsets` (int32[n + 1]) delimits the moves of each position, `pointer`
    (int64[n + 1]) its `keys` and `shares`. Fills `states`, `moves`, `target` and `out` (int64[2, n]):
    hash and third. Returns the first position that is none or has other moves, else -1.
    """
    b = boards[0]
    for i in range(len(rows)):
        s = states[i]
        if read_packed(rows[i], s, b) != FINE:
            return i
        n = legal(s, b, scratch[0], buffer)
        if n != offsets[i + 1] - offsets[i]:
            return i
        at = offsets[i]
        for j in range(n):
            moves[at + j] = buffer[j]
        if not place_target(buffer, n, keys, shares, pointer[i], pointer[i + 1], target, at):
            return i
        out[0, i] = hash64(states, i, boards)
        out[1, i] = third_of(s, b)
    return -1


@rule
def score_policy(logits, target, offsets, scores):
    """Fill `scores` (float64[3, n]): cross-entropy, entropy of the target, first choice right."""
    for i in range(len(offsets) - 1):
        first = offsets[i]
        last = offsets[i + 1]
        best = first
        most = 0.0
        for j in range(first, last):
            if logits[j] > logits[best]:
                best = j
            most = max(most, target[j])
        total = 0.0
        for j in range(first, last):
            total += math.exp(logits[j] - logits[best])
        log_total = math.log(total) + logits[best]
        cross = 0.0
        entropy = 0.0
        for j in range(first, last):
            share = target[j]
            if share > 0.0:
                cross += share * (log_total - logits[j])
                entropy -= share * math.log(share)
        scores[0, i] = cross
        scores[1, i] = entropy
        scores[2, i] = 1.0 if target[best] >= most else 0.0
