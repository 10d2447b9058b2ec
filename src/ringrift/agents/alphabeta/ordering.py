# ruff: noqa: PLR1714, SIM109 - compiled rules: Numba compiles comparisons, not tuple memberships
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The order in which moves are tried.

    table move | payments and lines | captures that gain | killers | history | the rest, lightly

The places of payments, lines and captures and the light evaluation follow from the position alone:
`width` and best-reply play choose by them, so that they never depend on what was searched before.
"""

from __future__ import annotations

from ringrift.agents.alphabeta.workspace import HISTORY, PLAIN, tick
from ringrift.agents.evaluation import evaluate
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, EMPTY, LINE_LENGTH, ONLY, STACK, N
from ringrift.rules.lines import run_from
from ringrift.rules.movement import gen_captures
from ringrift.rules.moves import (
    CAPTURES,
    CONTINUE,
    FORCE,
    LINE,
    NONE,
    OPTION,
    PAY,
    RECOVER,
    REGION,
    a_of,
    b_of,
    c_of,
    kind_of,
    x_of,
)
from ringrift.rules.turn import apply

FIRST = 1 << 40
PAYMENT = 1 << 36
CAPTURE = 1 << 34
KILLER = 1 << 33
USED = 1 << 30

LIGHT_DEPTH = 2
"""Below this depth a light evaluation of every move costs more than it saves."""

MAX_LOUD = 8
"""Captures that quiescence tries at a movement."""


@rule
def exchange(s, m):
    """Return what a capture wins: the cap it takes from, less the ring a marker costs."""
    target = b_of(m)
    won = int(s.cap[target]) if s.cell[target] != s.cell[a_of(m)] else 0
    return won - (1 if s.cell[c_of(m)] != EMPTY else 0)


@rule
def line_gain(s, b, m):
    """Return the cells a line brings, less two where a ring is to be paid."""
    if kind_of(m) == OPTION and c_of(m) != NONE:
        return int(b.par[LINE_LENGTH])
    first = a_of(m)
    return run_from(s, b, first, b.axis[x_of(m)], s.cell[first]) - 2


@rule
def urgency(s, b, m):
    """Return the place of a payment, a line or a capture that gains; 0 for any other move."""
    kind = kind_of(m)
    if kind == CAPTURES or kind == CONTINUE:
        won = exchange(s, m)
        return CAPTURE + won if won > 0 else 0
    if kind == LINE or kind == OPTION:
        return PAYMENT + 1024 + line_gain(s, b, m)
    if kind == PAY or kind == FORCE:
        return PAYMENT + 512 - int(s.cap[a_of(m)])
    if kind == REGION or kind == RECOVER:
        return PAYMENT
    return 0


@rule
def slot(m):
    """Return the place of a move in the history."""
    return ((int(m) * 0x2C1B3C6D) >> 17) & (HISTORY - 1)


@rule
def place_urgently(s, b, moves, order, n):
    """Place payments, lines and captures that gain; 0 for the rest."""
    for i in range(n):
        order[i] = urgency(s, b, moves[i])


@rule
def place_lightly(run, states, level, b, w, moves, order, n):
    """Place the moves that have no place yet by a light evaluation of the position after each.

    The value is that of the mover, but for opponents of paranoid play, who want what hurts the seat
    that searches. The level below is work space.
    """
    if run.light == 0:
        return
    seat = states[level].misc[CUR]
    against = run.mode == PLAIN and seat != run.ref
    for i in range(n):
        if order[i] == 0 and run.stopped == 0:
            states[level + 1] = states[level]
            apply(states[level + 1], b, w, moves[i])
            evaluate(states[level + 1], b, w, run.light_weights, run.gain, run.light_f, run.out)
            tick(run, b.par[N] // 8)
            v = -run.out[run.ref - 1] if against else run.out[seat - 1]
            order[i] = 1 + int((v + 1.0) * 1_000_000.0)


@rule
def place_by_experience(run, frame, seat, moves, order, n, best):
    """Raise the table's move `best`, the killers, and quiet moves that were good elsewhere."""
    for i in range(n):
        m = moves[i]
        if m == best:
            order[i] = FIRST
        elif order[i] < USED:
            if m == frame.killers[0]:
                order[i] = KILLER + 1
            elif m == frame.killers[1]:
                order[i] = KILLER
            elif run.history[seat, slot(m)] > 0:
                order[i] = USED + run.history[seat, slot(m)]


@rule
def pick(moves, order, i, n):
    """Bring the move with the highest place among `i` to `n - 1` to `i`; return it."""
    best = i
    for j in range(i + 1, n):
        if order[j] > order[best]:
            best = j
    m = moves[best]
    if best != i:
        moves[best] = moves[i]
        moves[i] = m
        there = order[best]
        order[best] = order[i]
        order[i] = there
    return m


@rule
def place_all(run, frame, states, level, b, w, moves, order, n, best):
    """Order the moves of a node; return how many are to be searched: the width, or all."""
    seat = states[level].misc[CUR]
    narrow = run.width > 0 and n > run.width
    place_urgently(states[level], b, moves, order, n)
    if not narrow:
        place_by_experience(run, frame, seat, moves, order, n, best)
    if narrow or frame.depth >= LIGHT_DEPTH:
        place_lightly(run, states, level, b, w, moves, order, n)
    if narrow:
        count = n
        n = int(run.width)
        for i in range(n):
            pick(moves, order, i, count)
        place_by_experience(run, frame, seat, moves, order, n, best)
    return n


@rule
def gen_loud(s, b, moves, order):
    """List the captures that gain at a movement, the best first, at most `MAX_LOUD`."""
    mine = STACK + s.misc[CUR]
    only = s.misc[ONLY]
    n = 0
    if only >= 0:
        if s.cell[only] == mine:
            n = gen_captures(s, b, only, CAPTURES, moves, n)
    else:
        left = s.count[mine]
        c = 0
        while left > 0:
            if s.cell[c] == mine:
                left -= 1
                n = gen_captures(s, b, c, CAPTURES, moves, n)
            c += 1
    loud = 0
    for i in range(n):
        won = exchange(s, moves[i])
        if won > 0:
            moves[loud] = moves[i]
            order[loud] = won
            loud += 1
    kept = min(loud, MAX_LOUD)
    for i in range(kept):
        pick(moves, order, i, loud)
    return kept


@rule
def praise(run, frame, s, b, m):
    """Remember a quiet move that cut its node."""
    if urgency(s, b, m) != 0:
        return
    if frame.killers[0] != m:
        frame.killers[1] = frame.killers[0]
        frame.killers[0] = m
    seat = s.misc[CUR]
    at = slot(m)
    run.history[seat, at] = min(run.history[seat, at] + frame.depth * frame.depth, USED - 1)
