# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Search trees of many games as flat arrays, and the Gumbel rules that walk them.

`trees`: TREE[g], `nodes`: NODE[g, node], `edges`: EDGE[g, edge], `forced`: int64[g, move]. Node 0 is
the root; the edges of a node lie side by side, one per legal move. Nodes hold no position: the root
is copied and the moves on the way are played again. Plies with one legal move belong to the edge
that leads to them. Values are vectors with an entry per seat; a node reads that of its mover.

Danihelka, Guez, Schrittwieser, Silver 2022, "Policy improvement by planning with Gumbel"; choices
are those of `mctx` with value rescaling off, values mapped from [-1, 1] to [0, 1].
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.streams import stream, uniform
from ringrift.agents.values import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE, PLAYERS, PLY
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply

NODE = np.dtype(
    [
        ("sum", np.float64, (4,)),  # of the values backed up through the node, its own included
        ("raw", np.float64, (4,)),  # the evaluator's value, or the result of a finished game
        ("n", np.int32),  # visits
        ("first", np.int32),  # its edges
        ("count", np.int32),
        ("parent", np.int32),  # -1 at the root
        ("edge", np.int32),  # the parent's edge that leads here
        ("forced", np.int32),  # forced plies after that edge's move, in the pool
        ("forced_n", np.int32),
        ("seat", np.int32),  # to move; 0 in a finished game
    ],
    align=True,
)

EDGE = np.dtype(
    [
        ("move", np.int64),
        ("prior", np.float64),
        ("logit", np.float64),  # log of the prior
        ("noise", np.float64),  # Gumbel noise; at the root only
        ("q", np.float64),  # the mover's mean value, in [0, 1]; 0 before the first visit
        ("n", np.int32),
        ("child", np.int32),  # -1 before the first visit
    ],
    align=True,
)

TREE = np.dtype(
    [
        ("nodes", np.int32),  # used
        ("edges", np.int32),
        ("forced", np.int32),
        ("leaf", np.int32),  # node that waits for its evaluation
        ("sims", np.int32),  # budget
        ("done", np.int32),
        ("depth", np.int32),  # longest path, in choices
        ("error", np.int32),
    ],
    align=True,
)

NO_ERROR, STUCK, NOT_FINITE = range(3)
ERRORS = (
    "",
    "a position without a legal move that is not over",
    "the evaluator returned a number that is not finite",
)

LEAST_LOGIT = -600.0
"""Log-priors end here, so that a weight never underflows to nothing."""

PV_LENGTH = 16


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
def choose_considered(nodes, edges, g, wanted, c_visit, c_scale):
    """Return the root edge with `wanted` visits whose `g + logit + sigma(q)` is largest."""
    root = nodes[g, 0]
    scale, mixed = completed(nodes, edges, g, 0, c_visit, c_scale)
    best = -1
    best_score = -math.inf
    for e in range(root.first, root.first + root.count):
        if edges[g, e].n == wanted:
            q = edges[g, e].q if wanted > 0 else mixed
            score = edges[g, e].noise + edges[g, e].logit + scale * q
            if score > best_score:
                best_score = score
                best = e
    return best


@rule
def backup(nodes, edges, g, at, values, players):
    """Add a value vector to the node and to all above it."""
    while at >= 0:
        node = nodes[g, at]
        node.n += 1
        for p in range(players):
            node.sum[p] += values[p]
        above = node.parent
        if above >= 0:
            seat = nodes[g, above].seat
            edges[g, node.edge].n = node.n
            edges[g, node.edge].q = (node.sum[seat - 1] / node.n + 1.0) / 2
        at = above


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
        edge.noise = 0.0
        edge.q = 0.0
        edge.n = 0
        edge.child = -1
    trees[g].edges = base + last - first
    return True


@rule
def clear_node(nodes, g, at, parent, edge, forced):
    """Make a node without visits or edges."""
    node = nodes[g, at]
    for p in range(4):
        node.sum[p] = 0.0
        node.raw[p] = 0.0
    node.n = 0
    node.first = 0
    node.count = 0
    node.parent = parent
    node.edge = edge
    node.forced = forced
    node.forced_n = 0
    node.seat = 0


