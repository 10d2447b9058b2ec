# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Selection of PUCT, and its Dirichlet noise at the root.

Silver et al. 2018, "A general reinforcement learning algorithm that masters chess, shogi and Go
through self-play": `Q + c(N) P sqrt(N) / (1 + n)` with `c(N) = c + ln((1 + N + 19652) / 19652)`, N the
visits of the node, its own evaluation included. A move without visits has the node's mean value less
`fpu sqrt(prior mass of the visited moves)`.
"""

from __future__ import annotations

import math

from ringrift.agents.streams import uniform
from ringrift.rules.jitconf import rule

C_BASE = 19652.0

_DRAWS = 1024
"""Numbers of the stream set aside for each move: a rejected draw shifts no other."""


@rule
def choose_puct(nodes, edges, g, at, c, fpu):
    """Return the edge with the largest upper bound, the first of equals."""
    node = nodes[g, at]
    visits = float(node.n)
    explore = (c + math.log((1.0 + visits + C_BASE) / C_BASE)) * math.sqrt(visits)
    best = -1
    best_score = -math.inf
    fresh = -1
    fresh_prior = -1.0
    mass = 0.0
    for e in range(node.first, node.first + node.count):
        edge = edges[g, e]
        if edge.n > 0:
            mass += edge.prior
        if edge.out != 0:
            continue
        if edge.n > 0:
            score = 2.0 * edge.q - 1.0 + explore * edge.prior / (1.0 + edge.n)
            if score > best_score:
                best_score = score
                best = e
        elif edge.prior > fresh_prior:
            fresh_prior = edge.prior
            fresh = e
    if fresh >= 0:
        level = node.sum[node.seat - 1] / visits - fpu * math.sqrt(mass)
        score = level + explore * fresh_prior
        if score > best_score or (score == best_score and fresh < best):
            return fresh
    return best


@rule
def most_visited(nodes, edges, g):
    """Return the root edge with most visits that no proof rules out; ties by value, then order.

    Where none of those has a visit, the one with the largest prior.
    """
    root = nodes[g, 0]
    best = -1
    for e in range(root.first, root.first + root.count):
        edge = edges[g, e]
        if edge.out != 0:
            continue
        if best < 0:
            best = e
            continue
        have = edges[g, best]
        if edge.n != have.n:
            better = edge.n > have.n
        elif edge.n > 0:
            better = edge.q > have.q
        else:
            better = edge.prior > have.prior
        if better:
            best = e
    return best


@rule
def visit_policy(nodes, edges, g, policy, base):
    """Write the shares of visits of the root's moves to `policy[base:]`.

    A move that a proof rules out has none; where no other has a visit, priors stand for visits.
    """
    root = nodes[g, 0]
    visits = 0
    mass = 0.0
    for e in range(root.first, root.first + root.count):
        if edges[g, e].out == 0:
            visits += edges[g, e].n
            mass += edges[g, e].prior
    for j in range(root.count):
        edge = edges[g, root.first + j]
        if edge.out != 0:
            policy[base + j] = 0.0
        elif visits > 0:
            policy[base + j] = edge.n / visits
        else:
            policy[base + j] = edge.prior / mass


@rule
def log_gamma_draw(a, b, i, alpha):
    """Return the logarithm of a gamma variate of shape `alpha` < 1, from number `i` of a stream on.

    Marsaglia, Tsang 2000 for shape `alpha + 1`, times `u^(1 / alpha)`; the logarithm, because a
    small shape underflows.
    """
    d = alpha + 2.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        radius = math.sqrt(-2.0 * math.log(uniform(a, b, i)))
        x = radius * math.cos(2.0 * math.pi * uniform(a, b, i + 1))
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(uniform(a, b, i + 2)) < 0.5 * x * x + d - d * v + d * math.log(v):
            return math.log(d * v) + math.log(uniform(a, b, i + 3)) / alpha
        i += 4


@rule
def stir(nodes, edges, g, noise, share, alpha, a, b):
    """Mix Dirichlet noise from stream (a, b) into the root's priors; `noise[g]` is work space.

    `alpha` 0 means 10 / legal moves within [.03, .3].
    """
    root = nodes[g, 0]
    shape = alpha if alpha > 0.0 else min(0.3, max(0.03, 10.0 / root.count))
    top = -math.inf
    for j in range(root.count):
        noise[g, j] = log_gamma_draw(a, b, j * _DRAWS, shape)
        top = max(top, noise[g, j])
    total = 0.0
    for j in range(root.count):
        total += math.exp(noise[g, j] - top)
    for j in range(root.count):
        edge = edges[g, root.first + j]
        drawn = math.exp(noise[g, j] - top) / total
        edge.prior = (1.0 - share) * math.exp(edge.logit) + share * drawn
