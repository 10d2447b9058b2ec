"""Gumbel search: many games in lock step, one leaf of each per round, one evaluation for all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import tree
from ringrift.agents.listing import legal_lists, move_buffer, refuse_swap, scratch
from ringrift.agents.protocol import Batch, Budget, Budgets, Decision, Evaluator, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class GumbelOptions:
    """Settings of the search.

    `sims`: simulations where the budget names none; `m`: root moves that sequential halving starts
    with; `scale`: Gumbel noise at the root, 0 for none; `sigma(q) = (c_visit + max n) c_scale q`.
    """

    sims: int = 150
    m: int = 16
    scale: float = 1.0
    c_visit: float = 50.0
    c_scale: float = 1.0


class GumbelAgent:
    """Search with the Gumbel rules; one instance is used by one thread."""

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        evaluator: Evaluator,
        options: GumbelOptions,
    ) -> None:
        self.spec = spec
        self.board = board
        self.options = options
        self._evaluator = evaluator
        self._boards = board_tables(board)
        self._forest = tree.Forest(1, 1)
        self._leaves = lay.zeros(0, lay.STATE)
        self._moves = np.zeros(0, np.int64)
        self._offsets = np.zeros(1, np.int32)
        self._games = np.zeros(0, np.int32)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without search."""
        if positions.spec != self.board:
            raise UsageError(
                f"{self.spec.text} plays {self.board.config}, not {positions.spec.config}"
            )
        budgets = budget_list(budget, len(positions))
        sims = np.array([self._sims(b) for b in budgets], np.int32)
        refuse_swap(positions.spec, positions.states)
        moves, offsets = legal_lists(positions.spec, positions.states)
        decisions: list[Decision | None] = [None] * len(positions)
        counts = np.diff(offsets)
        for i in np.flatnonzero(counts == 1).tolist():
            decisions[i] = Decision(move=int(moves[offsets[i]]), kind="forced")
        open_ = np.flatnonzero(counts > 1)
        if open_.size:
            chosen = self._search(
                positions.states[open_],
                positions.seed_array()[open_],
                sims[open_],
                moves[np.repeat(counts > 1, counts)],
                np.concatenate(([0], np.cumsum(counts[open_]))).astype(np.int32),
                rng,
                [budgets[i] for i in open_.tolist()],
            )
            for i, decision in zip(open_.tolist(), chosen, strict=True):
                decisions[i] = decision
        return [d for d in decisions if d is not None]

    def _sims(self, budget: Budget) -> int:
        if budget.depth is not None or budget.time_ms is not None:
            raise UsageError("gumbel: a budget is given in sims or nodes, not in depth or time")
        limits = [n for n in (budget.sims, budget.nodes) if n is not None]
        return min(limits) if limits else self.options.sims

    def _search(
        self,
        roots: NDArray[Any],
        seeds: NDArray[np.int64],
        sims: NDArray[np.int32],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        rng: Rngs,
        budgets: list[Budget],
    ) -> list[Decision]:
        started = time.perf_counter()
        self._prepare(len(roots), int(sims.max()))
        logits, raw = self._evaluator.evaluate(roots, self._boards, moves, offsets)
        self._plant(roots, seeds, sims, moves, offsets, logits, raw, rng)
        self._simulate(roots, self._plan(np.diff(offsets), sims))
        took_ms = (time.perf_counter() - started) * 1000 / len(roots)
        return self._decisions(moves, offsets, budgets, took_ms)

    def _prepare(self, games: int, sims: int) -> None:
        if not self._forest.fits(games, sims):
            old = self._forest
            self._forest = tree.Forest(max(games, old.games), max(sims, old.sims))
        if len(self._leaves) < games:
            self._leaves = lay.zeros(games, lay.STATE)
            self._moves = move_buffer(self.board, games)
            self._offsets = np.zeros(games + 1, np.int32)
            self._games = np.zeros(games, np.int32)

    def _plant(
        self,
        roots: NDArray[Any],
        seeds: NDArray[np.int64],
        sims: NDArray[np.int32],
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        logits: NDArray[np.float32],
        raw: NDArray[np.float32],
        rng: Rngs,
    ) -> None:
        f, o, n = self._forest, self.options, len(roots)
        f.trees["sims"][:n] = sims
        f.make_room(np.zeros(n, np.int32), np.diff(offsets))
        tree.plant(
            roots, n, self._boards, f.trees, f.nodes, f.edges, moves, offsets, logits, raw, seeds,
            rng.purpose, o.scale,
        )  # fmt: skip
        self._check(n)

    def _plan(self, counts: NDArray[np.int32], sims: NDArray[np.int32]) -> NDArray[np.int32]:
        """Lay out sequential halving for every game, `int32[n, sims]`."""
        wanted = np.zeros((len(sims), sims.max()), np.int32)
        for row, legal, budget in zip(wanted, counts.tolist(), sims.tolist(), strict=True):
            row[:budget] = tree.halving(min(self.options.m, legal, budget), budget)
        return wanted

    def _simulate(self, roots: NDArray[Any], wanted: NDArray[np.int32]) -> None:
        f, o, n, boards, work = self._forest, self.options, len(roots), self._boards, scratch()
        for _ in range(wanted.shape[1]):
            k = tree.gather(
                roots, n, self._leaves, self._games, boards, work, f.trees, f.nodes, f.edges,
                f.forced, wanted, o.c_visit, o.c_scale, self._moves, self._offsets,
            )  # fmt: skip
            if k == 0:
                break
            offsets, games = self._offsets[: k + 1], self._games[:k]
            moves = self._moves[: offsets[k]]
            logits, values = self._evaluator.evaluate(self._leaves[:k], boards, moves, offsets)
            f.make_room(f.trees["edges"][games], np.diff(offsets))
            tree.absorb(k, games, boards, f.trees, f.nodes, f.edges, moves, offsets, logits, values)
        self._check(n)

    def _check(self, n: int) -> None:
        errors = self._forest.trees["error"][:n]
        if errors.any():
            raise DataError(f"{self.spec.text}: {tree.ERRORS[int(errors[errors > 0][0])]}")

    def _decisions(
        self,
        moves: NDArray[np.int64],
        offsets: NDArray[np.int32],
        budgets: list[Budget],
        took_ms: float,
    ) -> list[Decision]:
        f, o, n = self._forest, self.options, len(budgets)
        chosen, policy = np.zeros(n, np.int64), np.zeros(len(moves), np.float64)
        visits, lengths = np.zeros(len(moves), np.int32), np.zeros(n, np.int32)
        values = np.zeros((n, self.board.players), np.float64)
        lines = np.zeros((n, tree.PV_LENGTH), np.int64)
        tree.harvest(
            n, self._boards, f.trees, f.nodes, f.edges, f.forced, o.c_visit, o.c_scale, offsets,
            chosen, policy, visits, values, lines, lengths,
        )  # fmt: skip
        raw = f.nodes["raw"][:n, 0, : self.board.players].tolist()
        values_, bounds, best = values.tolist(), offsets.tolist(), chosen.tolist()
        keys, shares, counts = moves.tolist(), policy.tolist(), visits.tolist()
        used, depth = f.trees["nodes"].tolist(), f.trees["depth"].tolist()
        done = f.trees["done"].tolist()
        decisions = []
        for g in range(n):
            first, last = bounds[g], bounds[g + 1]
            decisions.append(
                Decision(
                    move=keys[first + best[g]],
                    policy=tuple(zip(keys[first:last], shares[first:last], strict=True)),
                    value=tuple(values_[g]),
                    raw_value=tuple(raw[g]),
                    visits=tuple(zip(keys[first:last], counts[first:last], strict=True)),
                    sims=done[g],
                    depth=depth[g],
                    nodes=used[g],
                    time_ms=took_ms,
                    kind=budgets[g].kind,
                    pv=tuple(lines[g, : lengths[g]].tolist()),
                )
            )
        return decisions
