# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Best-first trees of many games as flat arrays, and the rules that walk them.

`trees`: BEST_TREE[g], `nodes`: BEST_NODE[g, node], `forced`: int64[g, move]. Node 0 is the root; the
children of a node lie side by side and are made together, each with its value. Nodes hold no
position: the root is copied and the moves on the way are played again. Plies with one legal move
belong to the node they lead to.

Cohen-Solal 2020, "Learning to play two-player perfect-information games without knowledge"
(unbounded best-first minimax), with his completion: a result that is proven is kept apart from
estimates, and walks pass by it. Nothing is negated: a value has an entry per seat and a node reads
that of its mover, so that one rule serves two to four players.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.streams import below, stream
from ringrift.agents.values import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE, PLAYERS, PLY
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply

BEST_NODE = np.dtype(
    [
        ("value", np.float32, (4,)),  # of the best child, before expansion the evaluator's
        ("move", np.int64),  # that leads here
        ("first", np.int32),  # its children
        ("count", np.int32),
        ("parent", np.int32),  # -1 at the root
        ("n", np.int32),  # walks through it
        ("forced", np.int32),  # forced plies after the move, in the pool
        ("forced_n", np.int32),
        ("depth", np.int32),  # choices from the root
        ("length", np.int32),  # choices to the end of a proven result
        ("seat", np.int8),  # to move; 0 in a finished game
        ("state", np.int8),
        ("cut", np.int8),  # 1 if some of its moves have no child
    ],
    align=True,
)

BEST_TREE = np.dtype(
    [
        ("nodes", np.int32),  # used
        ("forced", np.int32),
        ("leaf", np.int32),  # node to expand
        ("sims", np.int32),  # most expansions
        ("most", np.int32),  # nodes after which none is expanded
        ("done", np.int32),  # expansions
        ("max_depth", np.int32),
        ("depth", np.int32),  # deepest node, in choices
        ("error", np.int32),
    ],
    align=True,
)

OPEN, CLOSED, RESOLVED = range(3)
"""A node that walks may enter; one with nothing left to expand below; one whose result is proven."""

UNLIMITED = (1 << 31) - 1
MOST_FORCED = 32
"""Forced plies kept with one node; a longer row goes on in a child of its own."""

PROVEN = 2.0
"""Worth beyond this is a proven win, below its negative a proven last place."""

PER_CHOICE = 1e-6

NO_ERROR, STUCK, NOT_FINITE = range(3)
ERRORS = (
    "",
    "a position without a legal move that is not over",
    "the evaluator returned a number that is not finite",
)


@rule
def worth(nodes, g, at, p):
    """Return what a node is worth to seat `p` (from 0): a proven end outweighs any estimate.

    Of wins the quicker is worth more, of losses the slower.
    """
    node = nodes[g, at]
    v = float(node.value[p])
    if node.state == RESOLVED:
        if v == 1.0:
            return v + PROVEN - PER_CHOICE * node.length
        if v == -1.0:
            return v - PROVEN + PER_CHOICE * node.length
    return v


@rule
def plant(roots, n, trees, nodes, max_depth):
    """Start the trees of `n` positions; `sims` and `most` are set already."""
    for g in range(n):
        t = trees[g]
        t.nodes = 1
        t.forced = 0
        t.leaf = 0
        t.done = 0
        t.max_depth = max_depth[g]
        t.depth = 0
        t.error = NO_ERROR
        clear_node(nodes, g, 0, -1, 0, 0)
        nodes[g, 0].seat = roots[g].misc[CUR]


@rule
def clear_node(nodes, g, at, parent, move, forced):
    """Make an open node without children."""
    node = nodes[g, at]
    for p in range(4):
        node.value[p] = 0.0
    node.move = move
    node.first = 0
    node.count = 0
    node.parent = parent
    node.n = 0
    node.forced = forced
    node.forced_n = 0
    node.depth = 0 if parent < 0 else nodes[g, parent].depth + 1
    node.length = 0
    node.seat = 0
    node.state = OPEN
    node.cut = 0


@rule
def best_open(nodes, g, at):
    """Return the open child best for the mover; of equals the least walked, then the first."""
    node = nodes[g, at]
    p = node.seat - 1
    best = -1
    best_value = -math.inf
    best_n = 0
    for c in range(node.first, node.first + node.count):
        child = nodes[g, c]
        if child.state == OPEN:
            v = child.value[p]
            if v > best_value or (v == best_value and child.n < best_n):
                best = c
                best_value = v
                best_n = child.n
    return best


