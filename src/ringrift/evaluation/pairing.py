"""Which agents of a field meet next: everyone, or those whose games tell most (`evaluation.md` 9).

Two agents meet in a game of two players, N agents in one of N; smaller fields meet as a whole.
Everything here follows from the games played so far, so a tournament that goes on after a kill pairs
as it would have without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ringrift.evaluation.ratings.fit import ELO
from ringrift.evaluation.ratings.strengths import Draws, maximise

if TYPE_CHECKING:
    from ringrift.evaluation.ratings.likelihood import Floats
    from ringrift.evaluation.ratings.strengths import Outcomes

Group = tuple[int, ...]
"""The places in the field of the agents that meet."""

TARGET_ELO = 35.0
"""Error below which a rating is good enough."""
REACH_ELO = 200.0
PRIOR_DRAWS = 1.0
_SETTLED = 1e-9
"""Weight of an agent whose error is small already: it only breaks ties."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What the games of a tournament say so far of its field of `A` agents, in Elo.

    `elo`: `[A]` and `covariance`: `[A, A]` are of the distance to the mean of all but the anchor:
    how far the whole field stands from the anchor changes no order. `anchor` is the place of the
    agent whose rating is known, None where it does not take part.
    """

    elo: Floats
    covariance: Floats
    anchor: int | None

    @property
    def errors(self) -> Floats:
        """Standard errors `[A]`; the anchor's counts nowhere and is 0."""
        found: Floats = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        if self.anchor is not None:
            found[self.anchor] = 0.0
        return found

    def settled(self, target_elo: float = TARGET_ELO) -> bool:
        """Tell whether every error is below the target."""
        return bool(self.errors.max(initial=0.0) < target_elo)


def estimate(outcomes: Outcomes, agents: int, *, anchor: int | None = None) -> Estimate:
    """Fit the games of a tournament; all agents are connected by games or by one virtual draw.

    One virtual game of an agent against itself for each winning seat keeps the seats' effects
    finite, so any number of games will do.
    """
    fixed = 0 if anchor is None else anchor
    outcomes = _with_own_games(outcomes, fixed)
    drawn = [(place, fixed) for place in range(agents) if place != fixed]
    found = maximise(
        outcomes,
        agents=agents,
        fixed=np.array([fixed], dtype=np.int64),
        draws=Draws(pairs=np.array(drawn, dtype=np.int64), weight=PRIOR_DRAWS),
    )
    counted = np.array([place for place in range(agents) if place != anchor])
    centre = np.eye(agents)
    centre[:, counted] -= 1.0 / len(counted)
    return Estimate(
        elo=ELO * (centre @ found.theta),
        covariance=ELO**2 * (centre @ found.inverse[:agents, :agents] @ centre.T),
        anchor=anchor,
    )


def _with_own_games(outcomes: Outcomes, agent: int) -> Outcomes:
    players = outcomes.players
    ranks = np.where(np.eye(players, dtype=bool), 1, 2).astype(np.int64)
    block = int(outcomes.blocks.max(initial=-1)) + 1
    return replace(
        outcomes,
        seats=np.vstack([outcomes.seats, np.full((players, players), agent, dtype=np.int64)]),
        ranks=np.vstack([outcomes.ranks, ranks]),
        blocks=np.concatenate([outcomes.blocks, np.full(players, block, dtype=np.int64)]),
    )


def round_robin(agents: int, players: int) -> list[Group]:
    """Return groups in which every two agents meet: every pair, or few groups of N.

    The first ones connect the whole field.
    """
    if agents <= players:
        return [tuple(range(agents))]
    found = chain(agents, players)
    missing = set(combinations(range(agents), 2))
    for group in found:
        missing -= set(combinations(group, 2))
    while missing:
        group = max(
            combinations(range(agents), players),
            key=lambda g: sum(pair in missing for pair in combinations(g, 2)),
        )
        found.append(group)
        missing -= set(combinations(group, 2))
    return found


def chain(agents: int, players: int) -> list[Group]:
    """Return groups of neighbours in the field, each with one agent of the group before it."""
    if agents <= players:
        return [tuple(range(agents))]
    starts = range(0, agents - 1, players - 1)
    return [
        tuple(range(min(start, agents - players), min(start, agents - players) + players))
        for start in starts
    ]


def next_groups(
    found: Estimate,
    *,
    players: int,
    games: int,
    reach_elo: float = REACH_ELO,
    target_elo: float = TARGET_ELO,
) -> list[Group]:
    """Return the groups of the next round: one for about every N agents.

    Agents meet who lie within `reach_elo` of each other or are neighbours by rating; in games of
    more than two players those next to each other by rating. Each choice is the one whose `games`
    games take most from the squared errors that are still too large: with p the expected score and
    V the covariance, a game has the information `w = p(1-p)` about `d = theta_a - theta_b` and takes
    `w Cov(i, d)^2 / (1 + w Var(d))` from the variance of agent i. With independent errors that is
    `p(1-p)(se_a^2 + se_b^2)` to first order; neighbours' errors are not independent, and without
    their covariance the errors that a whole group shares never fall.
    """
    agents = len(found.elo)
    if agents <= players:
        return [tuple(range(agents))]
    order = [int(place) for place in np.argsort(found.elo, kind="stable")]
    candidates = _candidates(found.elo, order, players, reach_elo)
    gaps = found.elo[:, None] - found.elo[None, :]
    expected = 1.0 / (1.0 + np.power(10.0, -gaps / 400.0))
    information = games * expected * (1.0 - expected) / ELO**2
    covariance = found.covariance.copy()
    chosen: list[Group] = []
    for _ in range(-(-agents // players)):
        gains = _gains(covariance, information, found.anchor, target_elo)
        group = max(
            candidates, key=lambda g: sum(float(gains[pair]) for pair in combinations(g, 2))
        )
        chosen.append(group)
        for one, other in combinations(group, 2):
            covariance = _after(covariance, one, other, float(information[one, other]))
    return chosen


def _candidates(elo: Floats, order: Sequence[int], players: int, reach_elo: float) -> list[Group]:
    near = [tuple(sorted(order[k : k + players])) for k in range(len(order) - players + 1)]
    if players > 2:
        return near
    reached = [
        pair
        for pair in combinations(range(len(order)), 2)
        if abs(float(elo[pair[0]] - elo[pair[1]])) <= reach_elo
    ]
    return sorted({*near, *reached})


def _gains(
    covariance: Floats, information: Floats, anchor: int | None, target_elo: float
) -> Floats:
    """Return what a meeting of each two agents takes from the squared errors above the target."""
    own = np.diag(covariance)
    weights = np.where(own > target_elo**2, 1.0, _SETTLED)
    if anchor is not None:
        weights[anchor] = _SETTLED
    squares = (covariance * weights[:, None]).T @ covariance
    sizes = np.diag(squares)
    taken = sizes[:, None] + sizes[None, :] - 2.0 * squares
    of_gap = own[:, None] + own[None, :] - 2.0 * covariance
    gains: Floats = information * taken / (1.0 + information * of_gap)
    return gains


def _after(covariance: Floats, one: int, other: int, information: float) -> Floats:
    """Return the covariance after a meeting of two agents."""
    shared = covariance[:, one] - covariance[:, other]
    scale = information / (1.0 + information * float(shared[one] - shared[other]))
    after: Floats = covariance - scale * np.outer(shared, shared)
    return after
