"""Who met whom, how it went, and whether the fit explains it (`evaluation.md` 5).

A pairing counts the orders of two agents' seats. Under Plackett-Luce the order of two seats depends
on their strengths alone, whoever else plays, so observed and fitted orders compare in any lineup.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaincc

from ringrift.evaluation.ratings.fit import Fit
from ringrift.evaluation.ratings.strengths import Ints

LEAST_GAMES = 20
LARGEST_Z = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Two participants (indices) and their finished games against each other.

    `observed` is the share of orders in which `first` stood above, shared ranks counting one half;
    `fitted` what the ratings expect and `z` their distance in standard deviations, None where one of
    them is not rated.
    """

    first: int
    second: int
    games: int
    observed: float
    fitted: float | None
    z: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitivity:
    """Whether pairings with at least 20 games agree with one number per agent.

    `outliers` have |z| > 3. `chi_square` sums z² over `pairs`; `p` is None without a degree of
    freedom left.
    """

    outliers: tuple[Pairing, ...]
    pairs: int
    chi_square: float
    degrees: int
    p: float | None


def pairings(fit: Fit) -> tuple[Pairing, ...]:
    """Return all pairings of the finished games, in order of the agents."""
    games = fit.games
    seats, ranks = games.seats[games.finished], games.ranks[games.finished]
    count = len(games.participants)
    eta = _strengths(fit, seats)
    keys, sums = _summed(seats, ranks, eta, count)
    return tuple(
        _pairing(int(key), count, *(float(column) for column in row))
        for key, row in zip(keys, sums.T, strict=True)
    )


def transitivity(found: tuple[Pairing, ...]) -> Transitivity:
    """Judge the pairings that have games enough."""
    judged = [p for p in found if p.games >= LEAST_GAMES and p.z is not None]
    total = math.fsum(p.z * p.z for p in judged if p.z is not None)
    degrees = len(judged) - _strengths_used(judged)
    return Transitivity(
        outliers=tuple(p for p in judged if p.z is not None and abs(p.z) > LARGEST_Z),
        pairs=len(judged),
        chi_square=total,
        degrees=max(0, degrees),
        p=float(gammaincc(degrees / 2.0, total / 2.0)) if degrees > 0 else None,
    )


def _strengths(fit: Fit, seats: Ints) -> Floats:
    """Return the fitted strengths of the seats of games, NaN where an agent is not rated."""
    eta = np.full(len(fit.games.participants), np.nan)
    if fit.strengths is None:
        return eta[seats]
    eta[fit.fitted] = fit.strengths.theta
    found: Floats = eta[seats] + fit.strengths.gamma
    return found


def _summed(seats: Ints, ranks: Ints, eta: Floats, count: int) -> tuple[Ints, Floats]:
    """Return the pairings and `[5, P]`: games, orders, observed, expected, variance."""
    places = list(combinations(range(seats.shape[1]), 2))
    parts = [_orders(seats, ranks, eta, count, one, two) for one, two in places]
    keys = np.concatenate([key for key, _ in parts])
    values = np.concatenate([value for _, value in parts], axis=1)
    met = np.sort(np.stack([key for key, _ in parts], axis=1), axis=1)
    new = np.ones_like(met, dtype=bool)
    new[:, 1:] = met[:, 1:] != met[:, :-1]
    further, shared = _covariances(seats, eta, count)
    kinds, which = np.unique(keys[keys >= 0], return_inverse=True)
    games = np.bincount(np.searchsorted(kinds, met[new & (met >= 0)]), minlength=len(kinds)).astype(
        np.float64
    )
    sums = [np.bincount(which, row[keys >= 0], minlength=len(kinds)) for row in values]
    sums[3] += np.bincount(np.searchsorted(kinds, further), shared, minlength=len(kinds))
    return kinds, np.stack([games, *sums])


def _orders(
    seats: Ints, ranks: Ints, eta: Floats, count: int, one: int, two: int
) -> tuple[Ints, Floats]:
    """Return the pairing of two seats in each game, -1 for one agent in both, and its numbers.

    Numbers are `[4, G]`: 1, whether the first agent stood above, its chance, the variance.
    """
    a, b = seats[:, one], seats[:, two]
    above = np.where(ranks[:, one] < ranks[:, two], 1.0, 0.0)
    above[ranks[:, one] == ranks[:, two]] = 0.5
    chance = 1.0 / (1.0 + np.exp(eta[:, two] - eta[:, one]))
    turned = a > b
    keys = np.where(turned, b * count + a, a * count + b)
    keys[a == b] = -1
    values = np.stack(
        [
            np.ones(len(a)),
            np.where(turned, 1.0 - above, above),
            np.where(turned, 1.0 - chance, chance),
            chance * (1.0 - chance),
        ]
    )
    return keys, values


def _covariances(seats: Ints, eta: Floats, count: int) -> tuple[Ints, Floats]:
    """Return pairings and twice the covariances of orders that share a seat.

    Seat i against seats j and k of one agent: `P(i above both) - P(i above j) P(i above k)`. Orders
    without a common seat are independent.
    """
    keys, values = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for i, j, k in _triples(seats.shape[1]):
        rows = (seats[:, j] == seats[:, k]) & (seats[:, i] != seats[:, j])
        a, b = seats[rows, i], seats[rows, j]
        to_j, to_k = np.exp(eta[rows, j] - eta[rows, i]), np.exp(eta[rows, k] - eta[rows, i])
        both = 1.0 / (1.0 + to_j + to_k)
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        values.append(2.0 * (both - 1.0 / ((1.0 + to_j) * (1.0 + to_k))))
    return np.concatenate(keys), np.concatenate(values)


def _triples(players: int) -> Iterator[tuple[int, int, int]]:
    for i in range(players):
        for j, k in combinations([seat for seat in range(players) if seat != i], 2):
            yield i, j, k


def _pairing(
    key: int,
    count: int,
    games: float,
    orders: float,
    observed: float,
    expected: float,
    variance: float,
) -> Pairing:
    rated = math.isfinite(expected)
    spread = math.sqrt(variance) if rated and variance > 0.0 else 0.0
    return Pairing(
        first=key // count,
        second=key % count,
        games=int(games),
        observed=observed / orders,
        fitted=expected / orders if rated else None,
        z=(observed - expected) / spread if spread > 0.0 else None,
    )


def _strengths_used(judged: list[Pairing]) -> int:
    """Return how many strengths the pairings have: agents less one for each group of them."""
    if not judged:
        return 0
    agents = sorted({agent for p in judged for agent in (p.first, p.second)})
    place = {agent: number for number, agent in enumerate(agents)}
    rows = [place[p.first] for p in judged]
    columns = [place[p.second] for p in judged]
    links = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(agents), len(agents)))
    return len(agents) - int(connected_components(links, directed=False)[0])
