"""Give a new model its first rating (`evaluation.md` 9).

Fifty games against known opponents, a few at a time, each time against the one that tells most. What
was played for a model stands in the store under purpose `calibration`: begun again it goes on, and a
model that has its games gets no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.evaluation.elo import expected_score
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice, plan_of_text
from ringrift.evaluation.ratings.fit import ANCHOR, ELO, FIRST_OPPONENT
from ringrift.evaluation.tournaments import seed_of

if TYPE_CHECKING:
    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.ratings.fit import Fit
    from ringrift.evaluation.results import MatchResult
    from ringrift.records.record import AgentRef
    from ringrift.rules import BoardSpec

GAMES = 50
TOGETHER = 10
"""Games between two looks at the ratings."""
FIXED = (FIRST_OPPONENT, "mcts_100")
UNKNOWN_SE = 350.0
UNKNOWN_ELO = 1000.0
SEED = 42

Play = Callable[[MatchPlan], "MatchResult"]
"""Plays what is missing of a match."""
Rate = Callable[[], "Fit"]
"""Fits all match games of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a model's first games say; rating, error and interval are None while unknown."""

    agent: AgentRef
    games: int
    runs: tuple[str, ...]
    elo: float | None
    se: float | None
    complete: bool

    def as_tree(self) -> dict[str, Any]:
        """Return it as it is published."""
        return {
            "model_id": self.agent.model_id,
            "spec": self.agent.spec,
            "games": self.games,
            "runs": list(self.runs),
            "elo": None if self.elo is None else round(self.elo, 1),
            "se": None if self.se is None else round(self.se, 1),
            "complete": self.complete,
        }


def calibrate(
    agent: AgentRef,
    spec: BoardSpec,
    store: Store,
    play: Play,
    rate: Rate,
    *,
    champions: Sequence[AgentRef] = (),
    games: int = GAMES,
    openings: OpeningChoice | None = None,
) -> Calibration:
    """Play what is missing of a model's first games and return its rating.

    `champions` are the agents of champion and predecessor. Where nobody has a rating yet, the
    heuristic meets `random` first. `play` returning an unfinished match ends it there.
    """
    fixed = [participant(text, spec) for text in FIXED]
    opponents = [known for known in dict.fromkeys([*fixed, *champions]) if known != agent]
    choice = openings or OpeningChoice.of_book(spec, "open")

    def next_plan(plans: Sequence[MatchPlan]) -> MatchPlan:
        other = most_telling(rate(), agent, opponents)
        met = sum(plan.participants[1] == other for plan in plans)
        left = games - sum(plan.games for plan in plans)
        return _plan(spec, agent, other, min(TOGETHER, left), seed_of(SEED, met), choice)

    plans: list[MatchPlan] = []
    results: list[MatchResult] = []
    link = _plan(spec, fixed[0], participant(ANCHOR, spec), games, SEED, choice)
    unanchored = rate().elo_of(fixed[0].agent_hash) is None
    if (unanchored or store.plans.get(link.hash) is not None) and not play(link).complete:
        return _found(agent, plans, results, rate(), complete=False)
    waiting = begun(agent, spec, store)
    while waiting or sum(plan.games for plan in plans) < games:
        plans.append(waiting.pop(0) if waiting else next_plan(plans))
        results.append(play(plans[-1]))
        if not results[-1].complete:
            return _found(agent, plans, results, rate(), complete=False)
    return _found(agent, plans, results, rate(), complete=True)


def begun(agent: AgentRef, spec: BoardSpec, store: Store) -> list[MatchPlan]:
    """Return the matches that were begun to calibrate an agent, oldest first."""
    found = (plan_of_text(row.text) for row in store.plans.all(spec.config, purpose="calibration"))
    return [plan for plan in found if plan.participants[0] == agent]


def is_calibrated(agent: AgentRef, spec: BoardSpec, store: Store, *, games: int = GAMES) -> bool:
    """Tell whether as many games as a calibration has were begun for an agent."""
    return sum(plan.games for plan in begun(agent, spec, store)) >= games


def most_telling(fit: Fit, agent: AgentRef, opponents: Sequence[AgentRef]) -> AgentRef:
    """Return the opponent whose games take most from the variance of an agent's rating.

    With the information `w = p(1-p)` of a game about the difference of two independent ratings that
    is `w Var(a)^2 / (1 + w (Var(a) + Var(o)))`: a close opponent, and one that is known itself. An
    agent without a rating counts as one about whom nothing is known. The first of equal ones wins.
    """
    elo, variance = _known(fit, agent)

    def taken(other: AgentRef) -> float:
        other_elo, other_variance = _known(fit, other)
        expected = expected_score(elo, other_elo)
        information = TOGETHER * expected * (1.0 - expected) / ELO**2
        return information * variance**2 / (1.0 + information * (variance + other_variance))

    return max(opponents, key=taken)


def _plan(
    spec: BoardSpec,
    agent: AgentRef,
    other: AgentRef,
    games: int,
    seed: int,
    openings: OpeningChoice,
) -> MatchPlan:
    return MatchPlan.of_games(
        games,
        purpose="calibration",
        spec=spec,
        agents=(agent, other),
        seed=seed,
        openings=openings,
        both_ways=spec.players > 2,
    )


def _known(fit: Fit, agent: AgentRef) -> tuple[float, float]:
    """Return rating and variance, in Elo."""
    elo, se = fit.elo_of(agent.agent_hash), fit.se_of(agent.agent_hash)
    if elo is None or se is None:
        return UNKNOWN_ELO, UNKNOWN_SE**2
    return elo, se**2


def _found(
    agent: AgentRef,
    plans: Sequence[MatchPlan],
    results: Sequence[MatchResult],
    fit: Fit,
    *,
    complete: bool,
) -> Calibration:
    return Calibration(
        agent=agent,
        games=sum(result.games for result in results),
        runs=tuple(plan.hash for plan in plans),
        elo=fit.elo_of(agent.agent_hash),
        se=fit.se_of(agent.agent_hash),
        complete=complete,
    )
