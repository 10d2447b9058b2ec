"""The `mcts` agent: tree search by PUCT (agents.md 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ringrift.agents.choices import choices_of
from ringrift.agents.protocol import Batch, Budget, Budgets, Decision, Evaluator, Rngs, budget_list
from ringrift.agents.search.drawing import Temperature
from ringrift.agents.search.lockstep import LockstepSearch, Task
from ringrift.agents.search.reusing import KeptTrees
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import BoardSpec

FIXED_ALPHA = {"square8": 0.3}
OTHER_FIXED_ALPHA = 0.15

UNLIMITED = 10_000_000
"""Simulations where only time ends a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MctsOptions:
    """Settings of the search.

    `sims` simulations and `ms` wall time end it where the budget names neither (None: no limit);
    `c` and `fpu` are those of `puct_rules`; `noise`: share of Dirichlet noise in the root's priors, 0
    unless the caller explores, of shape `alpha` (10 / legal moves within [.03, .3], or .3 on square8
    and .15 elsewhere); cheap searches have none. With `temperature` the move is drawn from the
    policy, else the most visited is played. `reuse` goes on with the tree of the game's last search.
    """

    sims: int | None = 100
    ms: float | None = None
    c: float = 1.25
    fpu: float = 0.2
    noise: float = 0.0
    alpha: Literal["auto", "fixed"] = "auto"
    temperature: Temperature | None = None
    reuse: bool = True

    def __post_init__(self) -> None:
        for name in ("sims", "ms"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"mcts: {name} is {value}; expected a number above 0")
        if self.sims is None and self.ms is None:
            raise UsageError("mcts: neither sims nor ms ends the search")
        for name, high in (("c", math.inf), ("fpu", math.inf), ("noise", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= high or not math.isfinite(value):
                raise UsageError(f"mcts: {name} is {value}; expected a number from 0 to {high}")


class MctsAgent:
    """Search with PUCT; one instance is used by one thread.

    The policy is the share of visits; no proven loss is chosen while another move exists, a proven
    win is chosen at once, and a search ends early where the mover's result is proven.

    With `reuse`, the tree of the last search of the same game seed and seat is kept, and goes on
    from the position it has now, if that is in it: simulations of the budget are made on top. A
    decision then depends on the decisions asked of this instance in that game before, in order;
    a game played again from its start gives the same ones, whatever else is in the batches. Two
    positions of one seed and seat in a batch neither find nor leave a tree. Games are to move on
    together, up to 1,024 of them: the tree of one that stays away while the others go on is dropped
    once they have made as many plies as it reaches (`KeptTrees`).

    A budget of `nodes` counts positions added; one of time is counted from the call, for all
    positions of a batch together, and looked at after each round of one leaf a game.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        board: BoardSpec,
        evaluator: Evaluator,
        options: MctsOptions,
    ) -> None:
        self.spec = spec
        self.board = board
        self.options = options
        fixed = FIXED_ALPHA.get(board.board, OTHER_FIXED_ALPHA)
        how = {
            "puct": 1,
            "c": options.c,
            "fpu": options.fpu,
            "noise": options.noise,
            "alpha": fixed if options.alpha == "fixed" else 0.0,
        }
        kept = KeptTrees(board.players) if options.reuse else None
        self._search = LockstepSearch(spec, board, evaluator, how, kept)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; forced plies are answered without search."""
        budgets = budget_list(budget, len(positions))
        for limits in budgets:
            if limits.depth is not None:
                raise UsageError("mcts: a budget is given in sims, nodes or time, not in depth")
        choices = choices_of(self.spec, self.board, positions)
        if not len(choices):
            return choices.merge([])
        budgets = [budgets[i] for i in choices.index.tolist()]
        task = Task(
            choices=choices,
            budgets=budgets,
            sims=np.array([self._sims(b) for b in budgets], np.int32),
            ms=np.array([self._ms(b) for b in budgets]),
            wanted=np.zeros((1, 1), np.int32),
            rng=rng,
            temperature=self.options.temperature,
        )
        return choices.merge(self._search.run(task))

    def _sims(self, budget: Budget) -> int:
        limits = [n for n in (budget.sims, budget.nodes) if n is not None]
        if not limits and budget.time_ms is None and self.options.sims is not None:
            limits = [self.options.sims]
        return min(limits, default=UNLIMITED)

    def _ms(self, budget: Budget) -> float:
        if (budget.sims, budget.nodes, budget.time_ms) != (None, None, None):
            return math.inf if budget.time_ms is None else budget.time_ms
        return math.inf if self.options.ms is None else self.options.ms
