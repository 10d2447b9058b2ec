"""Ratings of a configuration's champions, now and after each full tournament (`evaluation.md` 5)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ringrift.evaluation.ratings.fit import Z95, Fit, FitRules, fit
from ringrift.evaluation.ratings.service import RatingSource
from ringrift.loop.facts import RatedModel, TournamentFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.side_matches import StoredRound
    from ringrift.models.decisions import Chain
    from ringrift.records.store import GameStore

LEAST_PAUSE_S, PAUSE_FACTOR = 5.0, 20.0
"""A fit is made again after so many seconds, and so many times what the last one took."""


class Ratings:
    """Fits the match games of one configuration and remembers what it found."""

    def __init__(self, config: str, store: GameStore, settings: Settings, paths: Paths) -> None:
        self._config = config
        self._store = store
        self._source = RatingSource(
            store=store.path,
            objects=paths.model_objects,
            folder=paths.ratings,
            rules=FitRules(
                places=settings.rating.places,
                prior_draws=settings.rating.prior_draws,
                min_games=settings.evaluation.min_games_for_elo,
            ),
        )
        self._fit: Fit | None = None
        self._games = -1
        self._due_s = 0.0
        self._rated: tuple[Fit, str | None, tuple[RatedModel, ...]] | None = None
        self._tournaments: dict[int, TournamentFacts] = {}

    def fit(self) -> Fit:
        """Return the fit of all match games, the newest ones left out for some seconds."""
        games = self._store.count(self._config, purpose="match")
        began_s = time.monotonic()
        if self._fit is None or (games != self._games and began_s >= self._due_s):
            self._fit = self._source.fit(self._config)
            self._games = games
            ended_s = time.monotonic()
            self._due_s = ended_s + max(LEAST_PAUSE_S, PAUSE_FACTOR * (ended_s - began_s))
        return self._fit

    def of(self, chain: Chain) -> tuple[RatedModel, ...]:
        """Return the ratings of all champions, in the order of their first turn."""
        found = self.fit()
        if self._rated is None or self._rated[0] is not found or self._rated[1] != chain.head:
            rated = tuple(rated_model(found, model) for model in dict.fromkeys(chain.champions()))
            self._rated = (found, chain.head, rated)
        return self._rated[2]

    def tournaments(
        self, finished: Sequence[tuple[StoredRound, float]], chain: Chain
    ) -> tuple[TournamentFacts, ...]:
        """Return what each full tournament said when its last game ended (Unix s)."""
        for tournament, ended in finished:
            if tournament.started_s not in self._tournaments:
                self._tournaments[tournament.started_s] = self._said(tournament, ended, chain)
        return tuple(self._tournaments[each.started_s] for each, _ in finished)

    def _said(self, tournament: StoredRound, ended: float, chain: Chain) -> TournamentFacts:
        games = self._source.games(self._config, as_of=ended)
        found = fit(games, self._source.rules, self._source.parents(games))
        champion = tournament.plans[0].participants[0]
        opponents = {
            plan.participants[1].model_id: plan.participants[1] for plan in tournament.plans
        }
        line = chain.until(tournament.started_s).in_line()
        before = line[line.index(champion.model_id) - 1] if champion.model_id in line[1:] else None
        other = opponents.get(before) if before is not None else None
        difference = (
            None if other is None else found.difference(champion.agent_hash, other.agent_hash)
        )
        return TournamentFacts(
            at=ended,
            champion=_rated(found, str(champion.model_id), champion.agent_hash),
            predecessor=None if other is None else _rated(found, str(before), other.agent_hash),
            difference_ci95=None if difference is None else (difference.low, difference.high),
            games=sum(plan.games for plan in tournament.plans),
        )


def rated_model(found: Fit, model_id: str) -> RatedModel:
    """Return the rating of the agent of a model that played most games; unknown where none did."""
    agents = [who.agent_hash for who in found.games.participants if who.model_id == model_id]
    rated = [_rated(found, model_id, agent) for agent in agents]
    none = RatedModel(model=model_id, elo=None, ci95=None, games=0)
    return max(rated, key=lambda each: each.games, default=none)


def _rated(found: Fit, model_id: str, agent: str) -> RatedModel:
    index = found.games.index(agent)
    elo, se = found.elo_of(agent), found.se_of(agent)
    return RatedModel(
        model=model_id,
        elo=elo,
        ci95=None if elo is None or se is None else (elo - Z95 * se, elo + Z95 * se),
        games=0 if index is None else int((found.games.seats == index).any(axis=1).sum()),
    )
