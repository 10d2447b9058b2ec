"""Measure candidates without a running loop, with the loop's own matches, for promotions by hand.

Plans are those of the loop with the same seed and settings, so what either has played counts for
both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import NegativeResult
from ringrift.evaluation.players import MatchPlayers, play_match
from ringrift.evaluation.promotion import promotion_evidence
from ringrift.loop.budget import budget
from ringrift.loop.decision_facts import decision_facts
from ringrift.loop.holdouts import stored_pair
from ringrift.loop.measuring import described, promotion_matches
from ringrift.loop.milestones import Milestones
from ringrift.loop.tallies import Tallies
from ringrift.models.candidates import Known, regression_opponents
from ringrift.models.judging import Measured, Rules, decide
from ringrift.models.registry import find_model

if TYPE_CHECKING:
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.evaluation.promotion import NamedMatch, PromotionEvidence, PromotionMatches
    from ringrift.evaluation.results import MatchResult
    from ringrift.evaluation.tally import Tally
    from ringrift.models.decisions import Chain
    from ringrift.records.store import GameStore


class MeasuringStopped(Exception):
    """Somebody asked to stop; what was played is stored."""


@dataclass(slots=True, kw_only=True)
class Promoting:
    """Looks at, and plays, the matches of candidates of one configuration.

    `paths` are those of the data root; `players` is called once there are games to be played.
    `seed` is that of the plans, the loop's by default. `on_unknown` hears why there are no hold-out
    numbers.
    """

    config: str
    settings: Settings
    store: GameStore
    paths: Paths
    players: Callable[[], MatchPlayers]
    seed: int = 0
    on_progress: Callable[[str, Tally], None] = lambda title, games: None
    on_unknown: Callable[[str], None] = lambda why: None
    stop: Callable[[], bool] = lambda: False
    _matches: dict[str | None, PromotionMatches] = field(default_factory=dict)

    def matches(self, chain: Chain) -> PromotionMatches:
        """Return what makes the plans, with the simulations that the loop would give them now."""
        if chain.head not in self._matches:
            tallies = Tallies(self.store)
            tallies.refresh()
            decisions = decision_facts(chain)
            milestones = Milestones(tallies, self.config, self.settings, seed=self.seed)
            self._matches[chain.head] = promotion_matches(
                self.config,
                self.settings,
                simulations=budget(decisions, milestones.reached(decisions), self.settings).matches,
                seed=self.seed,
            )
        return self._matches[chain.head]

    def described(self, chain: Chain) -> dict[str, Any]:
        """Return what a decision keeps of how it was measured."""
        return described(self.matches(chain).settings)

    def look(self, candidate: str, chain: Chain) -> Known:
        """Return what is stored of a candidate; nothing is played."""
        assert chain.champion is not None
        matches = self.matches(chain)
        plans = matches.of_generation(candidate, chain.champion)
        former = self._former(candidate, chain)
        held = stored_pair(self.paths.model_objects, candidate, chain.champion)
        return Known(
            matches={name: match.stored(self.store) for name, match in plans.items()},
            regression=tuple(
                matches.regression(candidate, other).stored(self.store) for other in former
            ),
            candidate_holdout=held.candidate,
            champion_holdout=held.champion,
            book_hash=matches.book_hash(candidate, chain.champion),
        )

    def measure(self, candidate: str, chain: Chain, rules: Rules) -> Measured:
        """Play what is missing, as far as the verdict needs it; raises `MeasuringStopped`."""
        if chain.champion is None:
            raise NegativeResult(
                f"{chain.config} has no champion to test against",
                hint="--manual --reason TEXT for the first one",
            )
        first = replace(rules, regression=False, holdout=False)

        def goes_on(evidence: PromotionEvidence) -> bool:
            return decide(Measured.of_matches(evidence), first).outcome == "promoted"

        evidence = promotion_evidence(
            candidate,
            chain.champion,
            self.matches(chain).settings,
            play=self.play,
            former=self._former(candidate, chain) if rules.regression else (),
            goes_on=goes_on,
        )
        if rules.holdout and goes_on(evidence):
            self._compare(candidate, chain.champion)
        return self.look(candidate, chain).measured

    def _compare(self, candidate: str, champion: str) -> None:
        """Measure both on the same hold-out games, where that is not stored."""
        from ringrift.loop.work.verify import compare

        if None in stored_pair(self.paths.model_objects, candidate, champion):
            unknown = compare(self.paths, candidate, champion).get("unknown")
            if unknown is not None:
                self.on_unknown(unknown)

    def regression(
        self, candidate: str, chain: Chain, *, tested: bool = True
    ) -> tuple[MatchResult, ...]:
        """Play a candidate against the last champions and return the results."""
        matches = self.matches(chain)
        former = self._former(candidate, chain, tested=tested)
        return tuple(self.play(matches.regression(candidate, other)) for other in former)

    def _former(self, candidate: str, chain: Chain, *, tested: bool = True) -> list[str]:
        most = self.settings.promotion.pool_size
        return regression_opponents(chain, candidate, most=most, tested=tested)

    def against(self, candidate: str, other: str, chain: Chain) -> MatchResult:
        """Play the sequential test of a model against another one."""
        return self.play(self.matches(chain).gate(candidate, other))

    def play(self, match: NamedMatch) -> MatchResult:
        """Play what is missing of a match."""
        found = match.stored(self.store)
        if found.complete:
            return found
        players = self.players()
        for agent in match.plan.participants:
            if agent.model_id is not None:
                path = find_model(self.paths.model_objects, agent.model_id)
                players.models[agent.model_id] = path
        result = play_match(
            match.plan,
            self.store,
            players,
            title=match.title,
            on_progress=lambda games: self.on_progress(match.title, games),
            stop=self.stop,
        )
        if not result.complete:
            raise MeasuringStopped
        return result
