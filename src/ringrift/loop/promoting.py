"""Measure candidates outside a run, with the loop's own matches, for promotions by hand.

Plans are those of the loop with the same seed and settings, so what either has played counts for
both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import NegativeResult
from ringrift.evaluation.matches import run_match
from ringrift.evaluation.promotion import promotion_evidence
from ringrift.evaluation.results import MatchResult
from ringrift.evaluation.tally import Tally
from ringrift.loop.measure import Matches
from ringrift.loop.plan import spec_of
from ringrift.models.candidates import Known, regression_opponents
from ringrift.models.judging import HoldOut, Measured, Rules, decide

if TYPE_CHECKING:
    from ringrift.evaluation.promotion import NamedMatch, PromotionEvidence
    from ringrift.loop.interfaces import Workers
    from ringrift.loop.plan import LoopPlan
    from ringrift.models.decisions import Chain
    from ringrift.records.store import GameStore
    from ringrift.rules import BoardSpec

Holdout = Callable[[str, bool], HoldOut | None]
"""Return the hold-out numbers of a model by its id, measuring them where the second says so."""


class MeasuringStopped(Exception):
    """Somebody asked to stop; what was played is stored."""


@dataclass(slots=True, kw_only=True)
class Measuring:
    """Looks at, and plays, the matches of candidates of one configuration."""

    plan: LoopPlan
    store: GameStore
    holdout: Holdout
    workers: Callable[[], Workers]
    on_progress: Callable[[str, Tally], None] = lambda title, games: None
    stop: Callable[[], bool] = lambda: False
    spec: BoardSpec = field(init=False)
    matches: Matches = field(init=False)

    def __post_init__(self) -> None:
        self.spec = spec_of(self.plan.config)
        self.matches = Matches(self.plan, self.spec)

    def look(self, candidate: str, chain: Chain) -> Known:
        """Return what is stored of a candidate; nothing is played."""
        assert chain.champion is not None
        plans = self.matches.of_generation(candidate, chain.champion)
        former = regression_opponents(chain, candidate)
        return Known(
            matches={name: match.stored(self.store) for name, match in plans.items()},
            regression=tuple(
                self.matches.regression(candidate, other).stored(self.store) for other in former
            ),
            candidate_holdout=self.holdout(candidate, False),
            champion_holdout=self.holdout(chain.champion, False),
            book_hash=self.matches.book_hash(candidate, chain.champion),
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
            self.matches.settings,
            play=self.play,
            former=regression_opponents(chain, candidate) if rules.regression else (),
            goes_on=goes_on,
        )
        if rules.holdout and goes_on(evidence):
            for model_id in (candidate, chain.champion):
                self.holdout(model_id, True)
        return self.look(candidate, chain).measured

    def regression(
        self, candidate: str, chain: Chain, *, tested: bool = True
    ) -> tuple[MatchResult, ...]:
        """Play a candidate against the last champions and return the results."""
        former = regression_opponents(chain, candidate, tested=tested)
        return tuple(self.play(self.matches.regression(candidate, other)) for other in former)

    def against(self, candidate: str, other: str) -> MatchResult:
        """Play the sequential test of a model against another one."""
        return self.play(self.matches.gate(candidate, other))

    def play(self, match: NamedMatch) -> MatchResult:
        """Play what is missing of a match."""
        stored = match.stored(self.store)
        if stored.complete:
            return stored
        workers = self.workers()

        def players(plan: Any, games: Any) -> Iterable[Any]:
            for record in workers.match(plan, games, self.stop):
                if record.result.end != "aborted":
                    self.store.ingest([(record, None)], source="models promote")
                yield record

        result = run_match(
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
