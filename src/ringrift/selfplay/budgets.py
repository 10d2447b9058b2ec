"""How long each choice is searched: full or cheap, less in a decided game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ringrift.agents.foreign import is_foreign
from ringrift.agents.kinds import KINDS
from ringrift.agents.protocol import Budget
from ringrift.agents.spec import MIX
from ringrift.selfplay import steps
from ringrift.selfplay.agents_of import played_spec, sims_of
from ringrift.selfplay.control import soft_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringrift.agents.spec import AgentSpec
    from ringrift.selfplay.plans import GamePlan, PlayJob


class Budgets:
    """The budgets of a job's agents; what is drawn follows from game seed, ply and seat alone.

    `same` says that every choice has the agents' `own`.
    """

    own = Budget()

    def __init__(self, job: PlayJob) -> None:
        control = job.control
        specs = [None if is_foreign(text) else played_spec(text, control) for text in job.agents]
        self._fraction = control.full_fraction
        self._sims = [None if parsed is None else sims_of(parsed) for parsed in specs]
        self._cheap = [None if n is None else control.cheap_of(n) for n in self._sims]
        self._taus = [
            control.temperature_value if parsed and _drawn_by_schedule_alone(parsed) else None
            for parsed in specs
        ]
        plain = control.full_fraction == 1 and control.resign.mode != "soft"
        self.same = plain and self._taus == [None] * len(specs)
        self._made: dict[tuple[int, bool, bool, float | None], Budget] = {}

    def of(
        self,
        agent: int,
        seeds: NDArray[np.int64],
        plies: NDArray[np.int32],
        seats: NDArray[np.int64],
        soft: Sequence[bool],
        taus: Sequence[float | None],
    ) -> list[Budget]:
        """Return the budget of one choice of each game for `agent`.

        `soft` tells which games are decided, `taus` are the temperatures of their plans.
        """
        full = np.ones(len(seeds), np.bool_)
        if self._fraction < 1 and self._sims[agent] is not None:
            shares = np.empty(len(seeds))
            steps.draw_shares(seeds, plies, seats, shares)
            full = shares < self._fraction
        return [
            self._budget(agent, *which) for which in zip(full.tolist(), soft, taus, strict=True)
        ]

    def tags(self, plan: GamePlan) -> list[str]:
        """Return what a record says of a game's temperature where no spec does."""
        taus = {self.tau(agent, plan.tau) for agent in plan.seats} - {None}
        return [f"tau:{tau:g}" for tau in taus]

    def tau(self, agent: int, tau: float | None) -> float | None:
        """Return the temperature that replaces an agent's own in a game; None for its own."""
        return self._taus[agent] if tau is None else tau

    def _budget(self, agent: int, full: bool, soft: bool, tau: float | None) -> Budget:
        key = (agent, full, soft, tau)
        if key not in self._made:
            sims = self._sims[agent] if full else self._cheap[agent]
            if soft and sims is not None:
                sims = soft_of(sims)
            self._made[key] = Budget(
                sims=None if full and not soft else sims,
                kind="full" if full else "cheap",
                tau=self.tau(agent, tau),
            )
        return self._made[key]


def _drawn_by_schedule_alone(parsed: AgentSpec) -> bool:
    """Tell whether no key of a spec can hold a fixed temperature, where a schedule can stand."""
    if parsed.kind == MIX:
        return False
    keys = KINDS[parsed.kind].keys
    return "temp" in keys and "tau" not in keys
