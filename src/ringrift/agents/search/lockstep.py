"""Search many games in lock step: one leaf of each a round, one evaluation for all of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.choices import Choices
from ringrift.agents.listing import move_buffer, scratch
from ringrift.agents.protocol import Budget, Decision, Evaluator, Rngs
from ringrift.agents.search import walk
from ringrift.agents.search.answers import harvest
from ringrift.agents.search.arrays import ERRORS, FORCED_RUN, HOW, PV_LENGTH, Forest
from ringrift.agents.search.drawing import Temperature, constant, drawn
from ringrift.agents.search.reusing import KEPT_GAMES, KeptTrees
from ringrift.agents.search.rounds import rounds
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import DataError, UsageError
from ringrift.nets.nnue.evaluator import NnueEvaluator
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables

FIRST_ROOM = 1024
"""Nodes a tree has room for at first where only time ends the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to search: `n` choices and, for each, its budget and its limits.

    `sims`: int32[n]; `ms`: float64[n], infinite where time does not count; `wanted`: int32[n, sims],
    the plan of sequential halving, empty for PUCT.
    """

    choices: Choices
    budgets: list[Budget]
    sims: NDArray[np.int32]
    ms: NDArray[np.float64]
    wanted: NDArray[np.int32]
    rng: Rngs
    temperature: Temperature | None = None


class LockstepSearch:
    """The arrays of a searching agent, and the rounds that fill them; used by one thread.

    `how`: fields of `arrays.HOW`. With `kept` trees, a search goes on from the last one of its game
    and seat.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        evaluator: Evaluator,
        how: dict[str, float],
        kept: KeptTrees | None = None,
    ) -> None:
        self.forest = Forest(1, 1)
        self._spec = spec
        self._board = board
        self._boards = board_tables(board)
        self._evaluator = evaluator
        self._net = evaluator.parts() if isinstance(evaluator, NnueEvaluator) else None
        self._how = np.zeros(1, HOW)
        for name, value in how.items():
            self._how[name] = value
        self._kept = kept
        self._leaves = lay.zeros(0, lay.STATE)
        self._moves = np.zeros(0, np.int64)
        self._offsets = np.zeros(1, np.int32)
        self._games = np.zeros(0, np.int32)
        self._logits = np.zeros(0, np.float32)
        self._values = np.zeros((0, board.players), np.float32)
        self._status = np.zeros(2, np.int64)

    def run(self, task: Task) -> list[Decision]:
        """Search all choices of a task and return their decisions, in order.

        Raises `DataError` for numbers of the evaluator that are not finite, and for a position
        without a legal move.
        """
        started = time.perf_counter()
        n = len(task.choices)
        timed = bool(np.isfinite(task.ms).any())
        self._prepare(n, FIRST_ROOM if timed else int(task.sims.max()))
        self._plant(task)
        self._simulate(task, started if timed else None)
        took_ms = (time.perf_counter() - started) * 1000 / n
        if self._kept is not None:
            self._kept.searched(task.choices.seeds.tolist())
            for i, key in enumerate(self._keys(task.choices)):
                if key is not None:
                    self._kept.keep(key, task.choices.states[i : i + 1], self.forest, i)
        return self._decisions(task, took_ms)

    def _prepare(self, games: int, sims: int) -> None:
        if not self.forest.fits(games, sims):
            old = self.forest
            self.forest = Forest(max(games, old.games), max(sims, old.sims))
        if len(self._leaves) < games:
            self._leaves = lay.zeros(games, lay.STATE)
            self._moves = move_buffer(self._board, games)
            self._offsets = np.zeros(games + 1, np.int32)
            self._games = np.zeros(games, np.int32)
            self._logits = np.zeros(len(self._moves), np.float32)
            self._values = np.zeros((games, self._board.players), np.float32)

    def _keys(self, choices: Choices) -> list[tuple[int, int] | None]:
        """Name the kept tree of each choice; None for one whose game stands twice in the batch."""
        seats = choices.states["misc"][:, lay.CUR].tolist()
        keys = list(zip(choices.seeds.tolist(), seats, strict=True))
        if len(keys) > KEPT_GAMES:
            raise UsageError(
                f"{self._spec.text}: {len(keys)} games at once; trees of {KEPT_GAMES} can be kept",
                hint="reuse=off, or smaller batches",
            )
        times = Counter(keys)
        return [key if times[key] == 1 else None for key in keys]

    def _resumed(self, task: Task) -> NDArray[np.bool_]:
        """Take over what is kept of earlier searches; tell which games had something."""
        c, found = task.choices, np.zeros(len(task.choices), np.bool_)
        if self._kept is None:
            return found
        for i, key in enumerate(self._keys(c)):
            if key is not None:
                extra = min(int(task.sims[i]) + 1, FIRST_ROOM)
                found[i] = self._kept.resume(
                    key, c.states, i, self._boards, c.moves, c.offsets, self.forest, extra
                )
        return found

    def _plant(self, task: Task) -> None:
        f, c = self.forest, task.choices
        n, counts = len(c), np.diff(c.offsets)
        f.make_root_room(counts)
        f.trees["sims"][:n] = task.sims
        f.trees["error"][:n] = 0
        f.trees["quiet"][:n] = [budget.kind == "cheap" for budget in task.budgets]
        fresh = np.flatnonzero(~self._resumed(task)).astype(np.int32)
        if fresh.size:
            moves = c.moves[np.repeat(np.isin(np.arange(n), fresh), counts)]
            offsets = np.concatenate(([0], np.cumsum(counts[fresh]))).astype(np.int32)
            states = c.states[fresh]
            logits, values = self._evaluator.evaluate(states, self._boards, moves, offsets)
            walk.plant(
                c.states, self._boards, f.trees, f.nodes, f.edges, moves, offsets, logits, values,
                fresh,
            )  # fmt: skip
        walk.begin(
            c.states, n, f.trees, f.nodes, f.edges, self._how, f.noise, c.seeds, task.rng.purpose
        )
        self._check(n)

    def _simulate(self, task: Task, started: float | None) -> None:
        """Take rounds until all games are done, those of a net's policy many at a time.

        Where time counts it is looked at after each round.
        """
        f, boards, n, status = self.forest, self._boards, len(task.choices), self._status
        net = self._net if started is None else None
        while True:
            walked = (
                task.choices.states, n, self._leaves, self._games, boards, scratch(), f.trees,
                f.nodes, f.edges, f.forced, task.wanted, self._how, f.noise, f.path, f.vector,
                self._moves, self._offsets, status,
            )  # fmt: skip
            k = (
                walk.gather(*walked)
                if net is None
                else rounds(*walked, *net, self._logits, self._values)
            )
            if k > 0:
                offsets, games = self._offsets[: k + 1], self._games[:k]
                moves = self._moves[: offsets[k]]
                logits, values = (
                    self._evaluator.evaluate(self._leaves[:k], boards, moves, offsets)
                    if net is None
                    else (self._logits, self._values)
                )
                f.make_edge_room(f.trees["edges"][games], np.diff(offsets))
                walk.absorb(
                    k, games, boards, f.trees, f.nodes, f.edges, moves, offsets, logits, values
                )
            if status[1]:
                nodes, forced = f.trees["nodes"][:n].max(), f.trees["forced"][:n].max()
                f.make_node_room(int(nodes) + 1, int(forced) + FORCED_RUN)
            if status[0] == 0:
                break
            if started is not None:
                self._stop_late(task.ms, (time.perf_counter() - started) * 1000)
        self._check(n)

    def _stop_late(self, ms: NDArray[np.float64], passed_ms: float) -> None:
        """Cut the budget of games whose time is up to what is done; one simulation is always."""
        trees = self.forest.trees[: len(ms)]
        late = ms <= passed_ms
        trees["sims"][late] = np.maximum(1, trees["done"][late])

    def _check(self, n: int) -> None:
        errors = self.forest.trees["error"][:n]
        if errors.any():
            raise DataError(f"{self._spec.text}: {ERRORS[int(errors[errors > 0][0])]}")

    def _decisions(self, task: Task, took_ms: float) -> list[Decision]:
        f, c = self.forest, task.choices
        n, t = len(c), len(c.moves)
        chosen, policy, visits = np.zeros(n, np.int64), np.zeros(t), np.zeros(t, np.int32)
        out, lengths, prior_kl = np.zeros(t, np.int8), np.zeros(n, np.int32), np.zeros(n)
        values = np.zeros((n, self._board.players))
        lines = np.zeros((n, PV_LENGTH), np.int64)
        harvest(
            n, self._boards, f.nodes, f.edges, f.forced, self._how, f.noise, c.offsets, chosen,
            policy, prior_kl, visits, out, values, lines, lengths,
        )  # fmt: skip
        raw = f.nodes["raw"][:n, 0, : self._board.players].tolist()
        values_, bounds, best = values.tolist(), c.offsets.tolist(), chosen.tolist()
        keys, shares, counts = c.moves.tolist(), policy.tolist(), visits.tolist()
        used, depth = f.trees["nodes"].tolist(), f.trees["depth"].tolist()
        done, nats = f.trees["done"].tolist(), prior_kl.tolist()
        decisions = []
        for g in range(n):
            first, last = bounds[g], bounds[g + 1]
            at, line = best[g], tuple(lines[g, : lengths[g]].tolist())
            tau = task.budgets[g].tau
            temperature = task.temperature if tau is None else constant(tau)
            if temperature is not None:
                left = policy[first:last] * (out[first:last] == 0)
                at = drawn(
                    temperature, left, at, c.states[g], int(c.seeds[g]), task.rng
                )  # fmt: skip
                line = line if at == best[g] else (keys[first + at],)
            decisions.append(
                Decision(
                    move=keys[first + at],
                    policy=tuple(zip(keys[first:last], shares[first:last], strict=True)),
                    value=tuple(values_[g]),
                    raw_value=tuple(raw[g]),
                    prior_kl=nats[g],
                    visits=tuple(zip(keys[first:last], counts[first:last], strict=True)),
                    sims=done[g],
                    depth=depth[g],
                    nodes=used[g],
                    time_ms=took_ms,
                    kind=task.budgets[g].kind,
                    pv=line,
                )
            )
        return decisions
