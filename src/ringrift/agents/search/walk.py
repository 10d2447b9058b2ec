# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The walk of a simulation: down the tree by its rules, one leaf per game, evaluated all at once."""

from __future__ import annotations

from ringrift.agents.search.arrays import FORCED_RUN, NO_ERROR, NOT_FINITE, STUCK
from ringrift.agents.search.gumbel_rules import choose_considered, choose_inside, draw_gumbel
from ringrift.agents.search.nodes import attach, backup, clear_node, expand
from ringrift.agents.search.proving import close_finished, is_settled, propagate, read_result
from ringrift.agents.search.puct_rules import choose_puct, stir
from ringrift.agents.streams import stream
from ringrift.agents.values import final_values
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, OVER, PHASE, PLAYERS, PLY
from ringrift.rules.legal import legal
from ringrift.rules.turn import apply

FINISHED_RUN = 64
"""Simulations in a row that may end in finished games before the other games are served."""

DIRICHLET = 5 << 8
"""Purpose, beside that of the agent, of the noise of PUCT."""


@rule
def select(trees, nodes, edges, g, wanted, how, noise, path):
    """Write the edges of a game's next walk to `path`: int32[]; return how many they are.

    The last one leads to a new leaf or to a closed node. Nothing here knows the game.
    """
    h = how[0]
    at = 0
    depth = 0
    while True:
        if h.puct != 0:
            e = choose_puct(nodes, edges, g, at, h.c, h.fpu)
        elif at == 0:
            asked = wanted[g, trees[g].done]
            e = choose_considered(nodes, edges, g, asked, h.c_visit, h.c_scale, noise)
        else:
            e = choose_inside(nodes, edges, g, at, h.c_visit, h.c_scale)
        path[depth] = e
        depth += 1
        child = edges[g, e].child
        if child < 0 or nodes[g, child].closed != 0:
            return depth
        at = child


@rule
def replay(s, b, w, nodes, edges, forced, g, path, depth):
    """Play the moves of a path, and the forced plies behind each, in `s`."""
    for i in range(depth):
        e = path[i]
        apply(s, b, w, edges[g, e].move)
        child = edges[g, e].child
        if child >= 0:
            start = nodes[g, child].forced
            for j in range(start, start + nodes[g, child].forced_n):
                apply(s, b, w, forced[g, j])


@rule
def settle(s, b, w, trees, nodes, forced, g, at, moves):
    """Play the forced plies behind a new node; return its number of legal moves.

    `moves` receives the legal set; 0 means that the game is over and the node has its result.
    """
    t = trees[g]
    node = nodes[g, at]
    n = legal(s, b, w, moves)
    while n == 1 and node.forced_n < FORCED_RUN:
        forced[g, t.forced] = moves[0]
        t.forced += 1
        node.forced_n += 1
        apply(s, b, w, moves[0])
        n = legal(s, b, w, moves)
    if s.misc[PHASE] == OVER:
        final_values(s, b, node.raw)
        close_finished(node, b.par[PLAYERS])
        return 0
    node.seat = s.misc[CUR]
    if n == 0:
        t.error = STUCK
    return n


@rule
def plant(roots, boards, trees, nodes, edges, moves, offsets, logits, values, games):
    """Start the trees of `games` from an evaluation: entry k is that of game `games[k]`."""
    players = boards[0].par[PLAYERS]
    for k in range(len(games)):
        g = games[k]
        t = trees[g]
        t.nodes = 1
        t.edges = 0
        t.forced = 0
        clear_node(nodes, g, 0, -1, -1, 0, players)
        nodes[g, 0].seat = roots[g].misc[CUR]
        if not expand(trees, nodes, edges, g, 0, moves, offsets, logits, values, k, players):
            t.error = NOT_FINITE


@rule
def begin(roots, n, trees, nodes, edges, how, noise, seeds, purpose):
    """Make the trees of `n` games ready for simulations, with the noise of their roots."""
    h = how[0]
    for g in range(n):
        t = trees[g]
        t.leaf = -1
        t.done = 0
        t.depth = 0
        if t.error != NO_ERROR:
            continue
        s = roots[g].misc
        if h.puct == 0:
            x, y = stream(seeds[g], s[PLY], s[CUR], purpose)
            draw_gumbel(noise, g, nodes[g, 0].count, h.scale, x, y)
        elif h.noise > 0.0 and not t.quiet:
            x, y = stream(seeds[g], s[PLY], s[CUR], purpose | DIRICHLET)
            stir(nodes, edges, g, noise, h.noise, h.alpha, x, y)


@rule
def gather(
    roots, n, leaves, games, boards, scratch, trees, nodes, edges, forced, wanted, how, noise,
    path, vector, moves, offsets, status,
):  # fmt: skip
    """Walk every unfinished game to one leaf that wants an evaluation; return how many there are.

    `wanted`: int32[n, sims] is the plan of sequential halving. Leaf k is `leaves[k]` of game
    `games[k]` with legal moves `moves[offsets[k]:offsets[k + 1]]`. Simulations that end in proven
    results are backed up at once and the game walks again. `status`: int64[2] receives the number
    of unfinished games, and 1 if one lacked room for another node.
    """
    b = boards[0]
    w = scratch[0]
    players = b.par[PLAYERS]
    k = 0
    offsets[0] = 0
    status[0] = 0
    status[1] = 0
    for g in range(n):
        t = trees[g]
        steps = 0
        while t.done < t.sims and t.error == NO_ERROR and not is_settled(nodes[g, 0]):
            if steps == FINISHED_RUN:
                status[0] += 1
                break
            if t.nodes >= nodes.shape[1] or t.forced + FORCED_RUN > forced.shape[1]:
                status[0] += 1
                status[1] = 1
                break
            depth = select(trees, nodes, edges, g, wanted, how, noise, path)
            t.depth = max(t.depth, depth)
            e = path[depth - 1]
            leaf = edges[g, e].child
            if leaf < 0:
                leaves[k] = roots[g]
                s = leaves[k]
                replay(s, b, w, nodes, edges, forced, g, path, depth)
                at = edges[g, path[depth - 2]].child if depth > 1 else 0
                leaf = attach(trees, nodes, edges, g, e, at, players)
                start = offsets[k]
                count = settle(s, b, w, trees, nodes, forced, g, leaf, moves[start:])
                if count > 0:
                    games[k] = g
                    offsets[k + 1] = start + count
                    k += 1
                    status[0] += 1
                    break
                if t.error != NO_ERROR:
                    break
                propagate(nodes, edges, g, leaf, players)
            read_result(nodes[g, leaf], players, vector)
            backup(nodes, edges, g, leaf, vector, players)
            t.done += 1
            steps += 1
    return k


@rule
def absorb(n, games, boards, trees, nodes, edges, moves, offsets, logits, values):
    """Expand the `n` gathered leaves with their evaluation and back it up."""
    players = boards[0].par[PLAYERS]
    for k in range(n):
        g = games[k]
        t = trees[g]
        if expand(trees, nodes, edges, g, t.leaf, moves, offsets, logits, values, k, players):
            t.done += 1
        else:
            t.error = NOT_FINITE
