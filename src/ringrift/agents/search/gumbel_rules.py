# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Selection of the Gumbel search.

Danihelka, Guez, Schrittwieser, Silver 2022, "Policy improvement by planning with Gumbel"; choices
are those of `mctx` with value rescaling off, values mapped from [-1, 1] to [0, 1]. Where proofs rule
moves out, the others share their simulations; a proven value takes the place of a mean.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.streams import uniform
from ringrift.rules.jitconf import rule


@lru_cache(maxsize=4096)
def halving(considered: int, sims: int) -> NDArray[np.int32]:
    """Return the visit count that the root looks for at each simulation, `int32[sims]`.

    Sequential halving over `considered` moves with the whole budget, as
    `get_sequence_of_considered_visits` of mctx has it.
    """
    if considered == 1:
        return np.arange(sims, dtype=np.int32)
    phases = math.ceil(math.log2(considered))
    visits = [0] * considered
    sequence: list[int] = []
    left = considered
    while len(sequence) < sims:
        for _ in range(max(1, int(sims / (phases * left)))):
            sequence.extend(visits[:left])
            for i in range(left):
                visits[i] += 1
        left = max(2, left // 2)
    return np.array(sequence[:sims], np.int32)


@rule
def completed(nodes, edges, g, at, c_visit, c_scale):
    """Return the scale of `sigma` and the mixed value `v_mix` of a node (paper, equations 8, 33).

    `sigma(q) = scale * q`; a move without visits has the value `v_mix`.
    """
    node = nodes[g, at]
    visits = 0
    most = 0
    mass = 0.0
    weighted = 0.0
    for e in range(node.first, node.first + node.count):
        k = edges[g, e].n
        if k > 0:
            visits += k
            most = max(most, k)
            mass += edges[g, e].prior
            weighted += edges[g, e].prior * edges[g, e].q
    mixed = (node.raw[node.seat - 1] + 1.0) / 2
    if visits > 0:
        mixed = (mixed + visits * (weighted / mass)) / (visits + 1)
    return (c_visit + most) * c_scale, mixed


@rule
def choose_inside(nodes, edges, g, at, c_visit, c_scale):
    """Return the edge with the largest `pi'(a) - n(a) / (1 + sum n)`, the first of equals."""
    node = nodes[g, at]
    first = node.first
    last = first + node.count
    if node.count == 1:
        return first
    scale, mixed = completed(nodes, edges, g, at, c_visit, c_scale)
    top = scale * mixed
    visits = 0
    for e in range(first, last):
        if edges[g, e].n > 0:
            visits += edges[g, e].n
            top = max(top, scale * edges[g, e].q)
    unvisited = math.exp(scale * mixed - top)
    total = 0.0
    for e in range(first, last):
        if edges[g, e].n > 0:
            total += edges[g, e].prior * math.exp(scale * edges[g, e].q - top)
        else:
            total += edges[g, e].prior * unvisited
    best = first
    best_score = -math.inf
    for e in range(first, last):
        if edges[g, e].out != 0:
            continue
        if edges[g, e].n > 0:
            weight = edges[g, e].prior * math.exp(scale * edges[g, e].q - top)
            score = weight / total - edges[g, e].n / (1.0 + visits)
        else:
            score = edges[g, e].prior * unvisited / total
        if score > best_score:
            best_score = score
            best = e
    return best


@rule
def best_with(nodes, edges, g, wanted, c_visit, c_scale, noise):
    """Return the root edge with `wanted` visits whose `g + logit + sigma(q)` is largest, or -1."""
    root = nodes[g, 0]
    scale, mixed = completed(nodes, edges, g, 0, c_visit, c_scale)
    best = -1
    best_score = -math.inf
    for e in range(root.first, root.first + root.count):
        if edges[g, e].n == wanted and edges[g, e].out == 0:
            q = edges[g, e].q if wanted > 0 else mixed
            score = noise[g, e - root.first] + edges[g, e].logit + scale * q
            if score > best_score:
                best_score = score
                best = e
    return best


@rule
def nearest_count(nodes, edges, g, wanted):
    """Return the visit count of the root moves left that is nearest below `wanted`, else above."""
    root = nodes[g, 0]
    below = -1
    above = -1
    for e in range(root.first, root.first + root.count):
        if edges[g, e].out == 0:
            n = int(edges[g, e].n)
            if n <= wanted:
                below = max(below, n)
            elif above < 0 or n < above:
                above = n
    return below if below >= 0 else above


@rule
def choose_considered(nodes, edges, g, wanted, c_visit, c_scale, noise):
    """Return the root edge that the plan of halving asks for by its visit count.

    Where proofs have ruled out every such move, its simulation goes to those next to it in visits:
    so the best of the moves that were dropped, or never considered, comes in for it.
    """
    e = best_with(nodes, edges, g, wanted, c_visit, c_scale, noise)
    if e < 0:
        level = nearest_count(nodes, edges, g, wanted)
        e = best_with(nodes, edges, g, level, c_visit, c_scale, noise)
    return e


@rule
def survivor(nodes, edges, g, c_visit, c_scale, noise):
    """Return the root edge that halving leaves: of the most visited moves, the best one."""
    root = nodes[g, 0]
    most = 0
    for e in range(root.first, root.first + root.count):
        if edges[g, e].out == 0:
            most = max(most, int(edges[g, e].n))
    return best_with(nodes, edges, g, most, c_visit, c_scale, noise)


@rule
def improved_policy(nodes, edges, g, c_visit, c_scale, policy, base):
    """Write `softmax(logits + sigma(completed q))` of all root moves to `policy[base:]`."""
    root = nodes[g, 0]
    scale, mixed = completed(nodes, edges, g, 0, c_visit, c_scale)
    top = -math.inf
    for j in range(root.count):
        edge = edges[g, root.first + j]
        policy[base + j] = edge.logit + scale * (edge.q if edge.n > 0 else mixed)
        top = max(top, policy[base + j])
    total = 0.0
    for j in range(base, base + root.count):
        policy[j] = math.exp(policy[j] - top)
        total += policy[j]
    for j in range(base, base + root.count):
        policy[j] /= total


@rule
def draw_gumbel(noise, g, count, scale, a, b):
    """Fill the root's noise from stream (a, b), times `scale`."""
    for j in range(count):
        noise[g, j] = -math.log(-math.log(uniform(a, b, j))) * scale if scale > 0.0 else 0.0
