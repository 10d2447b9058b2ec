"""The matches that a candidate needs for its decision, and what they say so far (`loop.md` 4).

Floors of candidate and champion, the sequential test between the two, only after its acceptance the
games against former champions, then the hold-out numbers of both. A plan is named by its content:
what was played with the same settings is not played again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError
from ringrift.evaluation.contenders import Search
from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.promotion import PromotionMatches, PromotionSettings
from ringrift.evaluation.sprt import SequentialTest
from ringrift.loop.tallies import Tallies
from ringrift.models.candidates import Known, regression_opponents
from ringrift.models.judging import REGRESSION_ELO, Rules, Verdict, decide
from ringrift.rules import BoardSpec, parse_config

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.evaluation.promotion import NamedMatch
    from ringrift.loop.facts import MatchFacts, MatchKey
    from ringrift.loop.holdouts import Pair
    from ringrift.models.decisions import Chain

Holdout = Callable[[str, str], "Pair"]
"""Returns the hold-out numbers of a candidate and the champion, by their ids, over the same games."""

AHEAD = 32
"""The test begins while no more than so many games of the floors are left."""

KEPT = 16
"""Plans that are kept in mind."""

_Key = tuple[int, str, str]

FLOORS: tuple[MatchKey, ...] = (
    "candidate_random",
    "champion_random",
    "candidate_heuristic",
    "champion_heuristic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a candidate was measured to be, and what is missing for its decision.

    `matches` in the order in which they are played, with a `verdict` those that are over.
    `holdout_missing` are ids of models.
    """

    matches: tuple[MatchFacts, ...]
    holdout_missing: tuple[str, ...]
    known: Known
    verdict: Verdict | None

    @property
    def ready(self) -> bool:
        """Whether a decision can be made."""
        return self.verdict is not None


def spec_of(config: str) -> BoardSpec:
    """Return the board specification of a configuration with default options."""
    return BoardSpec.create(*parse_config(config))


def search_of(settings: Settings, simulations: int) -> Search:
    """Return how models search in matches."""
    play = settings.selfplay
    return Search(sims=simulations, considered=play.considered_moves, c_scale=play.c_scale)


def test_of(settings: Settings) -> SequentialTest:
    """Return the test of a candidate against the champion."""
    promotion = settings.promotion
    return SequentialTest(
        elo0=0.0,
        elo1=promotion.elo_threshold,
        alpha=promotion.significance_level,
        beta=promotion.significance_level,
        min_games=promotion.min_games,
        max_games=promotion.max_games,
    )


def rules_of(config: str, settings: Settings) -> Rules:
    """Return the stages and limits of a verdict."""
    threshold = settings.promotion.pool_threshold
    return Rules(
        players=parse_config(config)[1],
        min_games=settings.promotion.min_games,
        regression=settings.promotion.regression_test,
        hard_block=settings.regression.hard_block,
        regression_elo=REGRESSION_ELO if threshold is None else elo_from_score(threshold),
        overfit_gap=settings.safety.overfit_threshold,
    )


def promotion_matches(
    config: str, settings: Settings, *, simulations: int, seed: int
) -> PromotionMatches:
    """Return what makes the plans of a configuration's promotions."""
    return PromotionMatches(
        PromotionSettings(
            spec=spec_of(config),
            seed=seed,
            search=search_of(settings, simulations),
            test=test_of(settings),
            floor_games=settings.evaluation.floor_games,
            regression_games=settings.promotion.pool_games_per_opponent,
        )
    )


def described(settings: PromotionSettings) -> dict[str, Any]:
    """Return what a decision keeps of how it was measured."""
    return {
        "simulations": settings.search.sims,
        "considered": settings.search.considered,
        "c_scale": settings.search.c_scale,
        "test": asdict(settings.test),
        "floor_games": settings.floor_games,
        "regression_games": settings.regression_games,
        "seed": settings.seed,
    }


