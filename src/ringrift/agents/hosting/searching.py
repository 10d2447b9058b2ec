"""One position, one agent, one budget: decide, or search in growing steps to watch the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ringrift.agents.protocol import Agent, Batch, Budget, Decision, Rngs
from ringrift.agents.spec import KINDS, parse_spec
from ringrift.core.errors import UsageError
from ringrift.rules import Position
from ringrift.rules import layout as lay

FIRST_SIMS = 16
MOST_SIMS = 1_000_000


def batch_of(positions: Sequence[Position], seed: int) -> Batch:
    """Return positions of one specification as agents take them."""
    states = lay.zeros(len(positions), lay.STATE)
    for i, position in enumerate(positions):
        states[i] = position.record()
    return Batch(positions[0].spec, states, [seed] * len(positions))


def keys_of(agent: Agent) -> frozenset[str]:
    """Return the names of the arguments that an agent's kind has."""
    kind = KINDS.get(agent.spec.kind)  # a mix of agents is no kind
    return frozenset() if kind is None else frozenset(kind.keys)


def decide(
    agent: Agent, position: Position, seed: int, budget: Budget, rng: Rngs | None = None
) -> Decision:
    """Decide one position, which is not over.

    A time is given to kinds that keep it themselves; a search that counts simulations alone gets
    ever more of them while the next step should still end in time, at least `FIRST_SIMS`.
    """
    if budget.time_ms is not None and not _keeps_time(agent):
        *_, last = searches(agent, position, seed, budget, rng)
        return last
    return agent.choose(batch_of([position], seed), budget, rng or Rngs())[0]


def searches(
    agent: Agent, position: Position, seed: int, budget: Budget, rng: Rngs | None = None
) -> Iterator[Decision]:
    """Yield the decisions of ever longer searches of one position, at least one.

    Simulations double and depth rises by one, up to the budget, or the agent's own limit where it
    sets none but a time; each search is one of its own, so that the last equals a single search of
    that size. Kinds that search neither way answer once.
    """
    batch, draws = batch_of([position], seed), rng or Rngs()
    budget = _bounded(agent, budget)
    clock = Clock(budget.time_ms, keeps_time=_keeps_time(agent))
    for step in steps(agent, budget):
        (decision,) = agent.choose(batch, clock.limited(step), draws)
        yield decision
        clock.note()
        if decision.kind == "forced" or clock.over:
            return
        if step.depth is not None and decision.depth < step.depth:
            return  # nothing is left to deepen


def steps(agent: Agent, budget: Budget) -> Iterator[Budget]:
    """Yield the budgets of growing searches, without their time."""
    keys = keys_of(agent)
    if "sims" in keys:
        _refuse(agent, budget, "depth")
        most = _least(budget.sims, budget.nodes) or _own(agent, budget, "sims", MOST_SIMS)
        size = min(FIRST_SIMS, most)
        while True:
            yield Budget(sims=size)
            if size == most:
                return
            size = min(2 * size, most)
    elif "depth" in keys:
        _refuse(agent, budget, "sims")
        most = budget.depth or _own(agent, budget, "depth", lay.MAX_RINGS)
        for depth in range(1, most + 1):
            yield Budget(depth=depth, nodes=budget.nodes)
    else:
        yield Budget(sims=budget.sims, nodes=budget.nodes, depth=budget.depth)


class Clock:
    """Watches a time limit over several searches."""

    def __init__(self, time_ms: float | None, *, keeps_time: bool) -> None:
        self._time_ms = time_ms
        self._keeps_time = keeps_time
        self._begun_s = self._last_s = time.perf_counter()
        self.over = False

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the clock was made."""
        return (time.perf_counter() - self._begun_s) * 1000

    def limited(self, budget: Budget) -> Budget:
        """Return the budget with the time that is left, for agents that keep time themselves."""
        if self._time_ms is None or not self._keeps_time:
            return budget
        left_ms = max(1.0, self._time_ms - self.elapsed_ms)
        return Budget(sims=budget.sims, nodes=budget.nodes, depth=budget.depth, time_ms=left_ms)

    def note(self) -> None:
        """Take note of a search that ended; `over` then tells whether the next would be late."""
        now_s = time.perf_counter()
        took_ms, self._last_s = (now_s - self._last_s) * 1000, now_s
        if self._time_ms is not None:
            next_ms = 0.0 if self._keeps_time else 2 * took_ms
            self.over = self.elapsed_ms + next_ms >= self._time_ms


def _keeps_time(agent: Agent) -> bool:
    keys = keys_of(agent)
    return "ms" in keys or "sims" not in keys


def _bounded(agent: Agent, budget: Budget) -> Budget:
    """Return the budget; where it is empty and the spec names time alone, that time."""
    if any(
        limit is not None for limit in (budget.sims, budget.nodes, budget.depth, budget.time_ms)
    ):
        return budget
    if not keys_of(agent) >= {"sims", "ms"}:
        return budget
    own = parse_spec(agent.spec.text)
    return budget if own.get("sims") is not None else replace(budget, time_ms=own.number("ms"))


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _own(agent: Agent, budget: Budget, key: str, most: int) -> int:
    """Return the agent's own limit, or none to speak of where the time is the limit."""
    if budget.time_ms is not None:
        return most
    return int(parse_spec(agent.spec.text).number(key))


def _refuse(agent: Agent, budget: Budget, name: str) -> None:
    if getattr(budget, name) is not None:
        raise UsageError(f"{agent.spec.kind}: a budget in {name} is not one it can keep")
