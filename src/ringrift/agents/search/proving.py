# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Proven results: what the finished games of a tree say for certain, apart from its estimates.

Each node bounds the result of every seat, `low[p] <= result <= high[p]`, in whole numbers: opponents
beaten minus opponents lost to, from `1 - players` (last) to `players - 1` (the win). A finished game
has equal bounds; a move never visited has the widest. The mover gets the largest low and the
largest high of its moves; the others get the range over the moves it may still choose.

A move is *out* where proofs make another one better: its best result is below one that is certain;
or it is lost and another may not be; or a win is certain elsewhere. So a node is proven for its
mover by one winning move, or by all moves; for two players that is all there is to prove. With
more, a mover that is indifferent leaves the others' results open, and they stay bounds.

Winands, Bjornsson, Saito 2008 (proofs in Monte-Carlo trees); Cazenave, Saffidine 2010 (bounds).
"""

from __future__ import annotations

from ringrift.rules.jitconf import rule


@rule
def close_finished(node, players):
    """Set the bounds of a finished game to its result, which is its raw value."""
    for p in range(players):
        result = round(node.raw[p] * (players - 1))
        node.low[p] = result
        node.high[p] = result
    node.closed = 1


@rule
def read_result(node, players, out):
    """Write the values of a closed node to `out`: float64[4]."""
    for p in range(players):
        out[p] = node.low[p] / (players - 1)


@rule
def is_settled(node):
    """Tell whether the result of the node's mover is proven."""
    m = node.seat - 1
    return node.low[m] == node.high[m]


@rule
def best_bounds(nodes, edges, g, at, m, most):
    """Return the largest low and the largest high of seat `m` over the moves of a node."""
    node = nodes[g, at]
    low = -most
    high = -most
    for e in range(node.first, node.first + node.count):
        child = edges[g, e].child
        if child < 0:
            high = most
        else:
            low = max(low, int(nodes[g, child].low[m]))
            high = max(high, int(nodes[g, child].high[m]))
    return low, high


@rule
def review(nodes, edges, g, at, players):
    """Work out bounds and ruled-out moves of a node anew; tell whether a bound changed."""
    node = nodes[g, at]
    most = players - 1
    m = node.seat - 1
    sure, hope = best_bounds(nodes, edges, g, at, m, most)
    changed = node.low[m] != sure or node.high[m] != hope
    node.low[m] = sure
    node.high[m] = hope
    for p in range(players):
        if p != m:
            changed = bound_other(nodes, edges, g, at, m, p, most) or changed
    for e in range(node.first, node.first + node.count):
        edge = edges[g, e]
        lo = -most
        hi = most
        if edge.child >= 0:
            lo = int(nodes[g, edge.child].low[m])
            hi = int(nodes[g, edge.child].high[m])
            if lo == hi:
                edge.proven = 1
                edge.q = (lo / most + 1.0) / 2
        out = hi < sure or (sure == most and lo < most) or (hi == -most and hope > -most)
        edge.out = 1 if out else 0
    node.closed = 1
    for p in range(players):
        if node.low[p] != node.high[p]:
            node.closed = 0
    return changed


@rule
def bound_other(nodes, edges, g, at, m, p, most):
    """Bound seat `p` over the moves that the mover `m` may still choose; tell of a change.

    `low[m]` of the node is up to date. Lost moves count as long as all may be lost: a bound must
    not widen again.
    """
    node = nodes[g, at]
    sure = int(node.low[m])
    low = most
    high = -most
    for e in range(node.first, node.first + node.count):
        child = edges[g, e].child
        if child < 0:
            if sure < most:
                low = -most
                high = most
        else:
            c = nodes[g, child]
            if c.high[m] >= sure and (sure < most or c.low[m] == most):
                low = min(low, int(c.low[p]))
                high = max(high, int(c.high[p]))
    if sure == most:
        high = min(high, most - 2)  # beaten by the mover
    changed = node.low[p] != low or node.high[p] != high
    node.low[p] = low
    node.high[p] = high
    return changed


@rule
def propagate(nodes, edges, g, at, players):
    """Carry new bounds of node `at` up as far as they change anything."""
    above = nodes[g, at].parent
    while above >= 0 and review(nodes, edges, g, above, players):
        above = nodes[g, above].parent
