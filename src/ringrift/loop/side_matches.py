"""The matches that are due beside those of a candidate (`loop.md` 4, 7).

Shadow evaluations, full tournaments, and the first games of models that nobody rated. When a round
is due follows from the stored ones and the clock. A round that was begun goes on; one that was
missed is not made up for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.core.ids import short
from ringrift.evaluation.calibration import GAMES, begun, calibrate
from ringrift.evaluation.contenders import Contender, ModelRow
from ringrift.evaluation.promotion import NamedMatch
from ringrift.evaluation.shadow.rounds import (
    FORMER_CHAMPIONS,
    Entrants,
    Round,
    RoundSettings,
    of_seed,
    round_plans,
)
from ringrift.evaluation.shadow.schedule import Schedule
from ringrift.loop.cycles import CYCLES
from ringrift.loop.measuring import search_of, spec_of
from ringrift.loop.stored_plans import PlansOf

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.evaluation.plans import MatchPlan
    from ringrift.evaluation.ratings.fit import Fit
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.shadow.rounds import Type
    from ringrift.loop.facts import MatchFacts, MatchKey
    from ringrift.loop.tallies import Tallies
    from ringrift.models.decisions import Chain
    from ringrift.records.record import AgentRef

GIVEN_UP = 3
"""A round that is not complete after so many intervals is given up."""
KEPT = 16
"""Rounds whose plans are kept in mind."""
LOOKED_AT = 5
"""Full tournaments that a regression is looked for in."""

_KEYS: Mapping[Type, MatchKey] = {"shadow": "shadow", "full": "full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRound:
    """A round that was begun: type, start (Unix s), the model it measures, its matches."""

    kind: Type
    started_s: int
    model_id: str
    plans: tuple[MatchPlan, ...]


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of a configuration, oldest first."""

    all: tuple[StoredRound, ...]

    def of(self, kind: Type) -> list[StoredRound]:
        """Return those of one type."""
        return [each for each in self.all if each.kind == kind]

    def last_at(self, kind: Type) -> float | None:
        """Return when the last round of a type began."""
        return max((float(each.started_s) for each in self.of(kind)), default=None)


