# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Read the decisions from searched trees."""

from __future__ import annotations

import math

from ringrift.agents.search.gumbel_rules import improved_policy, survivor
from ringrift.agents.search.proving import read_result
from ringrift.agents.search.puct_rules import most_visited, visit_policy
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import PLAYERS


@rule
def principal_line(nodes, edges, forced, g, e, line):
    """Write the most visited line from root edge `e`, forced plies included; return its length."""
    n = 0
    while n < len(line):
        line[n] = edges[g, e].move
        n += 1
        at = edges[g, e].child
        if at < 0:
            break
        node = nodes[g, at]
        for i in range(node.forced, node.forced + node.forced_n):
            if n < len(line):
                line[n] = forced[g, i]
                n += 1
        e = -1
        most = 0
        for j in range(node.first, node.first + node.count):
            if edges[g, j].n > most and edges[g, j].out == 0:
                most = edges[g, j].n
                e = j
        if e < 0:
            break
    return n


@rule
def prior_divergence(nodes, edges, g, policy, base):
    """Return KL(policy || prior) of the root in nats; the prior has no noise.

    `policy[base:]` holds the shares of the root's moves.
    """
    root = nodes[g, 0]
    nats = 0.0
    for j in range(root.count):
        share = policy[base + j]
        if share > 0.0:
            nats += share * (math.log(share) - edges[g, root.first + j].logit)
    return max(0.0, nats)  # equal distributions may round below it


@rule
def harvest(
    n, boards, nodes, edges, forced, how, noise, offsets, chosen, policy, prior_kl, visits, out,
    values, lines, lengths,
):  # fmt: skip
    """Read the answers: the move, the policy and the root's value.

    `chosen`: int64[n] place of the move in the root's list; `policy`: float64[t], `visits`: int32[t]
    and `out`: int8[t], moves ruled out by a proof, over all root moves; `prior_kl`: float64[n], nats;
    `values`: float64[n, P], the proven result where every seat's is, else the mean; `lines`:
    int64[n, 16], `lengths`: int32[n].
    """
    players = boards[0].par[PLAYERS]
    h = how[0]
    for g in range(n):
        root = nodes[g, 0]
        base = offsets[g]
        for j in range(root.count):
            visits[base + j] = edges[g, root.first + j].n
            out[base + j] = edges[g, root.first + j].out
        if h.puct != 0:
            e = most_visited(nodes, edges, g)
            visit_policy(nodes, edges, g, policy, base)
        else:
            e = survivor(nodes, edges, g, h.c_visit, h.c_scale, noise)
            improved_policy(nodes, edges, g, h.c_visit, h.c_scale, policy, base)
        chosen[g] = e - root.first
        prior_kl[g] = prior_divergence(nodes, edges, g, policy, base)
        if root.closed != 0:
            read_result(root, players, values[g])
        else:
            for p in range(players):
                values[g, p] = root.sum[p] / root.n
        lengths[g] = principal_line(nodes, edges, forced, g, e, lines[g])
