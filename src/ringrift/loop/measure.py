"""The matches of a generation and of the exam: which are needed, which are stored already.

A plan is named by its content, so a participant that did not change is not measured again: the
matches of last generation's promoted candidate are those of this generation's champion.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringrift.agents.factory import identify
from ringrift.core.ids import short
from ringrift.evaluation.matches import MatchPlan, MatchResult, count, stored_games
from ringrift.evaluation.openings import book_hash
from ringrift.models.judging import Measured
from ringrift.records.record import AgentRef

if TYPE_CHECKING:
    from ringrift.evaluation.matches import Purpose, Store
    from ringrift.loop.plan import LoopPlan, SelfplayPlan
    from ringrift.rules import BoardSpec

RANDOM, HEURISTIC = "random", "heuristic"
REGRESSION_GAMES = 20


def derived_seed(seed: int, *words: object) -> int:
    """Return a seed below 2**63 that follows from `seed` and the words."""
    text = " ".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def agent_ref(text: str, spec: BoardSpec) -> AgentRef:
    """Name an agent of a spec whose models are written as full ids."""
    found = identify(text, spec)
    return AgentRef(spec=found.text, agent_hash=found.agent_hash, model_id=found.model_id)


def search_spec(model_id: str, plan: LoopPlan, sims: int) -> str:
    """Return the spec with which a model plays matches: no noise at the root."""
    play = plan.selfplay
    return f"gumbel@{model_id}:sims={sims},m={play.considered},c_scale={play.c_scale!r},scale=0"


def selfplay_spec(model_id: str, play: SelfplayPlan) -> str:
    """Return the spec with which a model plays against itself."""
    return (
        f"gumbel@{model_id}:sims={play.sims},m={play.considered},c_scale={play.c_scale!r},scale=1"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMatch:
    """A match with the words that tables and progress bars use."""

    title: str
    plan: MatchPlan

    def stored(self, store: Store) -> MatchResult:
        """Return what the store says."""
        games = {record.meta.index: record for record in stored_games(self.plan, store)}
        return count(self.plan, games, title=self.title)


@dataclass(frozen=True, slots=True)
class Matches:
    """Make the plans of one run."""

    plan: LoopPlan
    spec: BoardSpec

    def gate(self, candidate: str, champion: str) -> NamedMatch:
        """Return the sequential test of a candidate against the champion."""
        test = self.plan.measuring.test
        return self._match(
            "candidate vs champion",
            "gate",
            search_spec(candidate, self.plan, self.plan.measuring.sims),
            search_spec(champion, self.plan, self.plan.measuring.sims),
            test.max_games,
            tested=True,
        )

    def floor(self, who: str, model: str, baseline: str) -> NamedMatch:
        """Return the match of a model against a fixed baseline."""
        return self._match(
            f"{who} vs {baseline}",
            "floor",
            search_spec(model, self.plan, self.plan.measuring.sims),
            baseline,
            self.plan.measuring.floor_games,
        )

    def regression(self, candidate: str, former: str) -> NamedMatch:
        """Return the match of a candidate against a former champion."""
        return self._match(
            f"candidate vs former champion {short(former)}",
            "test",
            search_spec(candidate, self.plan, self.plan.measuring.sims),
            search_spec(former, self.plan, self.plan.measuring.sims),
            REGRESSION_GAMES,
        )

    def exam(self, champion: str) -> NamedMatch:
        """Return the final exam of a champion against random."""
        return self._match(
            "final exam: champion vs random",
            "full",
            search_spec(champion, self.plan, self.plan.measuring.exam_sims),
            RANDOM,
            self.plan.measuring.exam_games,
        )

    def of_generation(self, candidate: str, champion: str) -> dict[str, NamedMatch]:
        """Return all matches of a generation, by the field of `Measured` they fill."""
        return {
            "candidate_random": self.floor("candidate", candidate, RANDOM),
            "candidate_heuristic": self.floor("candidate", candidate, HEURISTIC),
            "champion_random": self.floor("champion", champion, RANDOM),
            "champion_heuristic": self.floor("champion", champion, HEURISTIC),
            "against_champion": self.gate(candidate, champion),
        }

    def measured(self, candidate: str, champion: str, store: Store) -> Measured | None:
        """Return the results of a generation, `None` while one of its matches is incomplete."""
        results: dict[str, Any] = {}
        for field, match in self.of_generation(candidate, champion).items():
            result = match.stored(store)
            if not result.complete:
                return None
            results[field] = result
        return Measured(**results, book_hash=self.book_hash(candidate, champion))

    def book_hash(self, candidate: str, champion: str) -> str:
        """Return the hash of the openings of the test against the champion."""
        gate = self.gate(candidate, champion).plan
        return book_hash(self.spec, gate.seed, gate.blocks)

    def _match(
        self,
        title: str,
        purpose: Purpose,
        first: str,
        second: str,
        games: int,
        *,
        tested: bool = False,
    ) -> NamedMatch:
        plan = MatchPlan.of_games(
            games,
            purpose=purpose,
            spec=self.spec,
            first=agent_ref(first, self.spec),
            second=agent_ref(second, self.spec),
            # One list of openings per purpose, not per match: results compare, plans are reused.
            seed=derived_seed(self.plan.seed, self.spec.config, purpose),
            test=self.plan.measuring.test if tested else None,
        )
        return NamedMatch(title=title, plan=plan)
