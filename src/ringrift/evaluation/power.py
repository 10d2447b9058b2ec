"""How long a sequential test of blocks takes and how it ends at a true Elo (`evaluation.md` 4).

Openings favour seats: the log-odds between two seats vary by `opening_sd` over openings. The
distribution of block scores follows from that and the Elo difference by Gauss-Hermite quadrature.

The test itself is followed block by block on a fine grid of log-likelihood ratios. One thing is
approximated: each score counts as much as under the true distribution of scores, where the real
test takes the distribution seen so far.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from ringrift.evaluation.chances import Chances, Ended
from ringrift.evaluation.elo import SCALE, score_from_elo
from ringrift.evaluation.sprt import EMPTY_CELL, cells, maximum_likelihood

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from ringrift.evaluation.sprt import SequentialTest

OPENING_SD = 0.5
"""Spread of the log-odds between two seats over openings that power is stated for."""
NODES = {2: 24, 3: 12, 4: 8}
STEP = 0.004
LEAST_LEFT = 1e-9


@lru_cache(maxsize=64)
def block_distribution(
    elo: float, players: int = 2, opening_sd: float = OPENING_SD
) -> Mapping[Fraction, float]:
    """Return the probability of each block score of an agent `elo` above equal opponents.

    Two players: pairs; others: the agent once in each seat against copies of one opponent. No game
    is capped.
    """
    import numpy as np

    points, weights = np.polynomial.hermite_e.hermegauss(NODES[players])
    grid = np.array(list(itertools.product(points, repeat=players)))
    chance = np.prod(list(itertools.product(weights / weights.sum(), repeat=players)), axis=1)
    seats = np.exp(grid * opening_sd / math.sqrt(2.0))  # nodes x seats, strengths
    strength = 10.0 ** (elo / SCALE)
    won = strength * seats / (seats.sum(axis=1, keepdims=True) + (strength - 1.0) * seats)
    wins = np.zeros((len(grid), players + 1))  # nodes x wins of a block
    wins[:, 0] = 1.0
    for seat in range(players):
        share = won[:, seat : seat + 1]
        lost = wins * (1.0 - share)
        lost[:, 1:] += wins[:, :-1] * share
        wins = lost
    found = dict.fromkeys(cells(players), 0.0)
    for count, probability in enumerate(chance @ wins):
        found[Fraction(count, players)] = float(probability)
    return found


@lru_cache(maxsize=64)
def sprt_chances(
    test: SequentialTest, elo: float, players: int = 2, opening_sd: float = OPENING_SD
) -> Chances:
    """Return how a sequential test ends for an agent `elo` above its opponent, and after how long."""
    import numpy as np

    steps = _steps(test, elo, players, opening_sd)
    low, high = test.bounds
    first = -(-test.min_games // players)
    last = -(-test.max_games // players)
    margin = first * max(abs(step) for step, _ in steps) + STEP
    count = math.ceil((high - low + 2 * margin) / STEP) + 1
    values = low - margin + STEP * np.arange(count)
    alive = _spread(np.zeros(count), 0.0 - float(values[0]), 1.0)
    accepted, rejected = values >= high, values <= low
    ended: list[Ended] = []
    for block in range(1, last + 1):
        alive = _moved(alive, steps)
        if block < first:
            continue
        ended.append(
            Ended(block * players, float(alive[accepted].sum()), float(alive[rejected].sum()))
        )
        alive[accepted | rejected] = 0.0
        if alive.sum() < LEAST_LEFT:
            break
    return Chances.of(ended, cap=last * players)


def _steps(
    test: SequentialTest, elo: float, players: int, opening_sd: float
) -> list[tuple[float, float]]:
    """Return what each block score adds to the log-likelihood ratio, and its probability."""
    distribution = block_distribution(elo, players, opening_sd)
    values = [float(cell) for cell in distribution]
    shares = [max(chance, EMPTY_CELL / test.max_games) for chance in distribution.values()]
    total = sum(shares)
    shares = [share / total for share in shares]
    null, alternative = (
        maximum_likelihood(shares, values, score_from_elo(bound, players))
        for bound in (test.elo0, test.elo1)
    )
    chances = distribution.values()
    return [
        (math.log(above / below), chance)
        for below, above, chance in zip(null, alternative, chances, strict=True)
        if chance > 0.0
    ]


def _moved(
    alive: npt.NDArray[np.float64], steps: list[tuple[float, float]]
) -> npt.NDArray[np.float64]:
    """Return the distribution after one more block; what leaves the grid stays at its end."""
    import numpy as np

    moved = np.zeros_like(alive)
    for step, chance in steps:
        places, rest = divmod(step / STEP, 1.0)
        for shift, share in ((int(places), 1.0 - rest), (int(places) + 1, rest)):
            _add_shifted(moved, alive, shift, chance * share)
    return moved


def _add_shifted(
    into: npt.NDArray[np.float64], alive: npt.NDArray[np.float64], shift: int, weight: float
) -> None:
    size = len(alive)
    if shift >= 0:
        into[shift:] += weight * alive[: size - shift]
        into[-1] += weight * alive[size - shift :].sum()
    else:
        into[:shift] += weight * alive[-shift:]
        into[0] += weight * alive[:-shift].sum()


def _spread(
    values: npt.NDArray[np.float64], distance: float, weight: float
) -> npt.NDArray[np.float64]:
    """Put a weight at a distance from the first point, shared between its two neighbours."""
    place, rest = divmod(distance / STEP, 1.0)
    values[int(place)] += weight * (1.0 - rest)
    values[int(place) + 1] += weight * rest
    return values