@rule
def take_values(node, values, players):
    """Store the evaluator's values of a node; False if one is not finite."""
    for p in range(players):
        if not math.isfinite(values[p]):
            return False
        node.raw[p] = values[p]
    return True


@rule
def plant(
    roots,
    n,
    boards,
    trees,
    nodes,
    edges,
    moves,
    offsets,
    logits,
    values,
    seeds,
    purpose,
    noise_scale,
):
    """Start the trees of `n` positions from their evaluation; `trees[g].sims` is set already."""
    players = boards[0].par[PLAYERS]
    for g in range(n):
        t = trees[g]
        t.nodes = 1
        t.edges = 0
        t.forced = 0
        t.leaf = -1
        t.done = 0
        t.depth = 0
        t.error = NO_ERROR
        clear_node(nodes, g, 0, -1, -1, 0)
        s = roots[g].misc
        nodes[g, 0].seat = s[CUR]
        first = offsets[g]
        last = offsets[g + 1]
        if not take_values(nodes[g, 0], values[g], players) or not add_edges(
            trees, nodes, edges, g, 0, moves, logits, first, last
        ):
            t.error = NOT_FINITE
            continue
        if noise_scale > 0.0:
            a, b = stream(seeds[g], s[PLY], s[CUR], purpose)
            for j in range(last - first):
                edges[g, j].noise = -math.log(-math.log(uniform(a, b, j))) * noise_scale
        backup(nodes, edges, g, 0, nodes[g, 0].raw, players)


@rule
def follow(s, b, w, nodes, edges, forced, g, e):
    """Play an edge's move and the forced plies behind it; return the child, -1 if it is new."""
    apply(s, b, w, edges[g, e].move)
    child = edges[g, e].child
    if child >= 0:
        start = nodes[g, child].forced
        for i in range(start, start + nodes[g, child].forced_n):
            apply(s, b, w, forced[g, i])
    return child


@rule
def grow(s, b, w, trees, nodes, edges, forced, g, at, e, moves):
    """Add the child of an edge whose move was played in `s`; return its number of legal moves.

    Plays on while there is one legal move and room in the pool of forced plies. `moves` receives
    the legal set; 0 means that the game is over and the node has its value.
    """
    t = trees[g]
    child = t.nodes
    t.nodes = child + 1
    edges[g, e].child = child
    clear_node(nodes, g, child, at, e, t.forced)
    n = legal(s, b, w, moves)
    while n == 1 and t.forced < forced.shape[1]:
        forced[g, t.forced] = moves[0]
        t.forced += 1
        nodes[g, child].forced_n += 1
        apply(s, b, w, moves[0])
        n = legal(s, b, w, moves)
    t.leaf = child
    if s.misc[PHASE] == OVER:
        final_values(s, b, nodes[g, child].raw)
        return 0
    nodes[g, child].seat = s.misc[CUR]
    if n == 0:
        t.error = STUCK
    return n


@rule
def descend(
    roots, leaves, slot, b, w, trees, nodes, edges, forced, g, wanted, c_visit, c_scale, moves
):
    """Walk game `g` to its next leaf, played out in `leaves[slot]`; see `grow` for the result."""
    t = trees[g]
    leaves[slot] = roots[g]
    s = leaves[slot]
    at = 0
    e = choose_considered(nodes, edges, g, wanted[g, t.done], c_visit, c_scale)
    depth = 1
    child = follow(s, b, w, nodes, edges, forced, g, e)
    while child >= 0 and nodes[g, child].seat > 0:
        at = child
        e = choose_inside(nodes, edges, g, at, c_visit, c_scale)
        depth += 1
        child = follow(s, b, w, nodes, edges, forced, g, e)
    t.depth = max(t.depth, depth)
    if child >= 0:
        t.leaf = child
        return 0
    return grow(s, b, w, trees, nodes, edges, forced, g, at, e, moves)


