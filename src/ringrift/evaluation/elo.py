"""Link scores and Elo differences for two and more players (`evaluation.md` 4)."""

from __future__ import annotations

import math

SCALE = 400.0


def score_from_elo(elo_diff: float, players: int = 2) -> float:
    """Return the win share of one seat that is `elo_diff` above `players` - 1 equal opponents.

    Plackett-Luce: `1 / (1 + (N-1) 10^(-e/400))` [Luce 1959; Plackett 1975].
    """
    return 1.0 / (1.0 + (players - 1) * math.pow(10.0, -elo_diff / SCALE))


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


def normalised_elo(mean: float, deviation: float, players: int = 2) -> float | None:
    """Return the normalised Elo of block scores with `mean` and standard `deviation`.

    `c_N (mean - 1/N) / (sqrt(N) sd)` with `c_N = 400 N / (ln 10 sqrt(N-1))`; `None` where the
    scores do not vary.
    """
    if deviation <= 0.0:
        return None
    scale = SCALE * players / (math.log(10.0) * math.sqrt(players - 1))
    return scale * (mean - 1.0 / players) / (math.sqrt(players) * deviation)
