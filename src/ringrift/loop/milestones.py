"""When a configuration reached which milestone, and what its champion plays next (`loop.md` 10, 12).

Each promoted champion plays the next unreached one: a sequential test on reserved openings, H0 0
Elo, H1 +35, at most 400 games. What was reached follows from the stored games alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.ids import derived_seed, short
from ringrift.evaluation.elo import rate_for_players
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.promotion import NamedMatch
from ringrift.evaluation.sprt import SequentialTest
from ringrift.loop.measuring import search_of, spec_of
from ringrift.loop.milestone_names import EXAM, FIRST, MILESTONES, Milestone
from ringrift.loop.stored_plans import PlansOf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringrift.core.settings import Settings
    from ringrift.loop.facts import DecisionFacts, MatchFacts
    from ringrift.loop.tallies import Tallies
    from ringrift.models.decisions import Chain

ELO, MOST_GAMES = 35.0, 400
TESTED = ("promoted", "rejected", "inconclusive")


class Milestones:
    """The milestones of one configuration; `seed` is that of the plans."""

    def __init__(self, tallies: Tallies, config: str, settings: Settings, *, seed: int) -> None:
        self._tallies = tallies
        self._spec = spec_of(config)
        self._seed = seed
        self._search = search_of(settings, settings.evaluation.exam_simulations)
        error = settings.promotion.significance_level
        self._test = SequentialTest(
            elo0=0.0, elo1=ELO, alpha=error, beta=error, max_games=MOST_GAMES
        )
        self._plans = PlansOf(tallies.store, config, "milestone")
        self._of_spec = {participant(each.opponent, self._spec).spec: each for each in MILESTONES}
        self._made: dict[tuple[str, str], NamedMatch] = {}

    def reached(self, decisions: Sequence[DecisionFacts]) -> dict[str, float]:
        """Return when each milestone was reached first, by name, and each exam by `exam:` and name."""
        found = _first(decisions)
        for plan in self._plans.upto(self._tallies.top):
            milestone = self._of_spec.get(plan.participants[1].spec)
            if milestone is None or plan.participants[0].model_id is None:
                continue
            name = milestone.name if plan.test is not None else EXAM + milestone.name
            counted = self._tallies.of(plan)
            if counted.ended is None or not self._passed(milestone, plan):
                continue
            found[name] = min(counted.ended, found.get(name, counted.ended))
        return found

    def wanted(self, chain: Chain, reached: Mapping[str, float]) -> tuple[MatchFacts, ...]:
        """Return what is left of the exams of what was reached and of the next milestone's test.

        The first champion plays none.
        """
        champion = chain.champion
        if champion is None or len(set(chain.champions())) < 2:
            return ()
        found = [
            self._tallies.facts("milestone", match, name=name)
            for name, match in self._next(champion, reached)
        ]
        return tuple(match for match in found if not match.complete)

    def _next(
        self, champion: str, reached: Mapping[str, float]
    ) -> Iterator[tuple[str, NamedMatch]]:
        for each in MILESTONES:
            if each.name not in reached:
                yield each.name, self.match(champion, each)
                return
            if each.exam_games and EXAM + each.name not in reached:
                yield EXAM + each.name, self.exam(champion, each)

    def match(self, champion: str, milestone: Milestone) -> NamedMatch:
        """Return the test of a champion for a milestone."""
        return self._named(champion, milestone, milestone.name, MOST_GAMES, self._test)

    def exam(self, champion: str, milestone: Milestone) -> NamedMatch:
        """Return the fixed games that confirm a milestone."""
        return self._named(champion, milestone, EXAM + milestone.name, milestone.exam_games, None)

    def _named(
        self,
        champion: str,
        milestone: Milestone,
        name: str,
        games: int,
        test: SequentialTest | None,
    ) -> NamedMatch:
        found = self._made.get((champion, name))
        if found is None:
            spec = self._spec
            plan = MatchPlan.of_games(
                games,
                purpose="milestone",
                spec=spec,
                agents=(
                    participant(self._search.spec(champion), spec),
                    participant(milestone.opponent, spec),
                ),
                openings=OpeningChoice.of_book(spec, "reserved"),
                seed=derived_seed(self._seed, spec.config, name),
                test=test,
            )
            title = f"{name}: champion {short(champion)} vs {milestone.opponent}"
            found = self._made[champion, name] = NamedMatch(title=title, plan=plan)
        return found

    def _passed(self, milestone: Milestone, plan: MatchPlan) -> bool:
        result = self._tallies.result(NamedMatch(title=milestone.name, plan=plan))
        if not result.complete or result.score is None or result.interval is None:
            return False
        players = plan.players
        if plan.test is not None:
            least = rate_for_players(milestone.score or 0.0, players)
            return result.verdict == "accept" and result.score >= least
        if milestone.exam_score is not None:
            return result.score >= rate_for_players(milestone.exam_score, players)
        return result.interval.low > 1.0 / players


def _first(decisions: Sequence[DecisionFacts]) -> dict[str, float]:
    """Return when the first model and the first tested candidate were decided about."""
    tested = (d for d in decisions if d.champion_before is not None and d.kind in TESTED)
    moments = (next(iter(decisions), None), next(tested, None))
    return {
        name: decision.at
        for name, decision in zip(FIRST, moments, strict=True)
        if decision is not None
    }
