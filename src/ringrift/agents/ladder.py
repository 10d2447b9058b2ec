"""The difficulty ladder: ten levels of play with people, and the agent that plays one.

Levels, times and randomness are those of `agents.md` 9; the settings section `ladder` overrides
single fields. A level whose model is not there is unavailable: nothing weaker stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ringrift.agents.heuristic import HeuristicAgent, pick_softmax
from ringrift.agents.kinds import SEARCHES_BY_DEPTH
from ringrift.agents.protocol import Agent, Batch, Budget, Budgets, Decision, Rngs, budget_list
from ringrift.agents.spec import AgentSpec, ResolvedSpec, parse_spec
from ringrift.agents.streams import stream
from ringrift.agents.weights import LARGE, SHORT_BOARDS
from ringrift.core.errors import RingriftError, UsageError
from ringrift.rules import layout as lay
from ringrift.rules import parse_config

LEVELS = 10
TAU = 1.0
"""Temperature of the softmax over an agent's scores where a level draws its move."""

_DRAW = 17 << 8
"""Streams of a level's draws, beside the purposes of `streams`."""

_NNUE, _BEST = "nnue", "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    agent: str
    model: str | None
    randomness: float
    small_ms: tuple[int, int, int]
    large_ms: tuple[int, int, int]


def _row(
    agent: str,
    randomness: float,
    small_ms: tuple[int, int, int],
    large_ms: tuple[int, int, int],
    model: str | None = None,
) -> _Row:
    return _Row(
        agent=agent, model=model, randomness=randomness, small_ms=small_ms, large_ms=large_ms
    )


# Agent, randomness, ms for 2, 3 and 4 players on the small boards and on the large ones, model.
_TABLE = (
    _row("random", 0.5, (150, 150, 150), (150, 150, 150)),
    _row("heuristic", 0.3, (200, 250, 300), (300, 400, 500)),
    _row("alphabeta:depth=3", 0.15, (1800, 2000, 2200), (2500, 2800, 3100)),
    _row("alphabeta:depth=3", 0.08, (2800, 3200, 3500), (4000, 4600, 5000), _NNUE),
    _row("mcts:eval=rollout", 0.05, (4000, 4500, 5000), (6000, 6800, 7500)),
    _row("mcts", 0.02, (5500, 6000, 6500), (8000, 8700, 9500), _BEST),
    _row("mcts", 0.0, (7500, 8500, 9000), (11000, 12500, 13200), _BEST),
    _row("mcts", 0.0, (9600, 11000, 12000), (14000, 16000, 17500), _BEST),
    _row("descent", 0.0, (12600, 14000, 15000), (18000, 20000, 21400), _BEST),
    _row("descent", 0.0, (16000, 18000, 20000), (24000, 27000, 30000), _BEST),
)


class Override(Protocol):
    """What the settings say of a level of a configuration; None keeps the table's."""

    @property
    def agent(self) -> str | None:
        """Spec of the agent."""
        ...

    @property
    def randomness(self) -> float | None:
        """Probability that a choice is drawn by its score."""
        ...

    @property
    def think_ms(self) -> int | None:
        """Most milliseconds of one move."""
        ...

    @property
    def model(self) -> str | None:
        """Reference of the model."""
        ...


Overrides = Mapping[str, Mapping[str, Override]]
"""Overrides by level, "1" to "10", and configuration."""

FindModel = Callable[[str], Any]
"""Looks for a model by its reference; raises a `RingriftError` with the reason if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderLevel:
    """One level of one configuration.

    `agent` is the spec with the reference of its model; `reason` says why the level cannot be
    played, None if it can.
    """

    level: int
    config: str
    agent: AgentSpec
    randomness: float
    think_ms: int
    overridden: bool = False
    reason: str | None = None

    @property
    def model(self) -> str | None:
        """Reference of the level's model, None for a level without one."""
        return self.agent.model

    @property
    def available(self) -> bool:
        """Whether the level can be played."""
        return self.reason is None

    @property
    def budget(self) -> Budget:
        """The level's limits: its time, and its depth where the agent counts depth."""
        by_depth = self.agent.kind in SEARCHES_BY_DEPTH
        depth = int(self.agent.number("depth")) if by_depth else None
        return Budget(depth=depth, time_ms=float(self.think_ms))


def level_of(config: str, level: int, overrides: Overrides | None = None) -> LadderLevel:
    """Return a level without looking for its model.

    Raises `UsageError` for a level or configuration that does not exist, or a bad override.
    """
    board, players = parse_config(config)
    config = f"{board}_{players}p"
    if not 1 <= level <= LEVELS:
        raise UsageError(f"ladder level {level}; expected 1 to {LEVELS}")
    row = _TABLE[level - 1]
    times = row.large_ms if board in LARGE else row.small_ms
    found = LadderLevel(
        level=level,
        config=config,
        agent=_agent(row.agent, _reference(row.model, config)),
        randomness=row.randomness,
        think_ms=times[players - 2],
    )
    changed = (overrides or {}).get(str(level), {}).get(config)
    return found if changed is None else _overridden(found, changed)


def ladder(
    config: str, find: FindModel | None = None, overrides: Overrides | None = None
) -> tuple[LadderLevel, ...]:
    """Return all levels of a configuration; those whose model `find` refuses say why.

    Without `find` no model can be had.
    """
    levels = []
    for level in range(1, LEVELS + 1):
        found = level_of(config, level, overrides)
        levels.append(replace(found, reason=_missing(found, find)))
    return tuple(levels)


