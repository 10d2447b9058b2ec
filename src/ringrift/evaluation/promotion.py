"""The matches that a promotion is decided from (`loop.md` 4, Promotion; `evaluation.md` 7).

Floors of candidate and champion against fixed agents, the sequential test between the two, and
games against former champions. A plan is named by its content, so a participant that did not change
is not measured again: the floors of a promoted candidate are those of the next champion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ringrift.core.ids import derived_seed, short
from ringrift.evaluation.contenders import Search
from ringrift.evaluation.matches import stored
from ringrift.evaluation.openings import book_hash
from ringrift.evaluation.participants import participant
from ringrift.evaluation.plans import MatchPlan, OpeningChoice
from ringrift.evaluation.sprt import SequentialTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringrift.evaluation.matches import Store
    from ringrift.evaluation.plans import Purpose
    from ringrift.evaluation.results import MatchResult
    from ringrift.rules import BoardSpec

RANDOM, HEURISTIC = "random", "heuristic"
RESERVED = ("gate", "test", "milestone")
"""Purposes that take their openings from the reserved half of the book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionSettings:
    """How a candidate is measured: `search` of both sides, the test, games of each floor.

    `regression_games` are those against each former champion.
    """

    spec: BoardSpec
    seed: int
    search: Search
    test: SequentialTest
    floor_games: int
    regression_games: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMatch:
    """A match with the words that tables and progress bars use."""

    title: str
    plan: MatchPlan

    def stored(self, store: Store) -> MatchResult:
        """Return what the store says."""
        return stored(self.plan, store).result(self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionEvidence:
    """What the matches say of a candidate and the champion.

    `regression` are those against former champions, none where there is none, `None` where they
    were not played. `book_hash` names the openings of the test.
    """

    against_champion: MatchResult
    candidate_random: MatchResult
    candidate_heuristic: MatchResult
    champion_random: MatchResult
    champion_heuristic: MatchResult
    regression: tuple[MatchResult, ...] | None = None
    book_hash: str | None = None


class PromotionMatches:
    """Makes the plans of matches between candidates, champions and fixed agents."""

    def __init__(self, settings: PromotionSettings) -> None:
        self.settings = settings

    def gate(self, candidate: str, champion: str) -> NamedMatch:
        """Return the sequential test of a candidate against the champion."""
        return self.match(
            "candidate vs champion",
            "gate",
            self.agent(candidate),
            self.agent(champion),
            self.settings.test.max_games,
            test=self.settings.test,
        )

    def floor(self, who: str, model: str, baseline: str) -> NamedMatch:
        """Return the match of a model against a fixed baseline."""
        title = f"{who} vs {baseline}"
        return self.match(title, "floor", self.agent(model), baseline, self.settings.floor_games)

    def regression(self, candidate: str, former: str) -> NamedMatch:
        """Return the match of a candidate against a former champion."""
        return self.match(
            f"candidate vs former champion {short(former)}",
            "test",
            self.agent(candidate),
            self.agent(former),
            self.settings.regression_games,
        )

    def of_generation(self, candidate: str, champion: str) -> dict[str, NamedMatch]:
        """Return the matches that every candidate needs, by the field of the evidence they fill."""
        return {
            "candidate_random": self.floor("candidate", candidate, RANDOM),
            "candidate_heuristic": self.floor("candidate", candidate, HEURISTIC),
            "champion_random": self.floor("champion", champion, RANDOM),
            "champion_heuristic": self.floor("champion", champion, HEURISTIC),
            "against_champion": self.gate(candidate, champion),
        }

    def book_hash(self, candidate: str, champion: str) -> str:
        """Return the hash of the openings of the test against the champion."""
        plan = self.gate(candidate, champion).plan
        return plan.openings.book_hash or book_hash(plan.spec, plan.seed, plan.blocks)

    def agent(self, model_id: str) -> str:
        """Return the spec with which a model plays."""
        return self.settings.search.spec(model_id)

    def match(
        self,
        title: str,
        purpose: Purpose,
        first: str,
        second: str,
        games: int,
        *,
        test: SequentialTest | None = None,
    ) -> NamedMatch:
        """Return a match of two agents given by their specs."""
        spec = self.settings.spec
        plan = MatchPlan.of_games(
            games,
            purpose=purpose,
            spec=spec,
            agents=(participant(first, spec), participant(second, spec)),
            # One order of openings per purpose, not per match: results compare, plans are reused.
            openings=OpeningChoice.of_book(spec, "reserved" if purpose in RESERVED else "open"),
            seed=derived_seed(self.settings.seed, spec.config, purpose),
            test=test,
        )
        return NamedMatch(title=title, plan=plan)


def promotion_evidence(
    candidate: str,
    champion: str,
    settings: PromotionSettings,
    *,
    play: Callable[[NamedMatch], MatchResult],
    former: Sequence[str] = (),
    goes_on: Callable[[PromotionEvidence], bool] | None = None,
) -> PromotionEvidence:
    """Play what a promotion of `candidate` needs and return what it is decided from.

    `play` plays what is missing of a match and returns its finished result. The games against
    `former` champions, given by their ids, are played if `goes_on` says so of the evidence without
    them; by default if the test accepted the candidate.
    """
    matches = PromotionMatches(settings)
    found: dict[str, Any] = {
        name: play(match) for name, match in matches.of_generation(candidate, champion).items()
    }
    evidence = PromotionEvidence(**found, book_hash=matches.book_hash(candidate, champion))
    if not (_accepted if goes_on is None else goes_on)(evidence):
        return evidence
    against = tuple(play(matches.regression(candidate, other)) for other in former)
    return replace(evidence, regression=against)


def _accepted(evidence: PromotionEvidence) -> bool:
    return evidence.against_champion.verdict == "accept"
