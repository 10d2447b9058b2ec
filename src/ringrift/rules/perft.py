"""Perft: count the move sequences of a given length, the classic check of a move generator."""

from __future__ import annotations

import numpy as np

from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import COMPILED, rule
from ringrift.rules.layout import OVER, PHASE
from ringrift.rules.legal import legal
from ringrift.rules.position import Position
from ringrift.rules.turn import apply


@rule
def count_sequences(states, boards, scratch, moves, left, depth):
    """Count the sequences of `depth` plies from `states[0]`, depth first on an own stack.

    `states` and `moves` (int64[depth, max_moves]) have one entry per level, `left` (int64[depth])
    the moves of each level still to be tried. Finished games end their sequence and count.
    """
    b = boards[0]
    w = scratch[0]
    if depth == 0 or states[0].misc[PHASE] == OVER:
        return 1
    total = 0
    level = 0
    left[0] = legal(states[0], b, w, moves[0])
    while level >= 0:
        if level == depth - 1:
            total += left[level]
            level -= 1
            continue
        if left[level] == 0:
            level -= 1
            continue
        left[level] -= 1
        states[level + 1] = states[level]
        apply(states[level + 1], b, w, moves[level, left[level]])
        level += 1
        if states[level].misc[PHASE] == OVER:
            total += 1
            level -= 1
        else:
            left[level] = legal(states[level], b, w, moves[level])
    return total


def perft(position: Position, depth: int) -> int:
    """Return the number of move sequences of `depth` plies from a position."""
    if not COMPILED:
        if depth == 0 or position.is_over:
            return 1
        return sum(perft(position.after(m), depth - 1) for m in position.legal_moves())
    spec = position.spec
    states = lay.zeros(max(1, depth), lay.STATE)
    states[0] = position.record()
    return int(
        count_sequences(
            states,
            board_tables(spec),
            lay.zeros(1, lay.SCRATCH),
            np.zeros((max(1, depth), spec.max_moves), np.int64),
            np.zeros(max(1, depth), np.int64),
            depth,
        )
    )
