"""Link win shares and Elo differences for two and more players (`evaluation.md` 4).

Plackett-Luce: the share of a seat among others grows with `10^(elo/400)` [Luce 1959; Plackett
1975]; for two players it is the usual logistic curve. `EloCalculator` follows games as they stream in, for
display only: what it says depends on their order and goes into no file of ratings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCALE = 400.0
FIRST_GAMES, FIRST_K = 30, 40.0
STRONG, STRONG_K = 2400.0, 16.0
LEAST_DEVIATION, MOST_DEVIATION, LESS_PER_GAME = 50.0, 350.0, 3.0


def expected_score(elo: float, opponent_elo: float) -> float:
    """Return the expected score of one agent against another in games of two players."""
    return score_from_elo(elo - opponent_elo)


def pl_share(elos: Sequence[float]) -> tuple[float, ...]:
    """Return the win share of each seat in a game of agents with these ratings; they add up to 1.

    Raises `ValueError` without a rating.
    """
    if not elos:
        raise ValueError("no ratings; expected at least one")
    top = max(elos)
    strengths = [math.pow(10.0, (elo - top) / SCALE) for elo in elos]
    total = math.fsum(strengths)
    return tuple(strength / total for strength in strengths)


def score_from_elo(elo_diff: float, players: int = 2) -> float:
    """Return the win share of one seat that is `elo_diff` above `players` - 1 equal opponents.

    `1 / (1 + (N-1) 10^(-e/400))`.
    """
    exponent = -elo_diff / SCALE
    if exponent > 300.0:  # the power would not be a float
        return 0.0
    return 1.0 / (1.0 + (players - 1) * math.pow(10.0, exponent))


def elo_from_score(score: float, players: int = 2) -> float:
    """Return the Elo difference of a win share; minus and plus infinity at 0 and 1.

    Raises `ValueError` for a share outside [0, 1].
    """
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"a win share of {score!r}; expected a number from 0 to 1")
    if score == 0.0:
        return -math.inf
    if score == 1.0:
        return math.inf
    return SCALE * math.log10((players - 1) * score / (1.0 - score))


def rate_for_players(rate: float, players: int) -> float:
    """Return the win share among `players` that has the odds of a two-player rate.

    `o = r/(1-r)` becomes `o/(o+N-1)`: 0.70 is .538 for three players and .438 for four.
    """
    if not 0.0 <= rate < 1.0:
        return rate
    odds = rate / (1.0 - rate)
    return odds / (odds + players - 1)


def nelo(mean: float, deviation: float, players: int = 2) -> float | None:
    """Return the normalised Elo of block scores with `mean` and standard `deviation`.

    `c_N (mean - 1/N) / (sqrt(N) sd)` with `c_N = 400 N / (ln 10 sqrt(N-1))`; `None` where the
    scores do not vary [M. Van den Bergh, normalized_elo_practical.pdf].
    """
    if deviation <= 0.0:
        return None
    scale = SCALE * players / (math.log(10.0) * math.sqrt(players - 1))
    return scale * (mean - 1.0 / players) / (math.sqrt(players) * deviation)


def elo_text(elo_diff: float | None, ends: Sequence[float] | None = None) -> str:
    """Return an Elo difference as people read it, with the ends of its interval if given.

    Without a loss it is `> +e` with the lower end, without a win `< -e` with the upper one.
    """
    if elo_diff is None:
        return "unknown"
    if ends is None:
        return f"{elo_diff:+.0f}" if math.isfinite(elo_diff) else "beyond measure"
    low, high = ends
    if math.isinf(low) and math.isinf(high):
        return "beyond measure"
    if math.isinf(high):
        return f"> {low:+.0f}"
    if math.isinf(low):
        return f"< {high:+.0f}"
    return f"{elo_diff:+.0f} [{low:+.0f}, {high:+.0f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class EloRating:
    """What is shown of one player: rating and games so far."""

    player: str
    elo: float
    games: int = 0

    @property
    def deviation(self) -> float:
        """Rough spread in Elo: 350 at first, 3 less with each game, at least 50."""
        return max(LEAST_DEVIATION, MOST_DEVIATION - LESS_PER_GAME * self.games)


class EloCalculator:
    """Keeps ratings for display; `k` holds from 30 games on and below 2400, `initial` for newcomers."""

    def __init__(self, k: float = 32.0, initial: float = 1500.0) -> None:
        self._k = k
        self._initial = initial
        self._ratings: dict[str, EloRating] = {}

    @property
    def ratings(self) -> Mapping[str, EloRating]:
        """Present ratings by player."""
        return dict(self._ratings)

    def rating(self, player: str) -> EloRating:
        """Return a player's rating, the initial one for a newcomer."""
        return self._ratings.get(player) or EloRating(player=player, elo=self._initial)

    def k_of(self, rating: EloRating) -> float:
        """Return how far one game moves a rating."""
        if rating.games < FIRST_GAMES:
            return FIRST_K
        return STRONG_K if rating.elo >= STRONG else self._k

    def add(self, players: Sequence[str], ranks: Sequence[int]) -> tuple[EloRating, ...]:
        """Count one game, 1 being the winner's rank; returns the new ratings.

        Several players count as all pairs, each with K/(N-1); shared ranks are half a point. Raises
        `ValueError` for fewer than two players, one of them twice, or other than one rank each.
        """
        if len(players) < 2 or len(set(players)) != len(players):
            raise ValueError(f"players {list(players)!r}; expected two or more different ones")
        if len(ranks) != len(players):
            raise ValueError(f"{len(ranks)} ranks for {len(players)} players")
        before = [self.rating(player) for player in players]
        change = [0.0] * len(players)
        for one, other in combinations(range(len(players)), 2):
            score = 0.5 if ranks[one] == ranks[other] else float(ranks[one] < ranks[other])
            surprise = score - expected_score(before[one].elo, before[other].elo)
            change[one] += surprise
            change[other] -= surprise
        for rating, change_of in zip(before, change, strict=True):
            step = self.k_of(rating) / (len(players) - 1)
            self._ratings[rating.player] = replace(
                rating, elo=rating.elo + step * change_of, games=rating.games + 1
            )
        return tuple(self._ratings[player] for player in players)