def playable(
    config: str, level: int, find: FindModel | None = None, overrides: Overrides | None = None
) -> LadderLevel:
    """Return a level that can be played; raises `UsageError` with the reason for any other."""
    found = level_of(config, level, overrides)
    reason = _missing(found, find)
    if reason is not None:
        raise UsageError(
            f"level {level} of {found.config} is unavailable: {reason}",
            hint=f"ringrift agents ladder --config-key {found.config}",
        )
    return found


def _agent(text: str, model: str | None) -> AgentSpec:
    if model is None:
        return parse_spec(text)
    head, colon, args = text.partition(":")
    return parse_spec(f"{head.partition('@')[0]}@{model}{colon}{args}")


def best_alias(config: str) -> str:
    """Return the alias of a configuration's champion, such as `ringrift_best_sq8_2p`."""
    board, _, seats = config.rpartition("_")
    return f"ringrift_best_{SHORT_BOARDS[board]}_{seats}"


def nnue_alias(config: str) -> str:
    """Return the alias of a configuration's NNUE net, such as `nnue_square8_2p`."""
    return f"nnue_{config}"


def _reference(model: str | None, config: str) -> str | None:
    if model is None:
        return None
    return nnue_alias(config) if model == _NNUE else best_alias(config)


def _overridden(level: LadderLevel, changed: Override) -> LadderLevel:
    agent = level.agent if changed.agent is None else parse_spec(changed.agent)
    if agent.kind in ("ladder", "mix"):
        raise UsageError(f"ladder level {level.level}: {agent.kind} is no agent of a level")
    if changed.model is not None:
        agent = _agent(str(agent.without("eval")), changed.model)
    return replace(
        level,
        agent=agent,
        randomness=level.randomness if changed.randomness is None else changed.randomness,
        think_ms=level.think_ms if changed.think_ms is None else changed.think_ms,
        overridden=True,
    )


def _missing(level: LadderLevel, find: FindModel | None) -> str | None:
    if level.model is None:
        return None
    if find is None:
        return f"no model {level.model}"
    try:
        find(level.model)
    except RingriftError as error:
        return str(error)
    return None


class LadderAgent:
    """Play a level: its agent within its time, some choices drawn by their scores.

    A budget that limits simulations, nodes or time takes the place of the think time; the level's
    depth always holds. Scores are the logarithms of the inner agent's policy; where it has none,
    the values one ply ahead of `scorer`, or its own if it is the heuristic.
    """

    def __init__(
        self,
        spec: ResolvedSpec,
        level: LadderLevel,
        inner: Agent,
        *,
        scorer: HeuristicAgent | None = None,
    ) -> None:
        self.spec = spec
        self.level = level
        self.inner = inner
        self._scorer = inner if isinstance(inner, HeuristicAgent) else scorer

    def choose(self, positions: Batch, budget: Budgets, rng: Rngs) -> list[Decision]:
        """Decide every position of the batch; see `Agent.choose`."""
        budgets = [self.limited(b) for b in budget_list(budget, len(positions))]
        if self.inner.spec.kind in ("random", "heuristic"):
            budgets = [Budget(kind=b.kind) for b in budgets]  # one look ahead needs no limit
        decisions = self.inner.choose(positions, budgets, rng)
        for i, decision in enumerate(decisions):
            if decision.kind != "forced" and self.draws(positions, i, rng):
                decisions[i] = self._drawn(positions, i, decision, rng)
        return decisions

    def limited(self, budget: Budget) -> Budget:
        """Return a caller's budget within the level's."""
        own = self.level.budget
        depths = [d for d in (own.depth, budget.depth) if d is not None]
        limited = any(n is not None for n in (budget.sims, budget.nodes, budget.time_ms))
        return replace(
            budget,
            depth=min(depths) if depths else None,
            time_ms=budget.time_ms if limited else own.time_ms,
        )

    def draws(self, positions: Batch, i: int, rng: Rngs) -> bool:
        """Tell whether the choice at position `i` is drawn by score."""
        m = positions.states[i]["misc"]
        draw = Rngs(rng.purpose | _DRAW).uniform(
            int(positions.seeds[i]), int(m[lay.PLY]), int(m[lay.CUR]), 1
        )
        return draw < self.level.randomness

    def _drawn(self, positions: Batch, i: int, decision: Decision, rng: Rngs) -> Decision:
        moves, scores = self._scores(positions, i, decision, rng.purpose)
        m = positions.states[i]["misc"]
        a, b = stream(
            int(positions.seeds[i]), int(m[lay.PLY]), int(m[lay.CUR]), rng.purpose | _DRAW
        )
        at = int(pick_softmax(scores, 0, len(scores), TAU, a, b))
        return replace(decision, move=moves[at], kind="random", pv=(moves[at],))

    def _scores(
        self, positions: Batch, i: int, decision: Decision, purpose: int
    ) -> tuple[Sequence[int], np.ndarray[Any, np.dtype[np.float64]]]:
        if self.inner.spec.kind == "random":
            return (decision.move,), np.zeros(1)
        if decision.policy is not None:
            logs = [math.log(share) if share > 0 else -1e9 for _, share in decision.policy]
            return [move for move, _ in decision.policy], np.array(logs)
        if self._scorer is not None:
            one = Batch(positions.spec, positions.states[i : i + 1], positions.seeds[i : i + 1])
            scores, moves, _ = self._scorer.scores(one, purpose)
            return moves.tolist(), scores
        raise UsageError(f"{self.inner.spec.text}: no scores to draw a move of a level from")
