"""All that matches say of one configuration; plays and writes nothing.

What a candidate needs, what is due beside, milestones, ratings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringrift.evaluation.contenders import ModelRow
from ringrift.loop.budget import budget
from ringrift.loop.holdouts import Pair, stored_pair
from ringrift.loop.measuring import Measuring, Needs
from ringrift.loop.milestones import Milestones
from ringrift.loop.rating_facts import Ratings, rated_model
from ringrift.loop.side_matches import SideMatches
from ringrift.loop.tallies import Tallies
from ringrift.models.registry import model_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import (
        DecisionFacts,
        MatchFacts,
        ModelFacts,
        RatedModel,
        TournamentFacts,
    )
    from ringrift.models.decisions import Chain
    from ringrift.records.store import GameStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The fields of `ConfigFacts` that follow from matches."""

    matches: tuple[MatchFacts, ...] = ()
    side_matches: tuple[MatchFacts, ...] = ()
    holdout_missing: tuple[str, ...] = ()
    ready_to_decide: bool = False
    ratings: tuple[RatedModel, ...] = ()
    tournaments: tuple[TournamentFacts, ...] = ()
    last_shadow_at: float | None = None
    last_full_at: float | None = None
    milestones: Mapping[str, float] = field(default_factory=dict)


class ConfigMatches:
    """Follows the matches of one configuration; keep it, since it counts every game once.

    `seed` is that of the plans.
    """

    def __init__(
        self, config: str, store: GameStore, settings: Settings, paths: Paths, *, seed: int = 0
    ) -> None:
        self._settings = settings
        self._objects = paths.model_objects
        self._tallies = Tallies(store)
        self._measuring = Measuring(self._tallies, config, settings, seed=seed)
        self._milestones = Milestones(self._tallies, config, settings, seed=seed)
        self._side = SideMatches(self._tallies, config, settings)
        self._ratings = Ratings(config, store, settings, paths)
        self._calibrated: set[str] = set()

    def look(
        self,
        chain: Chain,
        decisions: Sequence[DecisionFacts],
        models: Sequence[ModelFacts],
        candidate: str | None,
        now: float,
    ) -> Looked:
        """Return what the stored matches say at a time (Unix s); `models` oldest first."""
        self._tallies.refresh()
        reached = self._milestones.reached(decisions)
        needs = self._needs(chain, decisions, candidate, reached)
        rows = [self._row(model, chain.config) for model in reversed(models)]
        unfinished = {model.id for model in models if model.unfinished}
        finished = [row for row in rows if row.id not in unfinished]
        rounds = self._side.rounds()
        side = (
            *self._milestones.wanted(chain, reached),
            *self._side.wanted(chain, rows, rounds, now),
            *self._calibration(chain, finished, candidate),
        )
        return Looked(
            matches=() if needs is None else needs.matches,
            side_matches=side,
            holdout_missing=() if needs is None else needs.holdout_missing,
            ready_to_decide=needs is not None and needs.ready,
            ratings=self._ratings.of(chain),
            tournaments=self._ratings.tournaments(self._side.finished(chain, rows, rounds), chain),
            last_shadow_at=rounds.last_at("shadow"),
            last_full_at=rounds.last_at("full"),
            milestones=reached,
        )

    def needs(
        self, chain: Chain, decisions: Sequence[DecisionFacts], candidate: str
    ) -> tuple[Needs | None, int]:
        """Return what a candidate was measured to be, and the simulations of its matches."""
        self._tallies.refresh()
        reached = self._milestones.reached(decisions)
        simulations = budget(decisions, reached, self._settings).matches
        return self._needs(chain, decisions, candidate, reached), simulations

    def begun(self, chain: Chain, decisions: Sequence[DecisionFacts], model: str) -> bool:
        """Tell whether a game of a model's own matches is stored."""
        self._tallies.refresh()
        reached = self._milestones.reached(decisions)
        return self._measuring.begun(
            chain, model, budget(decisions, reached, self._settings).matches
        )

    @property
    def measuring(self) -> Measuring:
        """What looks at the matches of candidates."""
        return self._measuring

    def _needs(
        self,
        chain: Chain,
        decisions: Sequence[DecisionFacts],
        candidate: str | None,
        reached: Mapping[str, float],
    ) -> Needs | None:
        if candidate is None or chain.champion is None:
            return None
        return self._measuring.needs(
            chain,
            candidate,
            simulations=budget(decisions, reached, self._settings).matches,
            holdout=self._holdout,
        )

    def _calibration(
        self, chain: Chain, rows: Sequence[ModelRow], candidate: str | None
    ) -> tuple[MatchFacts, ...]:
        """Return the next match of the newest model without a rating that nothing else measures."""
        decided = {decision.candidate for decision in chain.decisions}
        if chain.champion is not None and candidate is not None:
            decided.add(candidate)
        for row in rows:
            if row.id in decided or row.id in self._calibrated:
                continue
            rated = rated_model(self._ratings.fit(), row.id).elo is not None
            found = self._side.calibration(chain, row, self._ratings.fit, begin=not rated)
            if found:
                return found
            self._calibrated.add(row.id)
        return ()

    def _holdout(self, candidate: str, champion: str) -> Pair:
        return stored_pair(self._objects, candidate, champion)

    def _row(self, model: ModelFacts, config: str) -> ModelRow:
        return ModelRow(
            id=model.id,
            kind=model.kind,
            config=config,
            path=model_path(self._objects, model.id),
        )
