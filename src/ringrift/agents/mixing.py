"""A mix of agents: who plays a seat is drawn once per game (`agents.md` 3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from ringrift.agents.protocol import Agent, Batch, Budgets, Decision, Rngs, budget_list
from ringrift.agents.spec import ResolvedSpec
from ringrift.core.errors import UsageError
from ringrift.rules import layout as lay

_DRAW = 16 << 8
"""Stream of the draw, beside the purposes of `streams`."""


class MixAgent:
    """Play each seat of each game by one of several agents, drawn by their weights.

    The draw follows from the game's seed and the seat, so that it is the same at every ply.
    """

    def __init__(
        self, spec: ResolvedSpec, agents: Sequence[Agent], weights: Sequence[float]
    ) -> None:
        if len(agents) != len(weights) or not agents or min(weights) <= 0:
            raise UsageError(f"{spec.text}: {len(agents)} agents with weights {list(weights)}")
        self.spec = spec
        self.agents = tuple(agents)
        self._bounds = [total / sum(weights) for total in accumulate(weights)]

    def drawn(self, seed: int, seat: int, rng: Rngs) -> int:
        """Return which agent plays a seat of the game with `seed`."""
        draw = Rngs(rng.purpose | _DRAW).uniform(seed, 0, seat)
        below = (k for k, bound in enumerate(self._bounds) if draw < bound)
        return next(below, len(self._bounds) - 1)

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; see `Agent.choose`."""
        budgets = budget_list(budget, len(positions))
        seats = positions.states["misc"][:, lay.CUR].tolist()
        who = np.array(
            [
                self.drawn(int(seed), seat, rng)
                for seed, seat in zip(positions.seeds, seats, strict=True)
            ],
            np.int64,
        )
        decisions: dict[int, Decision] = {}
        for k in np.unique(who).tolist():
            places = np.flatnonzero(who == k)
            part = Batch(
                positions.spec,
                positions.states[places],
                [positions.seeds[i] for i in places.tolist()],
            )
            found = self.agents[k].choose(part, [budgets[i] for i in places.tolist()], rng)
            decisions.update(zip(places.tolist(), found, strict=True))
        return [decisions[i] for i in range(len(positions))]
