"""Gumbel search: sequential halving at the root, improved policies inside (agents.md 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.choices import choices_of
from ringrift.agents.protocol import Batch, Budget, Budgets, Decision, Evaluator, Rngs, budget_list
from ringrift.agents.search.drawing import Temperature
from ringrift.agents.search.gumbel_rules import halving
from ringrift.agents.search.lockstep import LockstepSearch, Task
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class GumbelOptions:
    """Settings of the search.

    `sims`: simulations where the budget names none; `m`: root moves that sequential halving starts
    with; `scale`: Gumbel noise at the root, 0 for none; `sigma(q) = (c_visit + max n) c_scale q`.
    With `temperature` the move is drawn from the improved policy, else halving's survivor is played.
    """

    sims: int = 150
    m: int = 16
    scale: float = 1.0
    c_visit: float = 50.0
    c_scale: float = 1.0
    temperature: Temperature | None = None


class GumbelAgent:
    """Search with the Gumbel rules; one instance is used by one thread.

    A search ends early where the mover's result is proven. No proven loss is chosen while another
    move exists.
    """

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
        how = {
            "puct": 0,
            "c_visit": options.c_visit,
            "c_scale": options.c_scale,
            "scale": options.scale,
        }
        self._search = LockstepSearch(spec, board, evaluator, how)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without search."""
        budgets = budget_list(budget, len(positions))
        for limits in budgets:
            if limits.depth is not None or limits.time_ms is not None:
                raise UsageError("gumbel: a budget is given in sims or nodes, not in depth or time")
        choices = choices_of(self.spec, self.board, positions)
        if not len(choices):
            return choices.merge([])
        budgets = [budgets[i] for i in choices.index.tolist()]
        sims = np.array([self._sims(b) for b in budgets], np.int32)
        task = Task(
            choices=choices,
            budgets=budgets,
            sims=sims,
            ms=np.full(len(choices), np.inf),
            wanted=self._plan(np.diff(choices.offsets), sims),
            rng=rng,
            temperature=self.options.temperature,
        )
        return choices.merge(self._search.run(task))

    def _sims(self, budget: Budget) -> int:
        limits = [n for n in (budget.sims, budget.nodes) if n is not None]
        return min(limits) if limits else self.options.sims

    def _plan(self, counts: NDArray[np.int32], sims: NDArray[np.int32]) -> NDArray[np.int32]:
        """Lay out sequential halving for every game, `int32[n, sims]`."""
        wanted = np.zeros((len(sims), sims.max()), np.int32)
        for row, legal, budget in zip(wanted, counts.tolist(), sims.tolist(), strict=True):
            row[:budget] = halving(min(self.options.m, legal, budget), budget)
        return wanted
