# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""What is done to one node of a tree: make it, give it edges and a value, back values up."""

from __future__ import annotations

import math

from ringrift.rules.jitconf import rule

LEAST_LOGIT = -600.0
"""Log-priors end here, so that a weight never underflows to nothing."""


@rule
def clear_node(nodes, g, at, parent, edge, forced, players):
    """Make a node without visits or edges, about which nothing is proven."""
    node = nodes[g, at]
    for p in range(4):
        node.sum[p] = 0.0
        node.raw[p] = 0.0
        node.low[p] = 1 - players
        node.high[p] = players - 1
    node.n = 0
    node.first = 0
    node.count = 0
    node.parent = parent
    node.edge = edge
    node.forced = forced
    node.forced_n = 0
    node.seat = 0
    node.closed = 0


@rule
def attach(trees, nodes, edges, g, e, at, players):
    """Add the child of edge `e` of node `at`; it becomes the tree's leaf. Return it."""
    t = trees[g]
    child = t.nodes
    t.nodes = child + 1
    t.leaf = child
    edges[g, e].child = child
    clear_node(nodes, g, child, at, e, t.forced, players)
    return child


@rule
def add_edges(trees, nodes, edges, g, at, moves, logits, first, last):
    """Give a node its edges, with priors from the logits; False if one is not finite."""
    top = -math.inf
    for j in range(first, last):
        if not math.isfinite(logits[j]):
            return False
        top = max(top, logits[j])
    total = 0.0
    for j in range(first, last):
        total += math.exp(logits[j] - top)
    norm = top + math.log(total)
    base = trees[g].edges
    nodes[g, at].first = base
    nodes[g, at].count = last - first
    for j in range(first, last):
        edge = edges[g, base + j - first]
        edge.move = moves[j]
        edge.logit = max(LEAST_LOGIT, logits[j] - norm)
        edge.prior = math.exp(edge.logit)
        edge.q = 0.0
        edge.n = 0
        edge.child = -1
        edge.out = 0
        edge.proven = 0
    trees[g].edges = base + last - first
    return True


@rule
def take_values(node, values, players):
    """Store the evaluator's values of a node; False if one is not finite."""
    for p in range(players):
        if not math.isfinite(values[p]):
            return False
        node.raw[p] = values[p]
    return True


@rule
def backup(nodes, edges, g, at, values, players):
    """Add a value vector to the node and to all above it; proven values of edges stay."""
    while at >= 0:
        node = nodes[g, at]
        node.n += 1
        for p in range(players):
            node.sum[p] += values[p]
        above = node.parent
        if above >= 0:
            edge = edges[g, node.edge]
            edge.n = node.n
            if edge.proven == 0:
                seat = nodes[g, above].seat
                edge.q = (node.sum[seat - 1] / node.n + 1.0) / 2
        at = above


@rule
def expand(trees, nodes, edges, g, at, moves, offsets, logits, values, k, players):
    """Give node `at` its edges and value from entry `k` of an evaluation and back the value up.

    False if a number is not finite.
    """
    node = nodes[g, at]
    if not take_values(node, values[k], players):
        return False
    if not add_edges(trees, nodes, edges, g, at, moves, logits, offsets[k], offsets[k + 1]):
        return False
    backup(nodes, edges, g, at, node.raw, players)
    return True
