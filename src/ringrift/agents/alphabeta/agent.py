"""The alpha-beta agent: one search per position, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.alphabeta import kernel
from ringrift.agents.alphabeta.deepening import Deepening, Outcome
from ringrift.agents.alphabeta.leaf import NNUE, Leaf
from ringrift.agents.alphabeta.scores import as_value
from ringrift.agents.alphabeta.table import Table
from ringrift.agents.alphabeta.timing import Clock, StopFlags
from ringrift.agents.alphabeta.workspace import BEST_REPLY, PLAIN, make_search
from ringrift.agents.listing import legal_lists, refuse_swap
from ringrift.agents.protocol import Batch, Budget, Budgets, Decision, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay

MAX_DEPTH = 64
MAX_Q = 32
NO_LIMIT = (1 << 63) - 1
LARGE_WIDTH = 64
LARGE = ("square19", "hexagonal")

Multi = Literal["paranoid", "maxn", "brs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaBetaOptions:
    """Settings of the search.

    `depth` in choices, `nodes` and `ms` end a search where the budget does not say; `tt_mb`: size
    of the table in MiB, 0 for none; `width`: moves kept at interior nodes, 0 for all, None for 64
    on the large boards and all on the small ones; `q`: choices of quiescence; `multi`: what three
    and four seats play (two always play alpha-beta).
    """

    depth: int = 3
    nodes: int | None = None
    ms: float | None = None
    tt_mb: int = 64
    width: int | None = None
    q: int = 8
    multi: Multi = "paranoid"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("depth", 1, MAX_DEPTH),
            ("tt_mb", 0, 1 << 16),
            ("q", 0, MAX_Q),
            ("width", 0, 1 << 16),
            ("nodes", 1, NO_LIMIT),
            ("ms", 0, 1e9),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"alphabeta: {name} is {value}; expected {low} to {high:g}")
        if self.multi not in ("paranoid", "maxn", "brs"):
            raise UsageError(f"alphabeta: multi is {self.multi!r}; expected paranoid, maxn or brs")


class AlphaBetaAgent:
    """Search by alpha-beta, max-n or best reply; one instance is used by one thread.

    The value of a decision is `(v, -v)` for two players and the vector of max-n. Paranoid and
    best-reply play know the mover's entry alone: the others share `-v` evenly.

    The table outlives a search only in games played on time, where decisions cannot be repeated
    anyway: without a time limit a decision is the same whatever was decided before it.
    `flags.kill()` ends the search under way.
    """

    def __init__(
        self, spec: ResolvedSpec, board: BoardSpec, leaf: Leaf, options: AlphaBetaOptions
    ) -> None:
        if leaf.kind == NNUE and leaf.work.x.shape[0] != board.players:
            raise UsageError(
                f"{spec.text}: the work space of the NNUE is for {leaf.work.x.shape[0]} players, "
                f"not {board.players}"
            )
        self.spec = spec
        self.board = board
        self.options = options
        self._maxn = options.multi == "maxn" and board.players > 2
        self._table = Table(options.tt_mb, vectors=self._maxn)
        brs = options.multi == "brs" and board.players > 2
        # A choice of best-reply play may take two levels; one more is work space of `ordering`.
        levels = MAX_DEPTH * (2 if brs else 1) + options.q + 3
        self._search = make_search(board, leaf, self._table, levels)
        run = self._search.run[0]
        self.flags = StopFlags(run["stop"])
        run["mode"] = BEST_REPLY if brs else PLAIN
        run["q"] = options.q
        width = options.width
        if width is None:
            width = LARGE_WIDTH if board.board in LARGE else 0
        run["width"] = width
        self._game: int | None = None

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without search."""
        if positions.spec != self.board:
            raise UsageError(
                f"{self.spec.text} plays {self.board.config}, not {positions.spec.config}"
            )
        budgets = budget_list(budget, len(positions))
        for one in budgets:
            if one.sims is not None:
                raise UsageError(
                    "alphabeta: a budget is given in depth, nodes or time, not in sims"
                )
        refuse_swap(positions.spec, positions.states)
        moves, offsets = legal_lists(positions.spec, positions.states)
        decisions = []
        for i, one in enumerate(budgets):
            own = moves[offsets[i] : offsets[i + 1]]
            if len(own) == 1:
                decisions.append(Decision(move=int(own[0]), kind="forced"))
            else:
                decisions.append(self._decide(positions.states[i], own, positions.seeds[i], one))
        return decisions

    def _search_from(
        self, root: Any, moves: NDArray[np.int64], budget: Budget, clock: Clock
    ) -> Outcome:
        x, count = self._search, len(moves)
        run = x.run[0]
        run["ref"] = 1 if self.board.players == 2 else root["misc"][lay.CUR]
        run["age"], run["since"] = self._table.age, self._table.since
        run["node_limit"] = NO_LIMIT
        x.states[0] = root
        x.moves[0, :count] = moves
        kernel.prepare(
            x.run, x.states, x.frames, x.boards, x.scratch, x.moves, x.order, count
        )  # fmt: skip
        depth = min(MAX_DEPTH, self.options.depth if budget.depth is None else budget.depth)
        nodes = self.options.nodes if budget.nodes is None else budget.nodes
        deepening = Deepening(x, count, maxn=self._maxn)
        return deepening.go(depth, clock, NO_LIMIT if nodes is None else nodes)

    def _decide(self, root: Any, moves: NDArray[np.int64], seed: int, budget: Budget) -> Decision:
        limit_ms = self.options.ms if budget.time_ms is None else budget.time_ms
        timed = limit_ms is not None
        self._table.next_search(keep=timed and seed == self._game)
        self._game = seed if timed else None
        with Clock(self.flags, limit_ms) as clock:
            found = self._search_from(root, moves, budget, clock)
            took_ms = clock.elapsed_ms
        return Decision(
            move=found.move,
            value=self._values(found, int(root["misc"][lay.CUR])),
            depth=found.depth,
            nodes=found.nodes,
            time_ms=took_ms,
            kind=budget.kind,
            pv=found.pv,
        )

    def _values(self, found: Outcome, seat: int) -> tuple[float, ...] | None:
        """Return an entry per seat, sum 0; None where the search had no time for one move."""
        if found.scores is not None:
            values = [as_value(score) for score in found.scores]
            mean = sum(values) / len(values)
            return tuple(v - mean for v in values)
        if found.value is None:
            return None
        players = self.board.players
        rest = -found.value / (players - 1)
        return tuple(found.value if p == seat else rest for p in range(1, players + 1))