@rule
def walk(s, b, w, nodes, forced, g):
    """Play the best line of game `g` in `s` to a node without children; return it."""
    at = 0
    while nodes[g, at].count > 0:
        at = best_open(nodes, g, at)
        node = nodes[g, at]
        node.n += 1
        apply(s, b, w, node.move)
        for i in range(node.forced, node.forced + node.forced_n):
            apply(s, b, w, forced[g, i])
    return at


@rule
def gather(
    roots, start, n, leaves, games, boards, scratch, trees, nodes, forced, moves, offsets, room
):
    """Walk each unfinished game from `start` on to the node it expands next.

    Leaf k is `leaves[k]` of game `games[k]` with legal moves `moves[offsets[k]:offsets[k + 1]]`.
    Stops once `room` moves are reached, so that a round's children fit in memory; returns the
    number of leaves and the game to go on with.
    """
    b = boards[0]
    w = scratch[0]
    k = 0
    offsets[0] = 0
    g = start
    while g < n and offsets[k] < room:
        t = trees[g]
        more = t.done < t.sims and t.nodes < t.most and nodes[g, 0].state == OPEN
        if more or t.done == 0:
            leaves[k] = roots[g]
            t.leaf = walk(leaves[k], b, w, nodes, forced, g)
            first = offsets[k]
            offsets[k + 1] = first + legal(leaves[k], b, w, moves[first:])
            games[k] = g
            k += 1
        g += 1
    return k, g


@rule
def settle(s, b, w, nodes, trees, forced, g, at, buffer):
    """Play on in `s` while there is one legal move; False if the game is over.

    The forced plies are kept with node `at`, which gets its mover, or its result.
    """
    t = trees[g]
    node = nodes[g, at]
    n = legal(s, b, w, buffer)
    while n == 1 and node.forced_n < MOST_FORCED:
        forced[g, t.forced] = buffer[0]
        t.forced += 1
        node.forced_n += 1
        apply(s, b, w, buffer[0])
        n = legal(s, b, w, buffer)
    if s.misc[PHASE] == OVER:
        final_values(s, b, node.value)
        node.state = RESOLVED
        return False
    node.seat = s.misc[CUR]
    if n == 0:
        t.error = STUCK
    elif node.depth >= t.max_depth:
        node.state = CLOSED
    return True


@rule
def spread(
    leaves, n, games, children, of_game, of_node, boards, scratch, trees, nodes, forced, moves,
    offsets, buffer,
):  # fmt: skip
    """Make the children of `n` leaves; return how many want a value.

    Child c is `children[c]`, node `of_node[c]` of game `of_game[c]`. Finished games have theirs.
    """
    b = boards[0]
    w = scratch[0]
    c = 0
    for k in range(n):
        g = games[k]
        t = trees[g]
        leaf = nodes[g, t.leaf]
        leaf.first = t.nodes
        leaf.count = offsets[k + 1] - offsets[k]
        for j in range(offsets[k], offsets[k + 1]):
            at = t.nodes
            t.nodes = at + 1
            clear_node(nodes, g, at, t.leaf, moves[j], t.forced)
            children[c] = leaves[k]
            apply(children[c], b, w, moves[j])
            if settle(children[c], b, w, nodes, trees, forced, g, at, buffer):
                of_game[c] = g
                of_node[c] = at
                c += 1
    return c


@rule
def back_up(nodes, g, at):
    """Give a node the value of its best child, and so all above it while that changes them."""
    below_changed = True
    while at >= 0 and below_changed:
        node = nodes[g, at]
        p = node.seat - 1
        best = node.first
        most = -math.inf
        solved = node.cut == 0
        state = CLOSED
        for c in range(node.first, node.first + node.count):
            x = worth(nodes, g, c, p)
            if x > most:
                most = x
                best = c
            if nodes[g, c].state != RESOLVED:
                solved = False
                if nodes[g, c].state == OPEN:
                    state = OPEN
        if solved or most > PROVEN:
            state = RESOLVED
        child = nodes[g, best]
        length = child.length + 1 if state == RESOLVED else 0
        below_changed = node.state != state or node.length != length
        node.state = state
        node.length = length
        for q in range(4):
            if node.value[q] != child.value[q]:
                node.value[q] = child.value[q]
                below_changed = True
        at = node.parent


@rule
def absorb(n, games, wanted, of_game, of_node, boards, trees, nodes, values):
    """Store the values of `wanted` children and back up the `n` leaves they belong to."""
    players = boards[0].par[PLAYERS]
    for c in range(wanted):
        for p in range(players):
            if not math.isfinite(values[c, p]):
                trees[of_game[c]].error = NOT_FINITE
            nodes[of_game[c], of_node[c]].value[p] = values[c, p]
    for k in range(n):
        g = games[k]
        t = trees[g]
        t.done += 1
        t.depth = max(t.depth, nodes[g, t.leaf].depth + 1)
        back_up(nodes, g, t.leaf)


