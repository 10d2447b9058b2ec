"""The matches of a run: those of promotions, and the exam at its end.

What is stored already is not played again; see `evaluation.promotion`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ringrift.evaluation.contenders import Search
from ringrift.evaluation.promotion import (
    RANDOM,
    NamedMatch,
    PromotionMatches,
    PromotionSettings,
)
from ringrift.models.judging import Measured

if TYPE_CHECKING:
    from ringrift.evaluation.matches import Store
    from ringrift.loop.plan import LoopPlan, SelfplayPlan
    from ringrift.rules import BoardSpec


def selfplay_spec(model_id: str, play: SelfplayPlan) -> str:
    """Return the spec with which a model plays against itself."""
    return (
        f"gumbel@{model_id}:sims={play.sims},m={play.considered},c_scale={play.c_scale!r},scale=1"
    )


class Matches(PromotionMatches):
    """Makes the plans of one run."""

    def __init__(self, plan: LoopPlan, spec: BoardSpec) -> None:
        super().__init__(
            PromotionSettings(
                spec=spec,
                seed=plan.seed,
                search=Search(
                    sims=plan.measuring.sims,
                    considered=plan.selfplay.considered,
                    c_scale=plan.selfplay.c_scale,
                ),
                test=plan.measuring.test,
                floor_games=plan.measuring.floor_games,
            )
        )
        self._plan = plan

    def exam(self, champion: str) -> NamedMatch:
        """Return the final exam of a champion against random."""
        measuring = self._plan.measuring
        return self.match(
            "final exam: champion vs random",
            "full",
            replace(self.settings.search, sims=measuring.exam_sims).spec(champion),
            RANDOM,
            measuring.exam_games,
        )

    def measured(self, candidate: str, champion: str, store: Store) -> Measured | None:
        """Return the results of a generation, `None` while one of its matches is incomplete."""
        results: dict[str, Any] = {}
        for field, match in self.of_generation(candidate, champion).items():
            result = match.stored(store)
            if not result.complete:
                return None
            results[field] = result
        return Measured(**results, book_hash=self.book_hash(candidate, champion))
