"""Drive the rules of the search over table games, without the game."""

from __future__ import annotations

from typing import Any

import numpy as np

from ringrift.agents.search.answers import harvest
from ringrift.agents.search.arrays import HOW, PV_LENGTH, Forest
from ringrift.agents.search.gumbel_rules import halving
from ringrift.agents.search.nodes import attach, clear_node, expand
from ringrift.agents.search.walk import select
from ringrift.rules import BoardSpec
from ringrift.rules.geometry import board_tables

from .games import compiled
from .table_trees import Group


@compiled
def take_row(values, row, seat, players, out):
    """Write the values of a row by seat; those of two players are the mover's and its opposite."""
    for p in range(players):
        out[0, p] = values[row, p]
    if players == 2:
        out[0, seat - 1] = values[row, 0]
        out[0, 2 - seat] = -values[row, 0]


@compiled
def grow_tables(
    trees, nodes, edges, sims, wanted, how, noise, path, actions, offsets, logits, values,
    successors, seats, players, rows, parents, taken,
):  # fmt: skip
    """Search tree g from row g with `sims` simulations; log the parent and action of each."""
    value = np.zeros((1, players))
    for g in range(len(trees)):
        trees[g].nodes = 1
        rows[0] = g
        clear_node(nodes, g, 0, -1, -1, 0, players)
        nodes[g, 0].seat = 1 if players == 2 else seats[g]
        take_row(values, g, nodes[g, 0].seat, players, value)
        expand(trees, nodes, edges, g, 0, actions, offsets, logits[g], value, 0, players)
        for i in range(sims):
            trees[g].done = i
            depth = select(trees, nodes, edges, g, wanted, how, noise, path)
            e = path[depth - 1]
            at = 0 if depth == 1 else edges[g, path[depth - 2]].child
            child = attach(trees, nodes, edges, g, e, at, players)
            row = successors[rows[at], edges[g, e].move]
            rows[child] = row
            seat = 3 - nodes[g, at].seat if players == 2 else seats[row]
            nodes[g, child].seat = seat
            take_row(values, row, seat, players, value)
            expand(trees, nodes, edges, g, child, actions, offsets, logits[row], value, 0, players)
            parents[g, i] = at
            taken[g, i] = edges[g, e].move


def search_tables(group: Group) -> dict[str, Any]:
    """Search all trees of a group: parents and actions of each node, visits, choice, root values."""
    n, a, sims = group.trees, group.actions, group.sims
    forest = Forest(n, sims)
    forest.make_edge_room(np.zeros(n, np.int32), np.full(n, a * (sims + 1)))
    how = np.zeros(1, HOW)
    how["c_visit"], how["c_scale"] = group.c_visit, group.c_scale
    wanted = np.tile(halving(min(group.m, a, sims), sims), (n, 1))
    parents, taken = np.zeros((n, sims), np.int32), np.zeros((n, sims), np.int32)
    bounds = np.array([0, a], np.int32)
    grow_tables(
        forest.trees, forest.nodes, forest.edges, sims, wanted, how, group.noise, forest.path,
        np.arange(a), bounds, group.logits, group.values, group.successors, group.seats,
        group.players, np.zeros(sims + 1, np.int64), parents, taken,
    )  # fmt: skip
    boards = board_tables(BoardSpec.create("square8", group.players))  # names the number of seats
    chosen, policy, visits = np.zeros(n, np.int64), np.zeros(n * a), np.zeros(n * a, np.int32)
    values = np.zeros((n, group.players))
    harvest(
        n, boards, forest.nodes, forest.edges, forest.forced, how, group.noise,
        np.arange(0, n * a + 1, a, dtype=np.int32), chosen, policy, np.zeros(n), visits,
        np.zeros(n * a, np.int8), values, np.zeros((n, PV_LENGTH), np.int64), np.zeros(n, np.int32),
    )  # fmt: skip
    return {
        "parents": parents.tolist(),
        "actions": taken.tolist(),
        "visits": visits.reshape(n, a).tolist(),
        "chosen": chosen.tolist(),
        "values": values,
        "policy": policy.reshape(n, a),
    }