@rule
def decide(nodes, g, at, x, y):
    """Return the child to play, equals by the stream (x, y): the safe decision of the paper.

    A proven win, the quickest; else of the children that are not proven the most walked, of those
    the best, unless a proven result between win and last place is worth as much; if all are
    proven, the best of them.
    """
    node = nodes[g, at]
    p = node.seat - 1
    first = node.first
    last = first + node.count
    top = -math.inf
    between = -math.inf
    walked = -1
    value = -math.inf
    for c in range(first, last):
        v = worth(nodes, g, c, p)
        top = max(top, v)
        if nodes[g, c].state == RESOLVED:
            if abs(v) < PROVEN:
                between = max(between, v)
        elif nodes[g, c].n > walked or (nodes[g, c].n == walked and v > value):
            walked = nodes[g, c].n
            value = v
    proven = top > PROVEN or walked < 0
    if not proven and between >= value:
        proven = True
        top = between
    level = 0
    for c in range(first, last):
        level += is_answer(nodes, g, c, p, proven, top, walked, value)
    left = below(x, y, 0, level)
    for c in range(first, last):
        if is_answer(nodes, g, c, p, proven, top, walked, value):
            if left == 0:
                return c
            left -= 1
    return first


@rule
def is_answer(nodes, g, c, p, proven, top, walked, value):
    """Tell whether `decide` may return child `c`."""
    if proven:
        return nodes[g, c].state == RESOLVED and worth(nodes, g, c, p) == top
    if nodes[g, c].state == RESOLVED or nodes[g, c].n != walked:
        return False
    return worth(nodes, g, c, p) == value


@rule
def best_line(nodes, forced, g, c, line):
    """Write the line that begins with child `c`, forced plies included; return its length."""
    n = 0
    while n < len(line):
        node = nodes[g, c]
        line[n] = node.move
        n += 1
        for i in range(node.forced, node.forced + node.forced_n):
            if n < len(line):
                line[n] = forced[g, i]
                n += 1
        if node.count == 0:
            break
        c = decide(nodes, g, c, 0, 0)
    return n


@rule
def harvest(
    roots, n, seeds, purpose, tau, trees, nodes, forced, chosen, policy, visits, offsets, lines,
    lengths,
):  # fmt: skip
    """Read the answers: `chosen`: int64[n] and, over all root moves, `policy` and `visits`.

    `policy`: float64[t] is a softmax of the children's values to the mover at `tau`; `lines`:
    int64[n, 16] with `lengths`: int32[n].
    """
    for g in range(n):
        root = nodes[g, 0]
        m = roots[g].misc
        x, y = stream(seeds[g], m[PLY], m[CUR], purpose)
        c = decide(nodes, g, 0, x, y)
        chosen[g] = c - root.first
        lengths[g] = best_line(nodes, forced, g, c, lines[g])
        p = root.seat - 1
        base = offsets[g] - root.first
        top = -math.inf
        for i in range(root.first, root.first + root.count):
            top = max(top, float(nodes[g, i].value[p]))
        total = 0.0
        for i in range(root.first, root.first + root.count):
            visits[base + i] = nodes[g, i].n
            policy[base + i] = math.exp((float(nodes[g, i].value[p]) - top) / tau)
            total += policy[base + i]
        for i in range(root.first, root.first + root.count):
            policy[base + i] /= total


class Grove:
    """The arrays of `games` trees; nodes and forced plies grow as they are needed."""

    def __init__(self, games: int) -> None:
        self.games = games
        self.trees = np.zeros(games, BEST_TREE)
        self.nodes = np.zeros((games, 1024), BEST_NODE)
        self.forced = np.zeros((games, 4096), np.int64)

    def make_room(self, games: NDArray[Any], counts: NDArray[Any]) -> None:
        """Make room for `counts` more children in `games`."""
        used, plies = self.trees["nodes"][games], self.trees["forced"][games]
        self.nodes = _widened(self.nodes, self.trees["nodes"], int((used + counts).max()))
        need = int((plies + MOST_FORCED * counts).max())
        self.forced = _widened(self.forced, self.trees["forced"], need)


def _widened(rows: NDArray[Any], used: NDArray[Any], need: int) -> NDArray[Any]:
    have = rows.shape[1]
    if need <= have:
        return rows
    # What no game has used is not copied, so that its pages stay untouched.
    most = int(used.max())
    wider = np.zeros((len(rows), max(need, 2 * have)), rows.dtype)
    wider[:, :most] = rows[:, :most]
    return wider