@rule
def gather(
    roots, n, leaves, games, boards, scratch, trees, nodes, edges, forced, wanted, c_visit, c_scale,
    moves, offsets,
):  # fmt: skip
    """Walk every unfinished game to one leaf that wants an evaluation; return how many there are.

    `wanted`: int32[n, sims] is the plan of sequential halving. Leaf k is `leaves[k]` of game
    `games[k]` with legal moves `moves[offsets[k]:offsets[k + 1]]`. Simulations that end in finished
    games are backed up at once and the game walks again.
    """
    b = boards[0]
    w = scratch[0]
    players = b.par[PLAYERS]
    k = 0
    offsets[0] = 0
    for g in range(n):
        t = trees[g]
        while t.done < t.sims and t.error == NO_ERROR:
            start = offsets[k]
            count = descend(
                roots, leaves, k, b, w, trees, nodes, edges, forced, g, wanted, c_visit, c_scale,
                moves[start:],
            )  # fmt: skip
            if count > 0:
                games[k] = g
                offsets[k + 1] = start + count
                k += 1
                break
            if t.error == NO_ERROR:
                backup(nodes, edges, g, t.leaf, nodes[g, t.leaf].raw, players)
                t.done += 1
    return k


@rule
def absorb(n, games, boards, trees, nodes, edges, moves, offsets, logits, values):
    """Expand the `n` gathered leaves with their evaluation and back it up."""
    players = boards[0].par[PLAYERS]
    for k in range(n):
        g = games[k]
        t = trees[g]
        if not take_values(nodes[g, t.leaf], values[k], players) or not add_edges(
            trees, nodes, edges, g, t.leaf, moves, logits, offsets[k], offsets[k + 1]
        ):
            t.error = NOT_FINITE
            continue
        backup(nodes, edges, g, t.leaf, nodes[g, t.leaf].raw, players)
        t.done += 1


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
            if edges[g, j].n > most:
                most = edges[g, j].n
                e = j
        if e < 0:
            break
    return n


@rule
def harvest(
    n,
    boards,
    trees,
    nodes,
    edges,
    forced,
    c_visit,
    c_scale,
    offsets,
    chosen,
    policy,
    visits,
    values,
    lines,
    lengths,
):
    """Read the answers: the survivor of the halving, the improved policy and the root's value.

    `chosen`: int64[n] root edge, `policy`: float64[t] and `visits`: int32[t] over all root moves,
    `values`: float64[n, players], `lines`: int64[n, 16] with `lengths`: int32[n].
    """
    players = boards[0].par[PLAYERS]
    for g in range(n):
        root = nodes[g, 0]
        scale, mixed = completed(nodes, edges, g, 0, c_visit, c_scale)
        most = 0
        top = -math.inf
        base = offsets[g]
        for e in range(root.count):
            k = edges[g, e].n
            most = max(most, k)
            visits[base + e] = k
            policy[base + e] = edges[g, e].logit + scale * (edges[g, e].q if k > 0 else mixed)
            top = max(top, policy[base + e])
        total = 0.0
        for j in range(base, base + root.count):
            policy[j] = math.exp(policy[j] - top)
            total += policy[j]
        for j in range(base, base + root.count):
            policy[j] /= total
        chosen[g] = choose_considered(nodes, edges, g, most, c_visit, c_scale)
        for p in range(players):
            values[g, p] = root.sum[p] / root.n
        lengths[g] = principal_line(nodes, edges, forced, g, chosen[g], lines[g])


class Forest:
    """The arrays of `games` trees with up to `sims` simulations; edges grow as they are needed."""

    def __init__(self, games: int, sims: int) -> None:
        self.games = games
        self.sims = sims
        self.trees = np.zeros(games, TREE)
        self.nodes = np.zeros((games, sims + 1), NODE)
        self.edges = np.zeros((games, 48 * (sims + 1)), EDGE)
        self.forced = np.zeros((games, 8 * (sims + 1) + 32), np.int64)

    def fits(self, games: int, sims: int) -> bool:
        """Tell whether the arrays are large enough."""
        return games <= self.games and sims <= self.sims

    def make_room(self, used: NDArray[Any], counts: NDArray[Any]) -> None:
        """Make room for `counts` more edges in games that use `used`."""
        need = int((used + counts).max())
        have = self.edges.shape[1]
        if need > have:
            wider = np.zeros((self.games, max(need, 2 * have)), EDGE)
            wider[:, :have] = self.edges
            self.edges = wider
