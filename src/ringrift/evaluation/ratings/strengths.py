"""Maximise the likelihood of rankings: Newton's method, covariance, errors by block.

Parameters are the strengths `theta` of `A` agents and `gamma` of `N` seats (sum 0), in natural
logarithms of odds (`evaluation.md` 5). Works on plain arrays and knows no store.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lapack
from scipy.sparse import csr_array

from ringrift.core.errors import DataError
from ringrift.evaluation.ratings.likelihood import Derivatives, Floats, Places, Rankings

SMALLEST_STEP = 1e-9
MOST_STEPS = 100
LEAST_BLOCKS = 20
"""Blocks below which the errors of an agent are those of the inverse Hessian."""
_LARGEST_MOVE = 8.0

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Finished games in order of their ids.

    `seats`: `int64[G, N]` index of the agent in each seat, `ranks`: `int64[G, N]`, 1 for the winner,
    `blocks`: `int64[G]` number of the block of each game.
    """

    seats: Ints
    ranks: Ints
    blocks: Ints

    @property
    def players(self) -> int:
        """Seats of a game."""
        return int(self.seats.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Virtual draws: `pairs`: `int64[D, 2]` of agents, each of the same weight."""

    pairs: Ints
    weight: float

    @classmethod
    def none(cls) -> Draws:
        """Return no draw."""
        return cls(pairs=np.zeros((0, 2), dtype=np.int64), weight=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strengths:
    """A maximum: `theta`: `[A]`, `gamma`: `[N]`, and how sure they are.

    With T: `[A + N, P]` from the free parameters to agents, then seats, `inverse` is `T H⁻¹ Tᵀ`,
    `solved` is `T H⁻¹` and `robust` is `T H⁻¹ sum_b g_b g_bᵀ` over blocks; rows of fixed agents are 0.
    `blocks`: `int64[A]` in which an agent sat, `all_blocks` of all games.
    """

    theta: Floats
    gamma: Floats
    inverse: Floats
    solved: Floats
    robust: Floats
    blocks: Ints
    all_blocks: int
    value: float
    steps: int

    def by_blocks(self, agent: int) -> bool:
        """Tell whether an agent is in enough blocks for errors by block."""
        return bool(self.blocks[agent] >= LEAST_BLOCKS)

    def variance(self, agent: int) -> float:
        """Return the variance of an agent's strength."""
        return self._covariance(agent, agent, by_blocks=self.by_blocks(agent))

    def variance_of_seat(self, seat: int) -> float:
        """Return the variance of the effect of a seat, from 0."""
        place = len(self.theta) + seat
        return self._covariance(place, place, by_blocks=self.all_blocks >= LEAST_BLOCKS)

    def variance_of_difference(self, one: int, other: int) -> float:
        """Return the variance of `theta_one - theta_other`, from their covariance."""
        robust = self.by_blocks(one) and self.by_blocks(other)
        terms = ((one, one, 1.0), (other, other, 1.0), (one, other, -2.0))
        return max(0.0, sum(f * self._covariance(a, b, by_blocks=robust) for a, b, f in terms))

    def _covariance(self, one: int, other: int, *, by_blocks: bool) -> float:
        if by_blocks:
            return float(self.robust[one] @ self.solved[other])
        return float(self.inverse[one, other])


def maximise(
    outcomes: Outcomes, *, agents: int, fixed: Ints, draws: Draws, places: Places = "full"
) -> Strengths:
    """Return the strengths of greatest likelihood, those of `fixed` agents being 0.

    Every agent must be connected to a fixed one by games or draws; else the maximum does not exist
    and `DataError` is raised. Where one seat has won so much that its effect has no bound, as in
    the first few games, every two seats have a virtual draw as well.
    """
    problem = _Problem(outcomes, agents=agents, fixed=fixed, draws=draws, places=places)
    try:
        return _maximum(problem)
    except DataError:
        if draws.weight <= 0.0:
            raise
    problem.seat_weight = draws.weight
    return _maximum(problem)


def _maximum(problem: _Problem) -> Strengths:
    """Climb to the maximum by Newton's method; raises `DataError` where there is none."""
    point = np.zeros(problem.size)
    for number in range(1, MOST_STEPS + 1):
        value, slope, bend, found = problem.at(point)
        factor = _factor(bend)
        step = cho_solve(factor, slope)
        if float(np.abs(step).max(initial=0.0)) < SMALLEST_STEP:
            return problem.strengths(point, value, _inverse(factor[0]), found, number)
        point = _moved(problem, point, step, value)
    raise _open_strengths()


def _moved(problem: _Problem, point: Floats, step: Floats, value: float) -> Floats:
    """Return the point after a step, shortened until the likelihood does not fall."""
    largest = float(np.abs(step).max())
    scale = min(1.0, _LARGEST_MOVE / largest)
    while scale * largest > SMALLEST_STEP:
        moved: Floats = point + scale * step
        if problem.value(moved) >= value - 1e-12 * abs(value):
            return moved
        scale /= 2.0
    return point + scale * step


def _factor(matrix: Floats) -> tuple[Floats, bool]:
    try:
        factor: tuple[Floats, bool] = cho_factor(matrix, lower=True)
    except LinAlgError:
        raise _open_strengths() from None
    return factor


def _open_strengths() -> DataError:
    return DataError(
        "the games leave the strength of an agent open", hint="rating.prior_draws above 0"
    )


def _inverse(factor: Floats) -> Floats:
    """Return the inverse of a matrix from its lower Cholesky factor."""
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    found: Floats = lower + np.tril(lower, -1).T
    return found


class _Problem:
    """The likelihood as a function of the free parameters: unfixed agents, then N - 1 seats.

    `seat_weight` is that of virtual draws between every two seats.
    """

    def __init__(
        self, outcomes: Outcomes, *, agents: int, fixed: Ints, draws: Draws, places: Places
    ) -> None:
        self._outcomes = outcomes
        self._agents = agents
        self._draws = draws
        self.seat_weight = 0.0
        self._rankings = Rankings(outcomes.ranks, places)
        players = outcomes.players
        free = np.setdiff1d(np.arange(agents), fixed)
        self._free = np.concatenate([free, agents + np.arange(players - 1)])
        self.size = len(self._free)
        # the last seat's effect is minus the sum of the others'
        self._seat_map = np.vstack([np.eye(players - 1), -np.ones(players - 1)])

    def _spread(self, point: Floats) -> tuple[Floats, Floats]:
        """Return (theta, gamma) of a point."""
        whole = np.zeros(self._agents + self._outcomes.players - 1)
        whole[self._free] = point
        return whole[: self._agents], self._seat_map @ whole[self._agents :]

    def value(self, point: Floats) -> float:
        """Return the log-likelihood, virtual draws included."""
        theta, gamma = self._spread(point)
        total = self._rankings.value(theta[self._outcomes.seats] + gamma)
        if len(self._draws.pairs):
            gaps = theta[self._draws.pairs[:, 0]] - theta[self._draws.pairs[:, 1]]
            total -= self._draws.weight * float(np.sum(np.logaddexp(gaps / 2.0, -gaps / 2.0)))
        return total + self._seat_draws(gamma)[0]

    def at(self, point: Floats) -> tuple[float, Floats, Floats, Derivatives]:
        """Return value, gradient, negative Hessian, and the derivatives of the games alone."""
        theta, gamma = self._spread(point)
        found = self._rankings.derivatives(theta[self._outcomes.seats] + gamma)
        slope, bend = self._gathered(found)
        total = found.value + self._add_draws(theta, slope, bend)
        value, seat_slope, seat_bend = self._seat_draws(gamma)
        total += value
        slope[self._agents :] += seat_slope @ self._seat_map
        bend[self._agents :, self._agents :] += self._seat_map.T @ seat_bend @ self._seat_map
        return total, slope[self._free], bend[np.ix_(self._free, self._free)], found

    def _gathered(self, found: Derivatives) -> tuple[Floats, Floats]:
        """Sum derivatives by seat into those by agents and seat effects, games in their order."""
        seats, agents, players = self._outcomes.seats, self._agents, self._outcomes.players
        slope = np.concatenate(
            [
                np.bincount(seats.ravel(), found.gradient.ravel(), minlength=agents),
                found.gradient.sum(axis=0) @ self._seat_map,
            ]
        )
        bend = np.zeros((agents + players - 1, agents + players - 1))
        upper, lower = np.triu_indices(players, 1)
        pairs = (seats[:, upper] * agents + seats[:, lower]).ravel()
        entries = found.hessian[:, upper, lower].ravel()
        half = np.bincount(pairs, entries, minlength=agents * agents).reshape(agents, agents)
        own = found.hessian[:, range(players), range(players)]
        bend[:agents, :agents] = half + half.T
        bend[range(agents), range(agents)] += np.bincount(
            seats.ravel(), own.ravel(), minlength=agents
        )
        mixed = found.hessian @ self._seat_map
        for seat in range(players - 1):
            column = np.bincount(seats.ravel(), mixed[:, :, seat].ravel(), minlength=agents)
            bend[:agents, agents + seat] = bend[agents + seat, :agents] = column
        bend[agents:, agents:] = self._seat_map.T @ found.hessian.sum(axis=0) @ self._seat_map
        return slope, bend

    def _add_draws(self, theta: Floats, slope: Floats, bend: Floats) -> float:
        """Add the virtual draws to gradient and Hessian; return their log-likelihood."""
        one, other = self._draws.pairs[:, 0], self._draws.pairs[:, 1]
        gaps, weight = theta[one] - theta[other], self._draws.weight
        half = np.tanh(gaps / 2.0) / 2.0  # sigma(gap) - 1/2
        np.add.at(slope, one, -weight * half)
        np.add.at(slope, other, weight * half)
        curve = weight * (0.25 - half**2)
        np.add.at(bend, (one, one), curve)
        np.add.at(bend, (other, other), curve)
        np.add.at(bend, (one, other), -curve)
        np.add.at(bend, (other, one), -curve)
        return -weight * float(np.sum(np.logaddexp(gaps / 2.0, -gaps / 2.0)))

    def _seat_draws(self, gamma: Floats) -> tuple[float, Floats, Floats]:
        """Return value, gradient `[N]` and negative Hessian `[N, N]` of the draws between seats."""
        gaps = gamma[:, None] - gamma[None, :]
        half = np.tanh(gaps / 2.0) / 2.0
        curve = 0.25 - half**2
        value = -float(np.triu(np.logaddexp(gaps / 2.0, -gaps / 2.0), 1).sum())
        slope = -half.sum(axis=1)
        bend = np.diag(curve.sum(axis=1)) - curve
        weight = self.seat_weight
        return weight * value, weight * slope, weight * bend

    def strengths(
        self, point: Floats, value: float, inverse: Floats, found: Derivatives, steps: int
    ) -> Strengths:
        """Return the maximum with its covariances."""
        theta, gamma = self._spread(point)
        scores = self._block_scores(found)
        solved = self._rows(inverse)
        return Strengths(
            theta=theta,
            gamma=gamma,
            inverse=self._rows(solved.T),
            solved=solved,
            robust=solved @ (scores.T @ scores).toarray(),
            blocks=self._blocks_of_agents(),
            all_blocks=len(np.unique(self._outcomes.blocks)),
            value=value,
            steps=steps,
        )

    def _block_scores(self, found: Derivatives) -> csr_array:
        """Return the gradient of each block by the free parameters: sparse `[B, size]`."""
        seats, blocks, players = self._outcomes.seats, self._outcomes.blocks, self._outcomes.players
        place = np.full(self._agents + players - 1, -1, dtype=np.int64)
        place[self._free] = np.arange(self.size)
        effects = self._agents + np.arange(players - 1)
        columns = np.concatenate([place[seats].ravel(), np.tile(place[effects], len(seats))])
        values = np.concatenate([found.gradient.ravel(), (found.gradient @ self._seat_map).ravel()])
        rows = np.concatenate([np.repeat(blocks, players), np.repeat(blocks, players - 1)])
        kept = columns >= 0
        shape = (int(blocks.max(initial=-1)) + 1, self.size)
        return csr_array((values[kept], (rows[kept], columns[kept])), shape=shape)

    def _blocks_of_agents(self) -> Ints:
        rows = np.repeat(self._outcomes.blocks, self._outcomes.players)
        columns = self._outcomes.seats.ravel()
        shape = (int(rows.max(initial=-1)) + 1, self._agents)
        met = csr_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=shape)
        return np.bincount(met.indices, minlength=self._agents)

    def _rows(self, matrix: Floats) -> Floats:
        """Return rows by free parameters as rows by all agents and all seats."""
        agents, players = self._agents, self._outcomes.players
        free = self.size - (players - 1)
        made = np.zeros((agents + players, matrix.shape[1]))
        made[self._free[:free]] = matrix[:free]
        made[agents:] = self._seat_map @ matrix[free:]
        return made
