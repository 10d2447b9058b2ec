"""Nodes that a search of equal depth needs when a policy orders the moves at its root."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.alphabeta import kernel
from ringrift.agents.alphabeta.deepening import Deepening
from ringrift.agents.alphabeta.leaf import heuristic_leaf
from ringrift.agents.alphabeta.table import Table
from ringrift.agents.alphabeta.timing import Clock, StopFlags
from ringrift.agents.alphabeta.workspace import PLAIN, make_search
from ringrift.agents.benchmarks.policy import Sample
from ringrift.agents.protocol import Evaluator
from ringrift.agents.weights import default_profile
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

POSITIONS = 24
DEPTH = 2
Q = 8
TABLE_MB = 16
NO_LIMIT = (1 << 63) - 1


class RootSearches:
    """Searches to `depth` choices from some positions of a sample, evenly spread.

    Alpha-beta with the heuristic (paranoid for three and four seats), as the agent searches, except
    that the first order of the root's moves is a policy's. Deeper in the tree the search's own
    order stays: a policy is not asked there.
    """

    def __init__(self, sample: Sample, *, positions: int = POSITIONS, depth: int = DEPTH) -> None:
        self._sample = sample
        self._depth = depth
        self._places = np.unique(np.linspace(0, len(sample) - 1, positions).astype(np.int64))
        self._table = Table(TABLE_MB)
        leaf = heuristic_leaf(default_profile(sample.spec.config))
        self._search = make_search(sample.spec, leaf, self._table, depth + Q + 3)
        self._flags = StopFlags(self._search.run[0]["stop"])
        run = self._search.run[0]
        run["mode"], run["q"], run["width"] = PLAIN, Q, 0

    def count(self, evaluator: Evaluator) -> int:
        """Return the nodes of all searches with the moves in the order of the policy's logits.

        Level logits keep the order in which the rules list the moves.
        """
        return sum(self._nodes(int(place), evaluator) for place in self._places)

    def _nodes(self, place: int, evaluator: Evaluator) -> int:
        sample, x = self._sample, self._search
        state: NDArray[Any] = sample.states[place : place + 1]
        moves = sample.moves[sample.offsets[place] : sample.offsets[place + 1]]
        count = len(moves)
        offsets = np.array([0, count], np.int32)
        logits, _ = evaluator.evaluate(state, board_tables(sample.spec), moves, offsets)
        ordered = moves[np.argsort(-np.asarray(logits, np.float64), kind="stable")]
        self._table.next_search(keep=False)
        run = x.run[0]
        run["ref"] = 1 if sample.spec.players == 2 else state[0]["misc"][lay.CUR]
        run["age"], run["since"] = self._table.age, self._table.since
        run["node_limit"] = NO_LIMIT
        x.states[0] = state[0]
        x.moves[0, :count] = moves
        kernel.prepare(x.run, x.states, x.frames, x.boards, x.scratch, x.moves, x.order, count)
        x.moves[0, :count] = ordered  # in place of the order that `prepare` gave them
        with Clock(self._flags, None) as clock:
            return Deepening(x, count, maxn=False).go(self._depth, clock, NO_LIMIT).nodes
