# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Max-n for three and four seats: every mover takes what is best for itself.

A node's result is a vector of scores. Of moves worth the same to the mover the one is taken that
leaves the strongest opponent least, then the one that leaves the seats after the mover least in
turn, so that the result is one whatever the order of moves. Bounds of one seat say nothing of the
others: only a mover's immediate win cuts, which no longer line can equal.

Nodes are opened, their children started and absorbed as in `kernel`.
"""

from __future__ import annotations

from ringrift.agents.alphabeta.kernel import QUIET, advance, judge, open_root
from ringrift.agents.alphabeta.ordering import gen_loud, pick, place_all, place_urgently
from ringrift.agents.alphabeta.scores import (
    ESTIMATE,
    INFINITY,
    PROVEN,
    STEP,
    UNIT,
    estimate,
    seen_from,
    terminal,
)
from ringrift.agents.alphabeta.table import find, position_key, store_vector
from ringrift.agents.alphabeta.workspace import count_node, keep_line
from ringrift.agents.values import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, MOVEMENT, PHASE, PLAYERS
from ringrift.rules.turn import apply


@rule
def strongest(vector, players, seat):
    """Return the highest score of another seat than `seat`."""
    most = -INFINITY
    for p in range(players):
        if p != seat - 1:
            most = max(most, vector[p])
    return most


@rule
def prefers(one, two, players, seat):
    """Tell whether the mover `seat` would rather have `one` than `two`."""
    if one[seat - 1] != two[seat - 1]:
        return one[seat - 1] > two[seat - 1]
    first = strongest(one, players, seat)
    second = strongest(two, players, seat)
    if first != second:
        return first < second
    for i in range(1, players):
        p = (seat - 1 + i) % players
        if one[p] != two[p]:
            return one[p] < two[p]
    return False


@rule
def wins_at_once(frame, seat):
    """Tell whether the best so far is a win of the mover that ends the game with this choice."""
    return frame.vector[seat - 1] >= UNIT - STEP * (frame.choices + 1)


@rule
def look_up_vector(run, frame, s, b, table, players):
    """Find the node in the table; True if its entry answers with `frame.vector`."""
    frame.key = position_key(s, b, 0)
    at = find(table, frame.key, run.since)
    if at < 0:
        return False
    entry = table[at]
    frame.best_move = entry.move
    if entry.depth != frame.depth:
        return False
    for p in range(players):
        frame.vector[p] = seen_from(int(entry.score[p]), int(frame.choices))
    run.horizon = 1
    return True


@rule
def open_vector(run, frame, above, states, level, b, w, moves, order, table, net, work):
    """Answer the node if it needs no children, else ready it for them; True if answered.

    The answer is `frame.vector`. After an immediate win of the mover above only a finished game can
    be as good, so that a node that goes on is answered with less than anything.
    """
    s = states[level]
    players = b.par[PLAYERS]
    frame.i = 0
    frame.best_move = -1
    frame.truncated = 0
    n = advance(run, frame, states, level, b, w, moves, order)
    if run.stopped != 0:
        return True
    if n == 0:
        final_values(s, b, run.out)
        for p in range(players):
            frame.vector[p] = terminal(run.out[p], int(frame.choices))
        return True
    for p in range(players):
        frame.vector[p] = -INFINITY
    if wins_at_once(above, states[level - 1].misc[CUR]):
        return True
    if frame.depth > 0:
        if len(table) > 0 and look_up_vector(run, frame, s, b, table, players):
            return True
        kept = place_all(run, frame, states, level, b, w, moves, order, n, frame.best_move)
        frame.truncated = 1 if kept < n else 0
        frame.n = kept
        return False
    if n != QUIET and frame.q > 0:
        place_urgently(s, b, moves, order, n)
        frame.n = n
        return False
    judge(run, s, b, w, net, work)
    for p in range(players):
        frame.vector[p] = estimate(run.out[p])
    if frame.q > 0 and s.misc[PHASE] == MOVEMENT:
        frame.n = gen_loud(s, b, moves, order)
        return frame.n == 0
    return True


@rule
def start_next(run, frame, below, states, level, b, w, moves, order):
    """Set up the level below for the next child."""
    frame.move = moves[frame.i] if level == 0 else pick(moves, order, frame.i, frame.n)
    frame.i += 1
    below.depth = max(0, frame.depth - 1)
    below.q = frame.q if frame.depth > 0 else frame.q - 1
    below.choices = frame.choices + 1
    below.free = 0
    states[level + 1] = states[level]
    apply(states[level + 1], b, w, frame.move)
    count_node(run)


@rule
def absorb_vector(frame, below, s, players):
    """Take the vector of the child if the mover prefers it."""
    if prefers(below.vector, frame.vector, players, s.misc[CUR]):
        for p in range(players):
            frame.vector[p] = below.vector[p]
        frame.best_move = frame.move
        keep_line(frame, below, frame.move)


@rule
def close_vector(run, frame, s, table, players):
    """Settle the vector of a node whose moves are all searched; remember it."""
    own = s.misc[CUR] - 1
    if frame.truncated != 0 and frame.vector[own] <= -PROVEN:
        frame.vector[own] = -ESTIMATE  # moves that were left out may not lose
    if frame.depth > 0 and len(table) > 0:
        store_vector(table, run, frame, players)


@rule
def maxn_root(runs, states, frames, boards, scratch, moves, order, table, net, work, n, depth):
    """Search the root's `n` moves in their order; `frames[0].vector` holds the scores of the seats.

    `run.best` is the move, `run.done` tells how many moves were finished: all, unless the search
    was stopped.
    """
    run = runs[0]
    b = boards[0]
    w = scratch[0]
    players = b.par[PLAYERS]
    root = frames[0]
    open_root(run, root, states[0], n, depth)
    for p in range(4):
        root.vector[p] = -INFINITY
    level = 0
    opened = True
    while run.stopped == 0:
        frame = frames[level]
        if not opened:
            if not open_vector(
                run,
                frame,
                frames[level - 1],
                states,
                level,
                b,
                w,
                moves[level],
                order[level],
                table,
                net,
                work,
            ):
                opened = True
                continue
        elif frame.i < frame.n:
            start_next(
                run, frame, frames[level + 1], states, level, b, w, moves[level], order[level]
            )
            level += 1
            opened = False
            continue
        elif level == 0:
            break
        else:
            close_vector(run, frame, states[level], table, players)
        if run.stopped != 0:
            break
        level -= 1
        opened = True
        absorb_vector(frames[level], frame, states[level], players)
        if level == 0:
            run.done += 1
            run.best = root.best_move
    return run.done
