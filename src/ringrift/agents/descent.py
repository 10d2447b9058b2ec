"""The descent agent: unbounded best-first search of many games in lock step (agents.md 7)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import descent_tree as tree
from ringrift.agents.choices import Choices, choices_of
from ringrift.agents.listing import scratch
from ringrift.agents.protocol import Batch, Budget, Budgets, Decision, Evaluator, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

POLICY_TAU = 0.1
"""Temperature of the softmax of child values that is recorded as the policy."""

LARGE_BOARD_WIDTH = 48
PV_LENGTH = 16

ROOM = 4096
"""Children of one evaluation, the last leaf's beyond it: 24 MB of positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentOptions:
    """Settings of the search, for what a budget leaves open.

    `sims`: expansions, None for no limit; `ms`: wall time; `max_depth`: choices from the root that
    a walk may go; `width`: best moves by the evaluator's logits that an inner node keeps, 0 for all,
    None for the board's own (all, 48 on the large boards). The root keeps all.
    """

    sims: int | None = 200
    ms: float | None = None
    max_depth: int = 500
    width: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("sims", 1), ("max_depth", 1), ("width", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"descent: {name} is {value}; expected at least {least}")
        if self.ms is not None and self.ms <= 0:
            raise UsageError(f"descent: ms is {self.ms}; expected a number above 0")
        if self.sims is None and self.ms is None:
            raise UsageError("descent: neither sims nor ms ends the search")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """Ends of the searches, one entry per game; `ms` is infinite where time does not count."""

    sims: NDArray[np.int32]
    nodes: NDArray[np.int32]
    depth: NDArray[np.int32]
    ms: NDArray[np.float64]


