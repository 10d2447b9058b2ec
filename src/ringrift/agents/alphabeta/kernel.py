# ruff: noqa: PLR1714 - compiled rules: Numba compiles comparisons, not tuple memberships
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The search: principal-variation alpha-beta over one seat's score, with quiescence.

Scores belong to the seat `ref`: seat 1 of two, the searching seat of more. It maximises, all others
minimise, which is *paranoid* play. In *best-reply* play (brs) one opponent after the other is let
search while the rest play what `ordering` puts first, and the least of the results counts.

Depth counts choices; plies with one legal move are free. At depth 0 a turn is played on to the next
placement or movement before it is judged (quiescence, where every opponent searches).

A node is opened (played on, answered or given its moves), its children are started one by one and
absorbed, and it is closed. Between these steps all it knows stands in its frame.
"""

from __future__ import annotations

from ringrift.agents.alphabeta.leaf import CONSTANT, NNUE
from ringrift.agents.alphabeta.ordering import (
    gen_loud,
    pick,
    place_all,
    place_lightly,
    place_urgently,
    praise,
)
from ringrift.agents.alphabeta.scores import (
    ESTIMATE,
    INFINITY,
    PROVEN,
    estimate,
    seen_from,
    terminal,
)
from ringrift.agents.alphabeta.table import (
    AT_LEAST,
    AT_MOST,
    EXACT,
    find,
    position_key,
    store,
)
from ringrift.agents.alphabeta.workspace import (
    BEST_REPLY,
    HISTORY,
    MAX_FORCED,
    NOT_FINITE,
    POLL_NODES,
    PV_LENGTH,
    STUCK,
    count_node,
    keep_line,
    tick,
)
from ringrift.agents.evaluation import evaluate
from ringrift.agents.values import final_values
from ringrift.nets.nnue import forward
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, MOVEMENT, OVER, PHASE, PLACEMENT, PLAYERS, N
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply
from ringrift.rules.victory import is_out

QUIET = -1


@rule
def is_quiet(s):
    """Tell whether a position may be judged as it stands: before a placement or a movement."""
    return s.misc[PHASE] == PLACEMENT or s.misc[PHASE] == MOVEMENT


@rule
def plays_first_ordered(run, frame, s):
    """Tell whether the mover is an opponent that best-reply play does not let search."""
    seat = s.misc[CUR]
    return frame.free != 0 and frame.depth > 0 and seat != run.ref and seat != frame.free


@rule
def advance(run, frame, states, level, b, w, moves, order):
    """Play the level's position on to its next choice; return the number of moves there.

    Forced plies are played, and the first-ordered moves of opponents that do not search. 0 where
    the game is over (or the search failed), `QUIET` at a quiet horizon.
    """
    s = states[level]
    frame.forced = 0
    frame.pv_n = 0
    while s.misc[PHASE] != OVER:
        if frame.depth == 0 and is_quiet(s):
            return QUIET
        n = legal(s, b, w, moves)
        if n == 0:
            run.error = STUCK
            run.stopped = 1
            return 0
        if frame.forced >= MAX_FORCED or (n > 1 and not plays_first_ordered(run, frame, s)):
            return n
        if n > 1:
            place_urgently(s, b, moves, order, n)
            place_lightly(run, states, level, b, w, moves, order, n)
            pick(moves, order, 0, n)
        apply(s, b, w, moves[0])
        if frame.forced < PV_LENGTH:
            frame.pv[frame.forced] = moves[0]
            frame.pv_n = frame.forced + 1
        frame.forced += 1
        count_node(run)
        if run.stopped != 0:
            return 0
    return 0


@rule
def judge(run, s, b, w, net, work):
    """Evaluate an unfinished position into `run.out`: the one place that knows kinds of leaves."""
    run.horizon = 1
    if run.kind == CONSTANT:
        for p in range(4):
            run.out[p] = 0.0
        return
    if run.kind == NNUE:
        forward.evaluate(s, b, net, work, run.out)
    elif run.full != 0:
        evaluate(s, b, w, run.weights, run.gain, run.f, run.out)
    else:
        evaluate(s, b, w, run.light_weights, run.gain, run.light_f, run.out)
    tick(run, b.par[N])  # takes as long as some of the board's nodes
    for p in range(b.par[PLAYERS]):
        if not (run.out[p] >= -2.0 and run.out[p] <= 2.0):
            run.error = NOT_FINITE
            run.stopped = 1


@rule
def look_up(run, frame, s, b, table):
    """Find the node in the table; True if its entry answers with `frame.best`.

    A wide window is searched again for its line. `frame.best_move` becomes the entry's move.
    """
    whose = run.ref | (run.mode << 3) | (frame.free << 6)
    frame.key = position_key(s, b, whose)
    at = find(table, frame.key, run.since)
    if at < 0:
        return False
    entry = table[at]
    frame.best_move = entry.move
    if entry.depth != frame.depth or frame.beta - frame.alpha > 1:
        return False
    v = seen_from(int(entry.score), int(frame.choices))
    if (
        entry.bound == EXACT
        or (entry.bound == AT_LEAST and v >= frame.beta)
        or (entry.bound == AT_MOST and v <= frame.alpha)
    ):
        run.horizon = 1
        frame.best = v
        return True
    return False


@rule
def open_node(run, frame, states, level, b, w, moves, order, table, net, work):
    """Answer the node if it needs no children, else ready it for them; True if answered.

    The answer is `frame.best`, as `ref` sees it. Worthless once `run.stopped` is set.
    """
    s = states[level]
    frame.i = 0
    frame.best_move = -1
    frame.probing = 0
    frame.again = 0
    frame.truncated = 0
    frame.split = -1
    n = advance(run, frame, states, level, b, w, moves, order)
    if run.stopped != 0:
        return True
    if n == 0:
        final_values(s, b, run.out)
        frame.best = terminal(run.out[run.ref - 1], int(frame.choices))
        return True
    frame.side = 1 if s.misc[CUR] == run.ref else -1
    if run.mode == BEST_REPLY and frame.depth > 0:
        if frame.side > 0:
            frame.free = 0
        elif frame.free == 0:
            frame.split = 0
            frame.best = INFINITY
            return False
    frame.low = frame.alpha if frame.side > 0 else -frame.beta
    frame.high = frame.beta if frame.side > 0 else -frame.alpha
    frame.first_low = frame.low
    frame.best = -INFINITY
    if frame.depth > 0:
        if len(table) > 0 and look_up(run, frame, s, b, table):
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
    v = estimate(run.out[run.ref - 1])
    frame.best = frame.side * v
    frame.n = 0
    if frame.q > 0 and s.misc[PHASE] == MOVEMENT and frame.best < frame.high:
        frame.n = gen_loud(s, b, moves, order)
    if frame.n == 0:
        frame.best = v
        return True
    frame.low = max(frame.low, frame.best)
    return False


@rule
def next_opponent(run, frame, s, b):
    """Return the next opponent to be let search at a split, 0 if the least is found."""
    if frame.best <= frame.alpha:
        return 0
    o = int(frame.split) + 1
    while o <= b.par[PLAYERS] and (o == run.ref or is_out(s, o)):
        o += 1
    return o if o <= b.par[PLAYERS] else 0


@rule
def start_child(run, frame, below, states, level, b, w, moves, order, ordered):
    """Set up the level below for the next child; False if there is none."""
    if frame.split >= 0:
        o = next_opponent(run, frame, states[level], b)
        if o == 0:
            return False
        frame.split = o
        states[level + 1] = states[level]
        below.depth = frame.depth
        below.q = frame.q
        below.choices = frame.choices
        below.free = o
        below.alpha = frame.alpha
        below.beta = min(frame.beta, frame.best)
        return True
    if frame.i >= frame.n:
        return False
    if frame.again == 0:
        frame.move = moves[frame.i] if ordered else pick(moves, order, frame.i, frame.n)
        frame.probing = 1 if frame.i > 0 and frame.high - frame.low > 1 else 0
    else:
        frame.again = 0
        frame.probing = 0
    high = frame.low + 1 if frame.probing != 0 else frame.high
    below.alpha = frame.low if frame.side > 0 else -high
    below.beta = high if frame.side > 0 else -frame.low
    below.depth = max(0, frame.depth - 1)
    below.q = frame.q if frame.depth > 0 else frame.q - 1
    below.choices = frame.choices + 1
    below.free = frame.free
    states[level + 1] = states[level]
    apply(states[level + 1], b, w, frame.move)
    count_node(run)
    return True


@rule
def absorb(run, frame, below, s, b, score):
    """Take the score of the child, as `ref` sees it; True if that settles its move."""
    if frame.split >= 0:
        if score < frame.best:
            frame.best = score
            keep_line(frame, below, -1)
        return True
    v = frame.side * score
    if frame.probing != 0 and v > frame.low and v < frame.high:
        frame.again = 1
        return False
    frame.i += 1
    if v > frame.best:
        frame.best = v
        frame.best_move = frame.move
        if v > frame.low:
            frame.low = v
            if frame.high - frame.first_low > 1:
                keep_line(frame, below, frame.move)
        if v >= frame.high:
            frame.n = 0  # no other move is needed
            if frame.depth > 0:
                praise(run, frame, s, b, frame.move)
    return True


@rule
def close_node(run, frame, table):
    """Return the score of a node without further children, as `ref` sees it; remember it."""
    if frame.split >= 0:
        return frame.best
    if frame.truncated != 0 and frame.best <= -PROVEN:
        frame.best = -ESTIMATE  # moves that were left out may not lose
    score = frame.side * frame.best
    if frame.depth > 0 and len(table) > 0:
        bound = EXACT
        if frame.best >= frame.high:
            bound = AT_LEAST if frame.side > 0 else AT_MOST
        elif frame.best <= frame.first_low:
            bound = AT_MOST if frame.side > 0 else AT_LEAST
        store(table, run, frame, score, bound)
    return score


@rule
def open_root(run, frame, s, n, depth):
    """Ready the root for its `n` ordered moves, whatever the width."""
    run.best = -1
    run.done = 0
    run.horizon = 0
    frame.depth = depth
    frame.q = run.q
    frame.choices = 0
    frame.free = 0
    frame.split = -1
    frame.side = 1 if s.misc[CUR] == run.ref else -1
    frame.best = -INFINITY
    frame.best_move = -1
    frame.i = 0
    frame.n = n
    frame.probing = 0
    frame.again = 0
    frame.forced = 0
    frame.pv_n = 0


@rule
def search_root(
    runs, states, frames, boards, scratch, moves, order, table, net, work, n, depth, alpha, beta
):
    """Search the root's `n` moves in their order; return the best score in the mover's terms.

    (alpha, beta) is in the mover's terms too, and the score fail-soft. `run.best` is the move,
    `run.done` tells how many moves were finished: all, unless the search was stopped or one failed
    high.
    """
    run = runs[0]
    b = boards[0]
    w = scratch[0]
    root = frames[0]
    open_root(run, root, states[0], n, depth)
    root.low = alpha
    root.high = beta
    root.first_low = alpha
    level = 0
    opened = True
    while run.stopped == 0:
        frame = frames[level]
        if not opened:
            if not open_node(
                run, frame, states, level, b, w, moves[level], order[level], table, net, work
            ):
                opened = True
                continue
            score = frame.best
        elif start_child(
            run,
            frame,
            frames[level + 1],
            states,
            level,
            b,
            w,
            moves[level],
            order[level],
            level == 0,
        ):
            level += 1
            opened = False
            continue
        elif level == 0:
            break
        else:
            score = close_node(run, frame, table)
        if run.stopped != 0:
            break
        level -= 1
        opened = True
        above = frames[level]
        if absorb(run, above, frame, states[level], b, score) and level == 0:
            run.done += 1
            run.best = above.best_move
    return root.best


@rule
def prepare(runs, states, frames, boards, scratch, moves, order, n):
    """Clear what searches leave and order the root's `n` moves in `moves[0]`.

    The root is `states[0]`. Every move is kept, whatever the width.
    """
    run = runs[0]
    run.stopped = 0
    run.error = 0
    run.nodes = 0
    run.due = POLL_NODES
    for level in range(len(frames)):
        frames[level].killers[0] = -1
        frames[level].killers[1] = -1
    for seat in range(5):
        for k in range(HISTORY):
            run.history[seat, k] = 0
    place_urgently(states[0], boards[0], moves[0], order[0], n)
    place_lightly(run, states, 0, boards[0], scratch[0], moves[0], order[0], n)
    for i in range(n):
        pick(moves[0], order[0], i, n)
    tick(run, POLL_NODES)
