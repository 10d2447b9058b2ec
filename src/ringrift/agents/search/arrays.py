"""Search trees of many games as flat arrays.

`trees`: TREE[g], `nodes`: NODE[g, node], `edges`: EDGE[g, edge], `forced`: int64[g, move]. Node 0 is
the root; the edges of a node lie side by side, one per legal move, and a parent stands before its
children. Nodes hold no position: the root is copied and the moves on the way are played again.
Plies with one legal move belong to the edge that leads to them. Values are vectors with an entry
per seat; a node reads that of its mover.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        ("low", np.int8, (4,)),  # proven bounds of each seat's result: see `proving`
        ("high", np.int8, (4,)),
        ("seat", np.int8),  # to move; 0 in a finished game
        ("closed", np.int8),  # every seat's result is proven
    ],
    align=True,
)

EDGE = np.dtype(
    [
        ("move", np.int64),
        ("prior", np.float64),  # with the root's noise, if any
        ("logit", np.float64),  # log of the prior, without noise
        ("q", np.float64),  # the mover's mean or proven value, in [0, 1]; 0 before the first visit
        ("n", np.int32),
        ("child", np.int32),  # -1 before the first visit
        ("out", np.int8),  # a proof rules the move out while another is left
        ("proven", np.int8),  # `q` is the mover's proven value, no mean
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
        ("quiet", np.bool_),  # no Dirichlet noise at the root
    ],
    align=True,
)

HOW = np.dtype(
    [
        ("puct", np.int64),  # 1: PUCT, 0: Gumbel
        ("c_visit", np.float64),  # Gumbel: sigma(q) = (c_visit + max n) c_scale q
        ("c_scale", np.float64),
        ("scale", np.float64),  # Gumbel noise at the root
        ("c", np.float64),  # PUCT: weight of exploration
        ("fpu", np.float64),  # reduction of unvisited moves
        ("noise", np.float64),  # share of Dirichlet noise at the root
        ("alpha", np.float64),  # its shape; 0: 10 / legal moves within [.03, .3]
    ],
    align=True,
)
"""How a search selects, one record for all its trees."""

NO_ERROR, STUCK, NOT_FINITE = range(3)
ERRORS = (
    "",
    "a position without a legal move that is not over",
    "the evaluator returned a number that is not finite",
)

FORCED_RUN = 64
"""Forced plies that one edge takes at most; a longer run goes on in a node with one edge."""

PV_LENGTH = 16


class Forest:
    """The arrays of `games` trees; everything but the number of games grows as it is needed.

    `noise`: float64[g, move] holds the Gumbel noise of the roots, or their Dirichlet draws; `path`:
    int32[edge] one walk; `vector`: float64[4] one result.
    """

    def __init__(self, games: int, sims: int) -> None:
        self.games = games
        self.sims = sims
        self.trees = np.zeros(games, TREE)
        self.nodes = np.zeros((games, sims + 1), NODE)
        self.edges = np.zeros((games, 48 * (sims + 1)), EDGE)
        self.forced = np.zeros((games, 8 * (sims + 1) + FORCED_RUN), np.int64)
        self.noise = np.zeros((games, 1))
        self.path = np.zeros(sims + 2, np.int32)
        self.vector = np.zeros(4)

    def fits(self, games: int, sims: int) -> bool:
        """Tell whether the arrays are large enough."""
        return games <= self.games and sims <= self.sims

    def make_root_room(self, counts: NDArray[Any]) -> None:
        """Make room for roots with `counts` moves."""
        self.make_edge_room(np.zeros(len(counts), np.int32), counts)
        most = int(counts.max())
        if most > self.noise.shape[1]:
            self.noise = np.zeros((self.games, most))

    def make_edge_room(self, used: NDArray[Any], counts: NDArray[Any]) -> None:
        """Make room for `counts` more edges in games that use `used`."""
        need = int((used + counts).max())
        if need > self.edges.shape[1]:
            self.edges = _wider(self.edges, need)

    def make_node_room(self, nodes: int, forced: int) -> None:
        """Make room for trees of `nodes` nodes and `forced` forced plies."""
        if nodes > self.nodes.shape[1]:
            self.nodes = _wider(self.nodes, nodes)
            self.path = np.zeros(self.nodes.shape[1] + 1, np.int32)
        if forced > self.forced.shape[1]:
            self.forced = _wider(self.forced, forced)


def _wider(array: NDArray[Any], need: int) -> NDArray[Any]:
    games, have = array.shape
    wider = np.zeros((games, max(need, 2 * have)), array.dtype)
    wider[:, :have] = array
    return wider
