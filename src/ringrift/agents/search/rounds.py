"""Rounds of a search whose evaluator is a compiled net: nothing of them goes through Python."""

from __future__ import annotations

from ringrift.agents.search.walk import absorb, gather
from ringrift.nets.nnue.forward import evaluate_policy
from ringrift.rules.jitconf import rule


@rule
def rounds(
    roots, n, leaves, games, boards, scratch, trees, nodes, edges, forced, wanted, how, noise,
    path, vector, moves, offsets, status, net_scratch, net, work, logits, values,
):  # fmt: skip
    """Search until every game is done or one lacks room for nodes; see `walk.gather`.

    Returns 0, or how many evaluated leaves wait for `walk.absorb` because one of their games lacks
    room for edges. `logits` and `values` are written for each round: float32, as `moves` and
    `leaves` have room.
    """
    while True:
        k = gather(
            roots, n, leaves, games, boards, scratch, trees, nodes, edges, forced, wanted, how,
            noise, path, vector, moves, offsets, status,
        )  # fmt: skip
        if k > 0:
            evaluate_policy(
                leaves[:k], boards, net_scratch, net, work, moves, offsets, logits, values
            )
            for i in range(k):
                if trees[games[i]].edges + offsets[i + 1] - offsets[i] > edges.shape[1]:
                    return k
            absorb(k, games, boards, trees, nodes, edges, moves, offsets, logits, values)
        if status[0] == 0 or status[1] != 0:
            return 0
