# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
"""The policy agent: no search, a move drawn from the evaluator's own policy (agents.md 7)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.choices import Choices, choices_of
from ringrift.agents.protocol import Batch, Budgets, Decision, Evaluator, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.agents.streams import stream, uniform
from ringrift.agents.temperature import LOWEST, TemperatureScheduler
from ringrift.core.errors import DataError, UsageError
from ringrift.rules import BoardSpec
from ringrift.rules.geometry import board_tables
from ringrift.rules.jitconf import rule
from ringrift.rules.layout import CUR, PLY

Schedule = Callable[[int], float] | TemperatureScheduler
"""A temperature for each ply."""


@rule
def soften(logits, first, last, tau, policy):
    """Write softmax(logits / tau) of one position; `tau` 0 shares alike among the best.

    Returns False if a logit is not finite.
    """
    top = -math.inf
    for j in range(first, last):
        if not math.isfinite(logits[j]):
            return False
        top = max(top, logits[j])
    total = 0.0
    for j in range(first, last):
        gap = logits[j] - top
        if tau > 0.0:
            policy[j] = math.exp(gap / tau)
        else:
            policy[j] = 1.0 if gap == 0.0 else 0.0
        total += policy[j]
    for j in range(first, last):
        policy[j] /= total
    return True


@rule
def draw_moves(states, n, seeds, purpose, logits, offsets, taus, policy, chosen):
    """Fill `policy`: float64[t] and draw `chosen`: int64[n], indices of moves; -1 for a bad logit."""
    for i in range(n):
        first = offsets[i]
        last = offsets[i + 1]
        chosen[i] = -1
        if not soften(logits, first, last, taus[i], policy):
            continue
        m = states[i].misc
        a, b = stream(seeds[i], m[PLY], m[CUR], purpose)
        left = uniform(a, b, 0)
        for j in range(first, last):
            if policy[j] > 0.0:
                chosen[i] = j
                left -= policy[j]
                if left <= 0.0:
                    break


def entropy(logits: NDArray[np.float32]) -> float:
    """Return the entropy of a softmax, in nats."""
    weights = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares = weights[weights > 0] / weights.sum()
    return float(-(shares * np.log(shares)).sum())


class PolicyAgent:
    """Draw a move from softmax(legal logits / tau); up to 0.01 the best, equals by the stream.

    `schedule` gives the temperature of each ply in place of `tau`. The decision records the policy
    that the move was drawn from and the evaluator's value. A budget sets no limit, for one
    evaluation is the least there is; its temperature replaces both.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        evaluator: Evaluator,
        *,
        tau: float,
        schedule: Schedule | None = None,
    ) -> None:
        if not 0 <= tau < math.inf:
            raise UsageError(f"{spec.text}: tau is {tau}; expected a number of at least 0")
        self.spec = spec
        self.board = board
        self.tau = tau
        self.schedule = schedule
        self._evaluator = evaluator
        self._boards = board_tables(board)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without evaluation.

        Raises `DataError` where the evaluator returns a number that is not finite.
        """
        started = time.perf_counter()
        budgets = budget_list(budget, len(positions))
        found = choices_of(self.spec, self.board, positions)
        n = len(found)
        if n == 0:
            return found.merge([])
        logits, values = self._evaluator.evaluate(
            found.states, self._boards, found.moves, found.offsets
        )
        policy, chosen = np.zeros(len(found.moves), np.float64), np.zeros(n, np.int64)
        taus = self._taus(found, logits, [budgets[place].tau for place in found.index.tolist()])
        draw_moves(
            found.states, n, found.seeds, rng.purpose, logits, found.offsets, taus, policy, chosen
        )
        if (chosen < 0).any() or not np.isfinite(values).all():
            raise DataError(f"{self.spec.text}: the evaluator returned a number that is not finite")
        keys, shares, bounds = found.moves.tolist(), policy.tolist(), found.offsets.tolist()
        rows, picked = values.tolist(), chosen.tolist()
        took_ms = (time.perf_counter() - started) * 1000 / n
        return found.merge(
            [
                Decision(
                    move=keys[picked[i]],
                    policy=tuple(
                        zip(
                            keys[bounds[i] : bounds[i + 1]],
                            shares[bounds[i] : bounds[i + 1]],
                            strict=True,
                        )
                    ),
                    value=tuple(rows[i]),
                    raw_value=tuple(rows[i]),
                    nodes=1,
                    time_ms=took_ms,
                    kind=budgets[place].kind,
                    pv=(keys[picked[i]],),
                )
                for i, place in enumerate(found.index.tolist())
            ]
        )

    def _taus(
        self, found: Choices, logits: NDArray[np.float32], given: list[float | None]
    ) -> NDArray[np.float64]:
        """Return the temperature of each position, `float64[n]`; 0 where the best is taken.

        What the budgets have `given` comes before the agent's own.
        """
        taus = np.full(len(found), self.tau)
        if self.schedule is not None:
            plies = found.states["misc"][:, PLY].tolist()
            for i, ply in enumerate(plies):
                taus[i] = self._scheduled(self.schedule, found, logits, i, ply)
        for i, tau in enumerate(given):
            taus[i] = taus[i] if tau is None else tau
        taus[taus <= LOWEST] = 0.0
        return taus

    def _scheduled(
        self, schedule: Schedule, found: Choices, logits: NDArray[np.float32], i: int, ply: int
    ) -> float:
        if not isinstance(schedule, TemperatureScheduler):
            tau = float(schedule(ply))
            if not 0 <= tau < math.inf:
                raise UsageError(f"{self.spec.text}: the schedule gives {tau} at ply {ply}")
            return tau
        state = None
        if schedule.reads_state:
            part = logits[found.offsets[i] : found.offsets[i + 1]]
            state = {"legal_count": len(part), "policy_entropy": entropy(part)}
        return schedule.at(ply, seed=int(found.seeds[i]), game_state=state)
