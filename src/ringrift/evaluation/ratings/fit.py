"""Fit the ratings of a configuration: anchor, prior, connections, differences (`evaluation.md` 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import NormalDist

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ringrift.agents.factory import identify
from ringrift.evaluation.ratings.games import RatedGames
from ringrift.evaluation.ratings.likelihood import Places
from ringrift.evaluation.ratings.strengths import Draws, Ints, Strengths, maximise
from ringrift.rules import BoardSpec
from ringrift.rules.spec import parse_config

ANCHOR = "random"
ANCHOR_ELO = 400.0
FIRST_OPPONENT = "heuristic"
FROZEN = (ANCHOR, FIRST_OPPONENT, "mcts_100", "mcts_500")
"""Agents that never change; all but the anchor are measured, so they show drift."""
ELO = 400.0 / math.log(10.0)
"""Elo of one unit of strength."""
Z95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRules:
    """What a fit is made with: settings `rating.places`, `rating.prior_draws`, `evaluation.min_games_for_elo`."""

    places: Places = "full"
    prior_draws: float = 1.0
    min_games: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Elo of one agent over another: standard error, 95 % interval, likelihood of superiority."""

    elo: float
    se: float
    low: float
    high: float
    los: float


@lru_cache(maxsize=64)
def frozen_specs(config: str) -> Mapping[str, str]:
    """Return the names of the agents that never change by their resolved specs."""
    spec = BoardSpec.create(*parse_config(config))
    return {identify(name, spec).text: name for name in FROZEN}


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """The ratings of the participants of some games; make one with `fit`.

    `fitted`: `int64[F]`, participants with a path of finished games to the anchor, in the order of
    `strengths.theta`; `strengths` is None where nobody has one.
    """

    games: RatedGames
    rules: FitRules
    parents: Mapping[str, str]
    fitted: Ints
    strengths: Strengths | None

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(agent): place for place, agent in enumerate(self.fitted)}

    def place(self, agent: int) -> int | None:
        """Return the place of a participant in `strengths`, None where unconnected."""
        return self._places.get(agent)

    def elo(self, agent: int) -> float | None:
        """Return the rating of a participant, None where unconnected."""
        place = self.place(agent)
        if place is None or self.strengths is None:
            return None
        return ANCHOR_ELO + ELO * float(self.strengths.theta[place])

    def se(self, agent: int) -> float | None:
        """Return the standard error of a rating in Elo, None where unconnected."""
        place = self.place(agent)
        if place is None or self.strengths is None:
            return None
        return ELO * math.sqrt(max(0.0, self.strengths.variance(place)))

    def elo_of(self, agent: str) -> float | None:
        """Return the rating of an agent hash, None where it did not play or is unconnected."""
        index = self.games.index(agent)
        return None if index is None else self.elo(index)

    def se_of(self, agent: str) -> float | None:
        """Return the standard error of an agent hash in Elo, None where it has no rating."""
        index = self.games.index(agent)
        return None if index is None else self.se(index)

    def difference(self, agent: str, other: str) -> Difference | None:
        """Return the Elo of one agent hash over another, None where one is not rated.

        The error comes from the covariance of both; `los = Phi(d/se)`.
        """
        places = []
        for name in (agent, other):
            index = self.games.index(name)
            place = None if index is None else self.place(index)
            if place is None:
                return None
            places.append(place)
        if self.strengths is None or places[0] == places[1]:
            return None
        one, two = places
        elo = ELO * float(self.strengths.theta[one] - self.strengths.theta[two])
        se = ELO * math.sqrt(self.strengths.variance_of_difference(one, two))
        los = NormalDist().cdf(elo / se) if se > 0 else float(elo > 0) + 0.5 * (elo == 0)
        return Difference(elo=elo, se=se, low=elo - Z95 * se, high=elo + Z95 * se, los=los)


def fit(
    games: RatedGames, rules: FitRules | None = None, parents: Mapping[str, str] | None = None
) -> Fit:
    """Fit the ratings of the participants of `games`; `parents` gives models' parents by model id.

    Only games between participants with a path of finished games to the anchor count.
    """
    rules, parents = rules or FitRules(), parents or {}
    fitted = _connected(games)
    strengths = None
    if len(fitted):
        chosen = games.finished & np.isin(games.seats[:, 0], fitted)
        outcomes = games.outcomes(chosen)
        place = np.full(len(games.participants), -1, dtype=np.int64)
        place[fitted] = np.arange(len(fitted))
        moved = replace(outcomes, seats=place[outcomes.seats])
        anchors = [i for i, agent in enumerate(fitted) if _is(games, int(agent), ANCHOR)]
        strengths = maximise(
            moved,
            agents=len(fitted),
            fixed=np.array(anchors, dtype=np.int64),
            draws=_draws(games, fitted, rules, parents),
            places=rules.places,
        )
    return Fit(games=games, rules=rules, parents=parents, fitted=fitted, strengths=strengths)


def _is(games: RatedGames, agent: int, name: str) -> bool:
    return frozen_specs(games.config).get(games.participants[agent].spec) == name


def _connected(games: RatedGames) -> Ints:
    """Return the participants with a path of finished games to the anchor."""
    count = len(games.participants)
    seats = games.seats[games.finished]
    anchors = [agent for agent in np.unique(seats) if _is(games, int(agent), ANCHOR)]
    if not anchors:
        return np.zeros(0, dtype=np.int64)
    first = np.repeat(seats[:, 0], games.players - 1)
    rest = seats[:, 1:].ravel()
    links = csr_array((np.ones(len(rest)), (first, rest)), shape=(count, count))
    _, labels = connected_components(links, directed=False)
    return np.flatnonzero(np.isin(labels, labels[anchors]))


def _draws(games: RatedGames, fitted: Ints, rules: FitRules, parents: Mapping[str, str]) -> Draws:
    """Return a virtual draw of each agent with its parent model, else the heuristic, else random."""
    played = np.bincount(games.seats.ravel(), minlength=len(games.participants))
    known = [games.participants[agent] for agent in fitted]
    most_played = sorted(range(len(fitted)), key=lambda i: (-played[fitted[i]], known[i]))
    of_model: dict[str | None, int] = {}
    named: dict[str | None, int] = {}
    for place in most_played:
        of_model.setdefault(known[place].model_id, place)
        named.setdefault(frozen_specs(games.config).get(known[place].spec), place)
    pairs = []
    for place, agent in enumerate(known):
        name = frozen_specs(games.config).get(agent.spec)
        parent = parents.get(agent.model_id) if agent.model_id is not None else None
        other = of_model.get(parent) if parent is not None else None
        if other is None and name != FIRST_OPPONENT:
            other = named.get(FIRST_OPPONENT)
        if other is None:
            other = named[ANCHOR]
        if name != ANCHOR and other != place:
            pairs.append((place, other))
    return Draws(pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2), weight=rules.prior_draws)