class DescentAgent:
    """Expand the best line again and again; one instance is used by one thread.

    An expansion evaluates all children of a node, those of all games in one call; children are
    evaluated with empty legal sets, since their logits are not needed. A budget of nodes ends the
    search after the expansion that reaches it, one of time after the round that does; time is
    counted from the call, for all positions of a batch together.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        evaluator: Evaluator,
        options: DescentOptions,
    ) -> None:
        self.spec = spec
        self.board = board
        self.options = options
        large = board.board in ("square19", "hexagonal")
        own_width = LARGE_BOARD_WIDTH if large else 0
        self.width = own_width if options.width is None else options.width
        self._evaluator = evaluator
        self._boards = board_tables(board)
        self._grove = tree.Grove(1)
        self._leaves = lay.zeros(0, lay.STATE)
        self._children = lay.zeros(0, lay.STATE)
        self._of_game = np.zeros(0, np.int32)
        self._of_node = np.zeros(0, np.int32)
        self._games = np.zeros(0, np.int32)
        self._offsets = np.zeros(1, np.int32)
        self._moves = np.empty(ROOM + board.max_moves, np.int64)
        self._buffer = np.empty(board.max_moves, np.int64)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without search.

        Raises `DataError` where the evaluator returns a number that is not finite.
        """
        started = time.perf_counter()
        budgets = budget_list(budget, len(positions))
        found = choices_of(self.spec, self.board, positions)
        if len(found) == 0:
            return found.merge([])
        budgets = [budgets[i] for i in found.index.tolist()]
        self._search(found, self._limits(budgets), started)
        took_ms = (time.perf_counter() - started) * 1000 / len(found)
        return found.merge(self._decisions(found, budgets, rng, took_ms))

    def _limits(self, budgets: list[Budget]) -> _Limits:
        own = self.options
        sims, nodes, depth, ms = [], [], [], []
        for b in budgets:
            given = any(limit is not None for limit in (b.sims, b.nodes, b.time_ms))
            sims.append(b.sims if given else own.sims)
            ms.append(b.time_ms if given else own.ms)
            nodes.append(b.nodes)
            depth.append(own.max_depth if b.depth is None else min(own.max_depth, b.depth))
        return _Limits(
            sims=_int32(sims),
            nodes=_int32(nodes),
            depth=_int32(depth),
            ms=np.array([np.inf if limit is None else limit for limit in ms]),
        )

    def _search(self, found: Choices, limits: _Limits, started: float) -> None:
        n = len(found)
        self._prepare(n)
        grove, timed = self._grove, np.isfinite(limits.ms)
        trees = grove.trees[:n]
        trees["sims"], trees["most"] = limits.sims, limits.nodes
        tree.plant(found.states, n, grove.trees, grove.nodes, limits.depth)
        while self._round(found.states, n):
            if timed.any():
                late = limits.ms <= (time.perf_counter() - started) * 1000
                trees["sims"][late] = trees["done"][late]
        if (errors := trees["error"]).any():
            raise DataError(f"{self.spec.text}: {tree.ERRORS[int(errors[errors > 0][0])]}")

    def _prepare(self, games: int) -> None:
        if games > self._grove.games:
            self._grove = tree.Grove(games)
        if len(self._leaves) < games:
            self._leaves = lay.zeros(games, lay.STATE)
            self._games = np.zeros(games, np.int32)
            self._offsets = np.zeros(games + 1, np.int32)

    def _round(self, roots: NDArray[Any], n: int) -> bool:
        """Expand one node of every unfinished game; False if there is none."""
        grove, start, expanded = self._grove, 0, False
        while start < n and not grove.trees["error"][:n].any():
            k, start = tree.gather(
                roots, start, n, self._leaves, self._games, self._boards, scratch(), grove.trees,
                grove.nodes, grove.forced, self._moves, self._offsets, ROOM,
            )  # fmt: skip
            if k > 0:
                self._expand(k)
                expanded = True
        return expanded

    def _expand(self, k: int) -> None:
        """Make, evaluate and back up the children of the `k` gathered leaves."""
        grove, boards, games = self._grove, self._boards, self._games[:k]
        moves, offsets = self._narrowed(k)
        grove.make_room(games, np.diff(offsets))
        if len(self._children) < len(moves):
            self._children = lay.zeros(len(moves) + ROOM // 4, lay.STATE)
            self._of_game = np.zeros(len(self._children), np.int32)
            self._of_node = np.zeros(len(self._children), np.int32)
        wanted = tree.spread(
            self._leaves, k, games, self._children, self._of_game, self._of_node, boards,
            scratch(), grove.trees, grove.nodes, grove.forced, moves, offsets, self._buffer,
        )  # fmt: skip
        values = np.zeros((0, self.board.players), np.float32)
        if wanted > 0:
            _, values = self._evaluator.evaluate(
                self._children[:wanted], boards, _NO_MOVES, np.zeros(wanted + 1, np.int32)
            )
        tree.absorb(
            k, games, wanted, self._of_game, self._of_node, boards, grove.trees, grove.nodes, values
        )

    def _narrowed(self, k: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the moves of the leaves, inner nodes with more than `width` cut to their best."""
        offsets, games, grove = self._offsets[: k + 1], self._games[:k], self._grove
        moves, counts = self._moves[: offsets[k]], np.diff(offsets)
        inner = grove.trees["leaf"][games] > 0
        wide = np.flatnonzero((counts > self.width) & inner & (self.width > 0))
        if wide.size == 0:
            return moves, offsets
        asked = np.concatenate([moves[offsets[i] : offsets[i + 1]] for i in wide.tolist()])
        bounds = np.concatenate(([0], np.cumsum(counts[wide]))).astype(np.int32)
        logits, _ = self._evaluator.evaluate(self._leaves[wide], self._boards, asked, bounds)
        if not np.isfinite(logits).all():
            raise DataError(f"{self.spec.text}: {tree.ERRORS[tree.NOT_FINITE]}")
        keep = np.ones(len(moves), bool)
        for row, i in enumerate(wide.tolist()):
            order = np.argsort(-logits[bounds[row] : bounds[row + 1]], kind="stable")
            keep[offsets[i] + order[self.width :]] = False
        counts[wide] = self.width
        grove.nodes["cut"][games[wide], grove.trees["leaf"][games[wide]]] = 1
        return moves[keep], np.concatenate(([0], np.cumsum(counts))).astype(np.int32)

    def _decisions(
        self, found: Choices, budgets: list[Budget], rng: Rngs, took_ms: float
    ) -> list[Decision]:
        grove, n, total = self._grove, len(found), len(found.moves)
        chosen, lengths = np.zeros(n, np.int64), np.zeros(n, np.int32)
        policy, visits = np.zeros(total, np.float64), np.zeros(total, np.int32)
        lines = np.zeros((n, PV_LENGTH), np.int64)
        tree.harvest(
            found.states, n, found.seeds, rng.purpose, POLICY_TAU, grove.trees, grove.nodes,
            grove.forced, chosen, policy, visits, found.offsets, lines, lengths,
        )  # fmt: skip
        keys, shares, counts = found.moves.tolist(), policy.tolist(), visits.tolist()
        bounds, best = found.offsets.tolist(), chosen.tolist()
        values = grove.nodes["value"][:n, 0, : self.board.players].tolist()
        trees = grove.trees[:n]
        done, depth, nodes = (trees[name].tolist() for name in ("done", "depth", "nodes"))
        decisions = []
        for g in range(n):
            first, last = bounds[g], bounds[g + 1]
            decisions.append(
                Decision(
                    move=keys[first + best[g]],
                    policy=tuple(zip(keys[first:last], shares[first:last], strict=True)),
                    value=tuple(values[g]),
                    visits=tuple(zip(keys[first:last], counts[first:last], strict=True)),
                    sims=done[g],
                    depth=depth[g],
                    nodes=nodes[g],
                    time_ms=took_ms,
                    kind=budgets[g].kind,
                    pv=tuple(lines[g, : lengths[g]].tolist()),
                )
            )
        return decisions


_NO_MOVES = np.zeros(0, np.int64)


def _int32(limits: Sequence[int | None]) -> NDArray[np.int32]:
    """Return limits as `int32[n]`, those that are None or beyond it as no limit."""
    most = tree.UNLIMITED
    return np.array([most if x is None else min(x, most) for x in limits], np.int32)
