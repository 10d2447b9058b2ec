# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The memory of a search, allocated once: a stack of positions and all that goes with a level.

Kernels walk this stack themselves. They call no function of their own again, since compiled code
that does so cannot be loaded from the cache; and they pass records, which cost nothing to pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.alphabeta.leaf import Leaf
from ringrift.agents.alphabeta.table import Table
from ringrift.agents.full import FIRST_FULL, FULL_FEATURES
from ringrift.nets.nnue.arrays import Net, Work
from ringrift.rules import BoardSpec, engine
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule

PV_LENGTH = 16
MAX_FORCED = 32
"""Forced plies in a row that are free; the next one counts as a choice."""

POLL_NODES = 1024
HISTORY = 1 << 14
PLAIN, BEST_REPLY = range(2)
TIME, KILL = range(2)

NO_ERROR, STUCK, NOT_FINITE = range(3)
ERRORS = (
    "",
    "a position without a legal move that is not over",
    "the evaluator returned a number that is not finite",
)

FEATURES = FIRST_FULL + len(FULL_FEATURES)

RUN = np.dtype(
    [
        ("stop", np.int64, (2,)),  # TIME, KILL: set from outside while the search runs
        ("nodes", np.int64),  # positions reached by a played move, forced ones included
        ("node_limit", np.int64),
        ("due", np.int64),  # nodes until the stop flags are read again
        ("ref", np.int64),  # the seat that scores belong to
        ("mode", np.int64),
        ("width", np.int64),  # moves kept at interior nodes, 0 all
        ("q", np.int64),  # choices of quiescence
        ("age", np.int64),  # of this search in the table
        ("since", np.int64),  # age of the oldest entry that counts
        ("stopped", np.int64),
        ("error", np.int64),
        ("horizon", np.int64),  # 1 once a position was estimated, or a table entry stood for it
        ("best", np.int64),  # the root's best move of this iteration
        ("done", np.int64),  # root moves finished in this iteration
        ("kind", np.int64),  # of the leaf
        ("light", np.int64),  # 1 if moves are ordered by light values
        ("full", np.int64),  # 1 if the leaf counts all features
        ("gain", np.float64),
        ("weights", np.float64, (FEATURES,)),
        ("f", np.float64, (5, FEATURES)),
        ("light_weights", np.float64, (FIRST_FULL,)),
        ("light_f", np.float64, (5, FIRST_FULL)),
        ("out", np.float64, (4,)),
        ("history", np.int32, (5, HISTORY)),  # by seat and move
    ],
    align=True,
)

FRAME = np.dtype(
    [
        ("depth", np.int64),
        ("q", np.int64),  # choices left to quiescence
        ("choices", np.int64),  # from the root to here
        ("alpha", np.int64),  # the window, as `ref` sees it
        ("beta", np.int64),
        ("free", np.int64),  # the opponent that searches in best-reply play, 0 before one is chosen
        ("split", np.int64),  # best reply: the opponent whose turn it is to search; -1 elsewhere
        (
            "side",
            np.int64,
        ),  # 1 if the mover is `ref`, -1 if another: from here on the mover's terms
        ("low", np.int64),
        ("high", np.int64),
        ("first_low", np.int64),
        ("best", np.int64),
        ("best_move", np.int64),
        ("move", np.int64),  # being searched
        ("i", np.int64),
        ("n", np.int64),
        ("probing", np.int64),  # the child is asked only whether it is better than the best
        ("again", np.int64),  # it was, and is to be searched in full
        ("truncated", np.int64),  # moves were left out for the width
        ("key", np.int64),
        ("killers", np.int64, (2,)),
        ("forced", np.int64),  # plies played at this level before its choice
        ("pv", np.int64, (PV_LENGTH,)),  # best line from the level's position, forced plies first
        ("pv_n", np.int64),
        ("vector", np.int64, (4,)),  # max-n: the best scores so far, one per seat
    ],
    align=True,
)


class Search(NamedTuple):
    """The arrays of kernels, in the order in which they take them.

    `run`: RUN[1], `states`: STATE[levels], `frames`: FRAME[levels], `moves` and `order`:
    int64[levels, max_moves], whose pages are touched only as far as moves go; `table`: ENTRY or
    VECTOR_ENTRY; `net` and `work` are those of the leaf.
    """

    run: NDArray[Any]
    states: NDArray[Any]
    frames: NDArray[Any]
    boards: NDArray[Any]
    scratch: NDArray[Any]
    moves: NDArray[np.int64]
    order: NDArray[np.int64]
    table: NDArray[Any]
    net: Net
    work: Work


def make_search(board: BoardSpec, leaf: Leaf, table: Table, levels: int) -> Search:
    """Allocate the memory of searches of at most `levels` levels."""
    boards = board_tables(board)
    states = lay.zeros(levels, lay.STATE)
    for level in range(levels):
        engine.start(states, level, boards)
    run = np.zeros(1, RUN)
    run["kind"], run["gain"] = leaf.kind, leaf.gain
    run["light"], run["full"] = len(leaf.light) > 0, len(leaf.weights) > FIRST_FULL
    run["weights"][0, : len(leaf.weights)] = leaf.weights
    run["light_weights"][0, : len(leaf.light)] = leaf.light
    return Search(
        run=run,
        states=states,
        frames=np.zeros(levels, FRAME),
        boards=boards,
        scratch=lay.zeros(1, lay.SCRATCH),
        moves=np.empty((levels, board.max_moves), np.int64),
        order=np.empty((levels, board.max_moves), np.int64),
        table=table.entries,
        net=leaf.net,
        work=leaf.work,
    )


@rule
def tick(run, cost):
    """Count `cost` nodes towards the next look at the stop flags."""
    run.due -= cost
    if run.due <= 0:
        run.due = POLL_NODES
        if run.stop[TIME] != 0 or run.stop[KILL] != 0:
            run.stopped = 1


@rule
def count_node(run):
    """Count a position reached by a played move; stop the search at its limit."""
    run.nodes += 1
    if run.nodes >= run.node_limit:
        run.stopped = 1
    tick(run, 1)


@rule
def keep_line(frame, below, m):
    """Make the level's line its forced plies, `m` (-1 none), and the line of the level below."""
    n = min(int(frame.forced), PV_LENGTH)
    if n < PV_LENGTH and m >= 0:
        frame.pv[n] = m
        n += 1
    for i in range(below.pv_n):
        if n < PV_LENGTH:
            frame.pv[n] = below.pv[i]
            n += 1
    frame.pv_n = n
