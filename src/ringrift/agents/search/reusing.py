# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""Trees kept between the decisions of a game: find the position reached, and move its subtree."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.listing import scratch
from ringrift.agents.search.arrays import Forest
from ringrift.agents.search.walk import replay
from ringrift.rules import layout as lay
from ringrift.rules.hashing import hash_high, hash_low
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import PLY

KEPT_GAMES = 1024
"""Games whose trees are kept at most; the one least recently searched goes first."""


@rule
def find_position(
    root, target, i, boards, scratch, work, nodes, edges, forced, moves, first, last, plies, path
):
    """Return the node of a kept tree whose position is `target[i]`, -1 if there is none.

    `root`: STATE[1]; `nodes`, `edges` and `forced` are of one tree. Only nodes below the root are
    looked at, so that a position asked about twice is searched twice. `moves[first:last]` is the
    legal set of the target, `plies` and `path`: int32[nodes] are work space.
    """
    b = boards[0]
    w = scratch[0]
    wanted = target[i].misc[PLY]
    low = hash_low(target[i], b)
    high = hash_high(target[i], b)
    plies[0] = root[0].misc[PLY]
    for at in range(1, nodes.shape[1]):
        node = nodes[0, at]
        plies[at] = plies[node.parent] + 1 + node.forced_n
        if plies[at] != wanted or node.count != last - first:
            continue
        depth = 0
        up = at
        while up > 0:
            depth += 1
            up = nodes[0, up].parent
        up = at
        for k in range(depth):
            path[depth - 1 - k] = nodes[0, up].edge
            up = nodes[0, up].parent
        work[0] = root[0]
        replay(work[0], b, w, nodes, edges, forced, 0, path, depth)
        if hash_low(work[0], b) != low or hash_high(work[0], b) != high:
            continue
        same = True
        for j in range(last - first):
            same = same and edges[0, node.first + j].move == moves[first + j]
        if same:
            return at
    return -1


@rule
def longest_line(nodes, g, n, plies):
    """Return how many plies the `n` nodes of tree `g` reach beyond its root.

    `plies`: int32[nodes] is work space.
    """
    most = 0
    plies[0] = 0
    for at in range(1, n):
        node = nodes[g, at]
        plies[at] = plies[node.parent] + 1 + node.forced_n
        most = max(most, plies[at])
    return most


@rule
def transplant(old_nodes, old_edges, old_forced, top, trees, nodes, edges, forced, g, places):
    """Copy the subtree of node `top` of a kept tree into tree `g`, node 0 its root.

    Parents stand before their children, so one pass in order does. `places`: int32[old nodes] is
    work space.
    """
    t = trees[g]
    t.nodes = 0
    t.edges = 0
    t.forced = 0
    for at in range(old_nodes.shape[1]):
        old = old_nodes[0, at]
        places[at] = -1
        if at != top and (old.parent < 0 or places[old.parent] < 0):
            continue
        to = t.nodes
        t.nodes = to + 1
        places[at] = to
        nodes[g, to] = old_nodes[0, at]
        node = nodes[g, to]
        node.first = t.edges
        node.forced = t.forced
        if at == top:
            node.parent = -1
            node.edge = -1
            node.forced_n = 0
        else:
            node.parent = places[old.parent]
            e = nodes[g, node.parent].first + old.edge - old_nodes[0, old.parent].first
            node.edge = e
            edges[g, e].child = to
        for j in range(old.count):
            edges[g, t.edges + j] = old_edges[0, old.first + j]
            edges[g, t.edges + j].child = -1
        for j in range(node.forced_n):
            forced[g, t.forced + j] = old_forced[0, old.forced + j]
        t.edges += old.count
        t.forced += node.forced_n


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """One tree: `root`: STATE[1], `nodes`: NODE[1, n], `edges`: EDGE[1, e], `forced`: int64[1, f].

    After round `until` its game, if it goes on, is past every position of the tree.
    """

    root: NDArray[Any]
    nodes: NDArray[Any]
    edges: NDArray[Any]
    forced: NDArray[np.int64]
    until: int


class KeptTrees:
    """The last tree of each (game seed, seat to move), for as long as it can be of use.

    A game that is over is not announced. But games move on together, each by a ply or more in every
    round of searches; so a tree that reaches `n` plies is dropped after `n` rounds in which its game
    did not come back to it. For a game that goes on nothing is lost by that, whatever is in the
    batches. A round ends when a game is searched for the second time.
    """

    def __init__(self, players: int) -> None:
        self._kept: OrderedDict[tuple[int, int], _Kept] = OrderedDict()
        self._most = KEPT_GAMES * players
        self._work = lay.zeros(1, lay.STATE)
        self._round = 0
        self._searched: set[int] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def resume(
        self,
        key: tuple[int, int],
        states: NDArray[Any],
        i: int,
        boards: NDArray[Any],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        forest: Forest,
        extra: int,
    ) -> bool:
        """Make tree `i` of the forest from what is kept of `key`; tell whether there was anything.

        Room is made for `extra` nodes more.
        """
        kept = self._kept.get(key)
        if kept is None:
            return False
        used = kept.nodes.shape[1]
        plies, path = np.zeros(used, np.int32), np.zeros(used, np.int32)
        at = find_position(
            kept.root, states, i, boards, scratch(), self._work, kept.nodes, kept.edges, kept.forced,
            moves, int(offsets[i]), int(offsets[i + 1]), plies, path,
        )  # fmt: skip
        if at < 0:
            return False
        forest.make_node_room(used + extra, kept.forced.shape[1] + 8 * extra)
        edges = np.array([kept.edges.shape[1]], np.int32)
        forest.make_edge_room(np.zeros(1, np.int32), edges)
        transplant(
            kept.nodes, kept.edges, kept.forced, at, forest.trees, forest.nodes, forest.edges,
            forest.forced, i, plies,
        )  # fmt: skip
        return True

    def searched(self, seeds: Iterable[int]) -> None:
        """Take note of the games of a search, and drop the trees that have become useless."""
        games = set(seeds)
        if len(self._searched) >= KEPT_GAMES or not games.isdisjoint(self._searched):
            self._round += 1
            self._searched.clear()
            for key in [key for key, kept in self._kept.items() if kept.until < self._round]:
                del self._kept[key]
        self._searched |= games

    def keep(self, key: tuple[int, int], state: NDArray[Any], forest: Forest, g: int) -> None:
        """Store tree `g` of the forest, whose root is `state`: STATE[1], and drop the oldest."""
        t = forest.trees[g]
        used = int(t["nodes"])
        reach = int(longest_line(forest.nodes, g, used, np.zeros(used, np.int32)))
        self._kept[key] = _Kept(
            root=state.copy(),
            nodes=forest.nodes[g : g + 1, :used].copy(),
            edges=forest.edges[g : g + 1, : t["edges"]].copy(),
            forced=forest.forced[g : g + 1, : t["forced"]].copy(),
            until=self._round + reach,
        )
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