class Measuring:
    """Looks at the matches of candidates of one configuration; plays nothing.

    `simulations` are those of both sides (`loop.budget`).
    """

    def __init__(self, tallies: Tallies, config: str, settings: Settings, *, seed: int) -> None:
        self.tallies = tallies
        self.config = config
        self.rules = rules_of(config, settings)
        self._settings = settings
        self._seed = seed
        self._matches: dict[int, PromotionMatches] = {}
        self._plans: dict[_Key, dict[str, NamedMatch]] = {}
        self._former: dict[_Key, NamedMatch] = {}

    def promotion(self, simulations: int) -> PromotionMatches:
        """Return what makes the plans."""
        if simulations not in self._matches:
            self._matches[simulations] = promotion_matches(
                self.config, self._settings, simulations=simulations, seed=self._seed
            )
        return self._matches[simulations]

    def begun(self, chain: Chain, candidate: str, simulations: int) -> bool:
        """Tell whether a game of a candidate's own matches is stored."""
        if chain.champion is None:
            return False
        plans = self._generation(candidate, chain.champion, simulations)
        own = ("candidate_random", "candidate_heuristic", "against_champion")
        return any(self.tallies.of(plans[name].plan).begun for name in own)

    def needs(self, chain: Chain, candidate: str, *, simulations: int, holdout: Holdout) -> Needs:
        """Return what is stored of a candidate and what is asked next."""
        if chain.champion is None:
            return Needs(matches=(), holdout_missing=(), known=Known(), verdict=None)
        champion = chain.champion
        plans = self._generation(candidate, champion, simulations)
        results = {name: self.tallies.result(match) for name, match in plans.items()}
        shown = {name: self._facts(name, plans[name]) for name in FLOORS}
        known = Known(
            matches=results,
            book_hash=self.promotion(simulations).book_hash(candidate, champion),
        )
        verdict = self._verdict(known)
        matches = [shown[name] for name in FLOORS]
        left = sum(match.games - match.played for match in matches)
        if (verdict is None and left <= AHEAD) or results["against_champion"].games:
            matches.append(self._facts("against_champion", plans["against_champion"]))
        missing: tuple[str, ...] = ()
        if left == 0 and verdict is None and results["against_champion"].verdict == "accept":
            known, former = self._further(known, chain, candidate, simulations, holdout)
            matches += former
            verdict = self._verdict(known)
            if verdict is None and all(match.complete for match in former):
                sides = ((candidate, known.candidate_holdout), (champion, known.champion_holdout))
                missing = tuple(model for model, value in sides if value is None)
        if verdict is not None:  # the rest is not asked for any more
            matches = [match for match in matches if match.complete]
        return Needs(matches=tuple(matches), holdout_missing=missing, known=known, verdict=verdict)

    def _further(
        self, known: Known, chain: Chain, candidate: str, simulations: int, holdout: Holdout
    ) -> tuple[Known, list[MatchFacts]]:
        """Return what is known with former champions and hold-out, and the matches of the former."""
        assert chain.champion is not None
        former: list[str] = []
        if self.rules.regression:
            former = regression_opponents(chain, candidate, most=self._settings.promotion.pool_size)
        found = [self._against_former(candidate, other, simulations) for other in former]
        results = [self.tallies.result(match) for match in found]
        pair = holdout(candidate, chain.champion) if self.rules.holdout else None
        further = Known(
            matches=known.matches,
            regression=tuple(results),
            candidate_holdout=None if pair is None else pair.candidate,
            champion_holdout=None if pair is None else pair.champion,
            book_hash=known.book_hash,
        )
        return further, [self.tallies.facts("regression", match) for match in found]

    def _verdict(self, known: Known) -> Verdict | None:
        try:
            return decide(known.measured, self.rules)
        except DataError:
            return None

    def _facts(self, name: MatchKey, match: NamedMatch) -> MatchFacts:
        return self.tallies.facts(name, match)

    def _generation(self, candidate: str, champion: str, simulations: int) -> dict[str, NamedMatch]:
        key = (simulations, candidate, champion)
        if key not in self._plans:
            made = self.promotion(simulations).of_generation(candidate, champion)
            self._plans = {**_newest(self._plans), key: made}
        return self._plans[key]

    def _against_former(self, candidate: str, other: str, simulations: int) -> NamedMatch:
        key = (simulations, candidate, other)
        if key not in self._former:
            made = self.promotion(simulations).regression(candidate, other)
            self._former = {**_newest(self._former), key: made}
        return self._former[key]


def _newest(plans: dict[_Key, Any]) -> dict[_Key, Any]:
    return dict(list(plans.items())[-KEPT:])