class SideMatches:
    """Says which matches of one configuration are due; plays nothing."""

    def __init__(self, tallies: Tallies, config: str, settings: Settings) -> None:
        evaluation = settings.evaluation
        self._tallies = tallies
        self._spec = spec_of(config)
        self._settings = RoundSettings(
            shadow_games=evaluation.shadow_games_per_config,
            full_games=evaluation.full_tournament_games,
            baselines=evaluation.baseline_models,
            search=search_of(settings, evaluation.simulations),
        )
        self._schedule = Schedule(
            shadow_s=evaluation.shadow_interval_seconds,
            full_s=evaluation.full_tournament_interval_seconds,
            adaptive=evaluation.adaptive_interval_enabled,
            least_s=evaluation.adaptive_interval_min_seconds,
            most_s=evaluation.adaptive_interval_max_seconds,
        )
        self._every_cycles = evaluation.full_tournament_every_cycles
        self._stored = [
            PlansOf(tallies.store, config, "shadow"),
            PlansOf(tallies.store, config, "full"),
        ]
        self._over: dict[int, float] = {}
        self._rounds: dict[tuple[Type, str, int, tuple[str, ...]], tuple[MatchPlan, ...]] = {}
        self._next: dict[tuple[str, int], MatchPlan] = {}

    def rounds(self) -> Rounds:
        """Return the rounds whose first games are stored."""
        found: dict[int, list[MatchPlan]] = {}
        for plans in self._stored:
            for plan in plans.upto(self._tallies.top):
                if of_seed(plan.seed) is not None and plan.participants[0].model_id is not None:
                    found.setdefault(plan.seed, []).append(plan)
        return Rounds(tuple(_stored_round(seed, found[seed]) for seed in sorted(found)))

    def wanted(
        self, chain: Chain, models: Sequence[ModelRow], rounds: Rounds, now: float
    ) -> tuple[MatchFacts, ...]:
        """Return the unfinished matches of the rounds that are due; `models` the newest first.

        The shadow round measures the newest model of the champion's kind, the full one the champion.
        The first of each comes one interval after the first decision. A full round after a number of
        cycles begins with the decision of the last of them.
        """
        if chain.champion is None or not models:
            return ()
        counted = self._after_cycles(chain, models, rounds)
        own = {match.plan for match in counted}
        kinds = {each.id: each.kind for each in models}
        kind = kinds.get(chain.champion)
        newest = next(each.id for each in models if kind in (None, each.kind))
        seen = {each.model_id for each in rounds.all}
        shadow_s = self._schedule.interval_s(_as_rounds(rounds), waiting=newest not in seen)
        full_s = self._schedule.full_s
        full = self._of_type("full", chain.champion, full_s, chain, models, rounds, now)
        return (
            *counted,
            *self._of_type("shadow", newest, shadow_s, chain, models, rounds, now),
            *(match for match in full if match.plan not in own),
        )

    def finished(
        self, chain: Chain, models: Sequence[ModelRow], rounds: Rounds
    ) -> list[tuple[StoredRound, float]]:
        """Return the last full tournaments that are over, each with the end of its last game."""
        found = []
        for each in rounds.of("full")[-LOOKED_AT:]:
            if each.started_s not in self._over:
                counted = [self._tallies.of(plan) for plan in each.plans]
                if self._left("full", each.model_id, each.started_s, chain, models, each.plans):
                    continue
                self._over[each.started_s] = max(c.ended or each.started_s for c in counted)
            found.append((each, self._over[each.started_s]))
        return found

    def calibration(
        self, chain: Chain, model: ModelRow, rate: Callable[[], Fit], *, begin: bool = True
    ) -> tuple[MatchFacts, ...]:
        """Return the match that a model's first rating needs next, none once it has its games.

        Without `begin` only a calibration that was begun goes on.
        """
        store, agent = self._tallies.store, self._agent(model)
        wanted: list[MatchPlan] = []

        def play(plan: MatchPlan) -> MatchResult:
            result = self._tallies.result(NamedMatch(title="calibration", plan=plan))
            if not result.complete:
                wanted.append(plan)
            return result

        # The next opponent is chosen once: ratings move while its games are played.
        already = begun(agent, self._spec, store)
        if not already and not begin:
            return ()
        key = (agent.agent_hash, len(already))
        if key in self._next and sum(plan.games for plan in already) < GAMES:
            play(self._next[key])
        if not wanted:
            former = (self._agent(_row(model, other)) for other in chain.in_line()[:-3:-1])
            calibrate(agent, self._spec, store, play, rate, champions=tuple(former))
        if wanted and wanted[0].participants[0] == agent:
            self._next[key] = wanted[0]
        return tuple(self._facts("calibration", plan) for plan in wanted[:1])

    def _agent(self, model: ModelRow) -> AgentRef:
        return Contender.of_model(model, self._spec, self._settings.search).agent

    def _after_cycles(
        self, chain: Chain, models: Sequence[ModelRow], rounds: Rounds
    ) -> tuple[MatchFacts, ...]:
        """Return what is left of the tournament after the last whole number of cycles."""
        every = self._every_cycles
        decided = [d for d in chain.decisions if d.kind in CYCLES and d.champion_before is not None]
        if not every or len(decided) < every:
            return ()
        last = decided[len(decided) // every * every - 1]
        started_s = math.ceil(last.at_s)
        stored = (each.plans for each in rounds.of("full") if each.started_s == started_s)
        plans = next(stored, ())
        return self._left("full", last.champion, started_s, chain, models, plans, key="tournament")

    def _of_type(
        self,
        kind: Type,
        model_id: str,
        interval_s: float,
        chain: Chain,
        models: Sequence[ModelRow],
        rounds: Rounds,
        now: float,
    ) -> tuple[MatchFacts, ...]:
        """Return the unfinished matches of the last round of a type, or of the one that is due."""
        last = next(reversed(rounds.of(kind)), None)
        begun_s = chain.decisions[0].at_s if last is None else float(last.started_s)
        if last is not None and now < begun_s + GIVEN_UP * interval_s:
            left = self._left(kind, last.model_id, last.started_s, chain, models, last.plans)
            if left:
                return left
        missed = math.floor((now - begun_s) / interval_s)
        if missed < 1:
            return ()
        return self._left(kind, model_id, int(begun_s + missed * interval_s), chain, models, ())

    def _left(
        self,
        kind: Type,
        model_id: str,
        started_s: int,
        chain: Chain,
        models: Sequence[ModelRow],
        stored: Sequence[MatchPlan],
        *,
        key: MatchKey | None = None,
    ) -> tuple[MatchFacts, ...]:
        """Return what is left of a round: against those who were champions when it began."""
        known = {plan.hash: plan for plan in stored}
        for plan in self._round(kind, model_id, started_s, chain, models):
            known.setdefault(plan.hash, plan)
        left = [plan for plan in known.values() if not self._tallies.of(plan).complete]
        return tuple(self._facts(key or _KEYS[kind], plan) for plan in left)

    def _round(
        self, kind: Type, model_id: str, started_s: int, chain: Chain, models: Sequence[ModelRow]
    ) -> tuple[MatchPlan, ...]:
        """Return the matches of a round, none where its model is not here any more."""
        here = frozenset(model.id for model in models)
        line = [one for one in chain.until(started_s).in_line() if one in here]
        key = (kind, model_id, started_s, tuple(line[-FORMER_CHAMPIONS - 1 :]))
        if model_id not in here:
            return ()
        if key not in self._rounds:
            entrants = Entrants(models=tuple(models), champions=tuple(reversed(line)))
            model = next(each for each in models if each.id == model_id)
            plans = round_plans(kind, model, entrants, self._settings, started_s)
            self._rounds = {**dict(list(self._rounds.items())[-KEPT:]), key: tuple(plans)}
        return self._rounds[key]

    def _facts(self, key: MatchKey, plan: MatchPlan) -> MatchFacts:
        subject, other = plan.participants
        who = short(subject.model_id) if subject.model_id else subject.spec
        against = short(other.model_id) if other.model_id else other.spec
        return self._tallies.facts(key, NamedMatch(title=f"{key}: {who} vs {against}", plan=plan))


def _row(like: ModelRow, model_id: str) -> ModelRow:
    return replace(like, id=model_id)


def _stored_round(seed: int, plans: Sequence[MatchPlan]) -> StoredRound:
    kind, started_s = of_seed(seed) or ("shadow", 0)
    return StoredRound(
        kind=kind,
        started_s=started_s,
        model_id=str(plans[0].participants[0].model_id),
        plans=tuple(plans),
    )


def _as_rounds(rounds: Rounds) -> list[Round]:
    """Return rounds as the schedule takes them: when, of which type, about whom."""
    return [
        Round(
            config="",
            kind=each.kind,
            started_s=each.started_s,
            model_id=each.model_id,
            results=(),
        )
        for each in rounds.all
    ]
