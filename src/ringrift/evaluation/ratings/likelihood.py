"""Log-likelihood of rankings under Plackett-Luce, exact gradient and Hessian (`evaluation.md` 5).

`G` games of `N` seats. The strength of a seat is `eta = theta_agent + gamma_seat`; a game is ranked
in stages, each taking the next of those that remain: `eta_next - ln sum_{remaining} e^eta`
[Luce 1959; Plackett 1975]. Shared ranks take the mean over the orders that they leave open.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = Literal["full", "winner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One choice of a ranking: seat `chosen` before all others of `remaining`."""

    chosen: int
    remaining: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derivatives:
    """Derivatives by the strengths of the seats of each game.

    `value` is the sum over all games, `gradient`: `[G, N]`, `hessian`: `[G, N, N]` that of the
    negative log-likelihood.
    """

    value: float
    gradient: Floats
    hessian: Floats


@lru_cache(maxsize=1024)
def stages(ranks: tuple[int, ...], places: Places = "full") -> tuple[Stage, ...]:
    """Return the choices that a ranking consists of; `winner` keeps the first alone."""
    groups = [
        [seat for seat, rank in enumerate(ranks) if rank == wanted] for wanted in sorted(set(ranks))
    ]
    orders = [
        [seat for part in parts for seat in part]
        for parts in product(*(permutations(group) for group in groups))
    ]
    weights: defaultdict[tuple[int, tuple[int, ...]], float] = defaultdict(float)
    for order in orders:
        last = 1 if places == "winner" else len(order) - 1
        for place in range(last):
            weights[order[place], tuple(sorted(order[place:]))] += 1.0 / len(orders)
    return tuple(
        Stage(chosen=chosen, remaining=remaining, weight=weight)
        for (chosen, remaining), weight in sorted(weights.items())
    )


class Rankings:
    """The rankings of games, laid out once for all evaluations.

    `ranks`: `int[G, N]`, 1 for the winner. Seats are put in order of rank, so that all games without
    shared ranks have the same stages.
    """

    def __init__(self, ranks: NDArray[np.integer], places: Places) -> None:
        self._order = np.argsort(ranks, axis=1, kind="stable")
        self._back = np.argsort(self._order, axis=1, kind="stable")
        patterns, which = np.unique(
            np.take_along_axis(ranks, self._order, axis=1), axis=0, return_inverse=True
        )
        self._groups = [
            (
                np.flatnonzero(which.reshape(-1) == number),
                stages(tuple(map(int, pattern)), places),
            )
            for number, pattern in enumerate(patterns)
        ]

    def value(self, strengths: Floats) -> float:
        """Return the log-likelihood of strengths `[G, N]`."""
        ordered = np.take_along_axis(strengths, self._order, axis=1)
        total = 0.0
        for games, found in self._groups:
            eta = ordered[games]
            for stage in found:
                chosen, logs = eta[:, stage.chosen], _log_sum(eta[:, stage.remaining])
                total += stage.weight * float(np.sum(chosen - logs))
        return total

    def derivatives(self, strengths: Floats) -> Derivatives:
        """Return value, gradient and Hessian at strengths `[G, N]`."""
        ordered = np.take_along_axis(strengths, self._order, axis=1)
        count, players = ordered.shape
        gradient, hessian = np.zeros((count, players)), np.zeros((count, players, players))
        total = 0.0
        for games, found in self._groups:
            value, gradient[games], hessian[games] = _of_pattern(ordered[games], found)
            total += value
        rows = np.arange(count)[:, None, None]
        return Derivatives(
            value=total,
            gradient=np.take_along_axis(gradient, self._back, axis=1),
            hessian=hessian[rows, self._back[:, :, None], self._back[:, None, :]],
        )


def _of_pattern(eta: Floats, found: tuple[Stage, ...]) -> tuple[float, Floats, Floats]:
    """Return value, gradient and Hessian of games with the same stages."""
    count, players = eta.shape
    slope, bend = np.zeros((count, players)), np.zeros((count, players, players))
    total = 0.0
    for stage in found:
        seats = list(stage.remaining)
        logs = _log_sum(eta[:, seats])
        total += stage.weight * float(np.sum(eta[:, stage.chosen] - logs))
        shares = np.exp(eta[:, seats] - logs[:, None])
        slope[:, stage.chosen] += stage.weight
        slope[:, seats] -= stage.weight * shares
        for place, seat in enumerate(seats):
            bend[:, seat, seat] += stage.weight * shares[:, place]
            for other_place, other in enumerate(seats):
                bend[:, seat, other] -= stage.weight * shares[:, place] * shares[:, other_place]
    return total, slope, bend


def _log_sum(eta: Floats) -> Floats:
    """Return `ln sum e^eta` of each row."""
    most = eta.max(axis=1)
    found: Floats = most + np.log(np.exp(eta - most[:, None]).sum(axis=1))
    return found
