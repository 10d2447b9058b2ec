"""Decide between two Elo differences while blocks of games arrive (`evaluation.md` 4).

Generalised sequential probability ratio test on the expected score: the likelihood of block scores
is maximised under each hypothesis [M. Van den Bergh, support_MLE_multinomial.pdf, Prop. 1.1; Wald
1945]. Two players: blocks are pairs of games, block scores the pentanomial 0, 1/4, ..., 1.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from scipy.optimize import brentq

from ringrift.evaluation.elo import score_from_elo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

EMPTY_CELL = 1e-3
_NEAR = 1e-14

Verdict = Literal["accept", "reject", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialTest:
    """Fix a test before its first game: H0 `elo0` against H1 `elo1`, errors and games.

    `min_games` and `max_games` bound when the test may end; games come in whole blocks.
    """

    elo0: float = 0.0
    elo1: float = 20.0
    alpha: float = 0.05
    beta: float = 0.05
    min_games: int = 40
    max_games: int = 800

    def __post_init__(self) -> None:
        if not self.elo0 < self.elo1:
            raise ValueError(f"elo0 {self.elo0:g} must be below elo1 {self.elo1:g}")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise ValueError("alpha and beta must lie between 0 and 0.5")
        if not 0 < self.min_games <= self.max_games:
            raise ValueError("min_games must lie between 1 and max_games")

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound of the log-likelihood ratio."""
        return (
            math.log(self.beta / (1.0 - self.alpha)),
            math.log((1.0 - self.beta) / self.alpha),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Say where a test stands after some whole blocks; `verdict` is `None` while it goes on."""

    blocks: int
    games: int
    llr: float
    bounds: tuple[float, float]
    verdict: Verdict | None

    @property
    def reason(self) -> str:
        """One sentence of why the test stands where it does."""
        low, high = self.bounds
        shown = f"LLR {self.llr:+.2f} in [{low:.2f}, {high:.2f}] after {self.games} games"
        return {
            "accept": f"H1 accepted: {shown}",
            "reject": f"H0 accepted: {shown}",
            "inconclusive": f"cap reached: {shown}",
            None: shown,
        }[self.verdict]


def cells(players: int) -> tuple[Fraction, ...]:
    """Return the fixed grid of block scores: five values for two players, else 0, 1/N, ..., 1."""
    steps = 4 if players == 2 else players
    return tuple(Fraction(k, steps) for k in range(steps + 1))


def tally(scores: Iterable[float | Fraction], players: int) -> dict[Fraction, int]:
    """Count block scores on the grid; another value (a capped game's) gets a cell of its own."""
    counts: Counter[Fraction] = Counter(dict.fromkeys(cells(players), 0))
    for score in scores:
        counts[Fraction(score).limit_denominator(4 * players * players)] += 1
    return dict(sorted(counts.items()))


def maximum_likelihood(
    shares: Sequence[float], values: Sequence[float], mean: float
) -> tuple[float, ...]:
    """Return the distribution over `values` nearest in likelihood to `shares` with that `mean`.

    `p_i / (1 + x (a_i - s))` with the x that makes the mean right (Prop. 1.1); all shares are
    positive and the mean lies inside the values.
    """
    distances = [value - mean for value in values]

    def excess(x: float) -> float:
        pairs = zip(shares, distances, strict=True)
        return sum(share * d / (1.0 + x * d) for share, d in pairs)

    low, high = -1.0 / max(distances), -1.0 / min(distances)
    x = brentq(excess, low * (1 - _NEAR), high * (1 - _NEAR), xtol=1e-15, rtol=8.9e-16)
    return tuple(share / (1.0 + x * d) for share, d in zip(shares, distances, strict=True))


def log_likelihood_ratio(
    counts: Mapping[Fraction, int], elo0: float, elo1: float, players: int = 2
) -> float:
    """Return the log-likelihood ratio of H1 over H0 for block counts; 0 without any block."""
    if not any(counts.values()):
        return 0.0
    weights = [max(float(counts[cell]), EMPTY_CELL) for cell in sorted(counts)]
    values = [float(cell) for cell in sorted(counts)]
    total = sum(weights)
    shares = [weight / total for weight in weights]
    null = maximum_likelihood(shares, values, score_from_elo(elo0, players))
    alternative = maximum_likelihood(shares, values, score_from_elo(elo1, players))
    triples = zip(weights, null, alternative, strict=True)
    return sum(weight * math.log(b / a) for weight, a, b in triples)


def judge(
    test: SequentialTest, block_scores: Sequence[float | Fraction], players: int = 2
) -> Standing:
    """Look at the test after each complete block, in order, until it says stop.

    Blocks after the verdict are left out: `blocks` and `games` count those that decided.
    """
    low, high = test.bounds
    counts: dict[Fraction, int] = dict.fromkeys(cells(players), 0)
    llr = 0.0
    for number, score in enumerate(block_scores, start=1):
        key = Fraction(score).limit_denominator(4 * players * players)
        counts[key] = counts.get(key, 0) + 1
        games = number * players
        if games < test.min_games:
            continue
        llr = log_likelihood_ratio(counts, test.elo0, test.elo1, players)
        verdict: Verdict | None = None
        if llr >= high:
            verdict = "accept"
        elif llr <= low:
            verdict = "reject"
        elif games + players > test.max_games:
            verdict = "inconclusive"
        if verdict is not None:
            return Standing(
                blocks=number, games=games, llr=llr, bounds=(low, high), verdict=verdict
            )
    blocks = len(block_scores)
    if 0 < blocks * players < test.min_games:
        llr = log_likelihood_ratio(counts, test.elo0, test.elo1, players)
    return Standing(
        blocks=blocks, games=blocks * players, llr=llr, bounds=(low, high), verdict=None
    )
