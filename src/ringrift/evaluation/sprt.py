"""Decide between two Elo differences while blocks of games arrive (`evaluation.md` 4).

Generalised sequential probability ratio test on the expected score: the likelihood of block scores
is maximised under each hypothesis [M. Van den Bergh, support_MLE_multinomial.pdf, Prop. 1.1; Wald
1945]. Two players: blocks are pairs of games, block scores the pentanomial 0, 1/4, ..., 1. Others:
block scores 0, 1/N, ..., 1. A block with a capped game may have another score, which gets its cell.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

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

    `min_games` and `max_games` bound when the test may end, rounded up to whole blocks.
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

    def verdict(self, llr: float, games: int, most_games: int | None = None) -> Verdict | None:
        """Return what a ratio after whole blocks says; `None` where another block is played.

        The cap is `most_games` where that is smaller than the test's own.
        """
        cap = min(self.max_games, most_games or self.max_games)
        low, high = self.bounds
        if games < min(self.min_games, cap):
            return None
        if llr >= high:
            return "accept"
        if llr <= low:
            return "reject"
        return "inconclusive" if games >= cap else None

    def start(self, players: int, most_games: int | None = None) -> RunningTest:
        """Return the test before its first block."""
        return RunningTest(self, players, most_games)

    def as_tree(self) -> dict[str, Any]:
        """Return what a plan keeps of the test."""
        return {"kind": "sprt", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Say where a test stands after some whole blocks; `verdict` is `None` while it goes on.

    `llr` and its `bounds` are `None` for a test that has none.
    """

    blocks: int
    games: int
    llr: float | None
    bounds: tuple[float, float] | None
    verdict: Verdict | None

    @property
    def reason(self) -> str:
        """One sentence of why the test stands where it does."""
        assert self.llr is not None
        assert self.bounds is not None
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


def on_grid(score: float | Fraction, players: int) -> Fraction:
    """Return a block score as the fraction that it is: sums of 0, 1 and 1/N over N games."""
    return Fraction(score).limit_denominator(4 * players * players)


def tally(scores: Iterable[float | Fraction], players: int) -> dict[Fraction, int]:
    """Count block scores on the grid; another value (a capped game's) gets a cell of its own."""
    counts: Counter[Fraction] = Counter(dict.fromkeys(cells(players), 0))
    for score in scores:
        counts[on_grid(score, players)] += 1
    return dict(sorted(counts.items()))


def maximum_likelihood(
    shares: Sequence[float], values: Sequence[float], mean: float
) -> tuple[float, ...]:
    """Return the distribution over `values` nearest in likelihood to `shares` with that `mean`.

    `p_i / (1 + x (a_i - s))` with the x that makes the mean right (Prop. 1.1); all shares are
    positive and the mean lies inside the values.
    """
    distances = [value - mean for value in values]
    pairs = list(zip(shares, distances, strict=True))

    def excess(x: float) -> float:
        total = 0.0
        for share, distance in pairs:
            total += share * distance / (1.0 + x * distance)
        return total

    low, high = -1.0 / max(distances), -1.0 / min(distances)
    x = brentq(excess, low * (1 - _NEAR), high * (1 - _NEAR), xtol=1e-15, rtol=8.9e-16)
    return tuple(share / (1.0 + x * distance) for share, distance in pairs)


def log_likelihood_ratio(
    counts: Mapping[Fraction, int], elo0: float, elo1: float, players: int = 2
) -> float:
    """Return the log-likelihood ratio of H1 over H0 for block counts; 0 without any block."""
    ordered = sorted(counts.items())
    return _ratio(
        [float(cell) for cell, _ in ordered],
        [count for _, count in ordered],
        score_from_elo(elo0, players),
        score_from_elo(elo1, players),
    )


def _ratio(
    values: Sequence[float], counts: Sequence[int], null: float, alternative: float
) -> float:
    """Return the log-likelihood ratio of two expected scores."""
    if not any(counts):
        return 0.0
    weights = [count or EMPTY_CELL for count in counts]
    total = sum(weights)
    shares = [weight / total for weight in weights]
    below = maximum_likelihood(shares, values, null)
    above = maximum_likelihood(shares, values, alternative)
    triples = zip(weights, below, above, strict=True)
    return sum(weight * math.log(b / a) for weight, a, b in triples)


class RunningTest:
    """Follows a test while blocks arrive in plan order; blocks after the verdict change nothing.

    The cap is `most_games` where that is smaller than the test's own.
    """

    def __init__(self, test: SequentialTest, players: int, most_games: int | None = None) -> None:
        self._test = test
        self._players = players
        self._most_games = most_games
        self._means = tuple(score_from_elo(elo, players) for elo in (test.elo0, test.elo1))
        self._values = [float(cell) for cell in cells(players)]
        self._counts = [0] * len(self._values)
        self._places: dict[float | Fraction, int] = {
            cell: place for place, cell in enumerate(cells(players))
        }
        self.standing = Standing(blocks=0, games=0, llr=0.0, bounds=test.bounds, verdict=None)

    def add(self, score: float | Fraction) -> Standing:
        """Take the score of the next block and return where the test stands."""
        before = self.standing
        if before.verdict is not None:
            return before
        self._counts[self._place(score)] += 1
        games = before.games + self._players
        llr = _ratio(self._values, self._counts, *self._means)
        self.standing = Standing(
            blocks=before.blocks + 1,
            games=games,
            llr=llr,
            bounds=self._test.bounds,
            verdict=self._test.verdict(llr, games, self._most_games),
        )
        return self.standing

    def _place(self, score: float | Fraction) -> int:
        """Return the cell of a score; one that never occurred before is appended."""
        if score in self._places:
            return self._places[score]
        cell = on_grid(score, self._players)
        if cell not in self._places:
            self._places[cell] = len(self._values)
            self._values.append(float(cell))
            self._counts.append(0)
        self._places[score] = self._places[cell]
        return self._places[cell]


def judge(
    test: SequentialTest, block_scores: Sequence[float | Fraction], players: int = 2
) -> Standing:
    """Return where a test stands after blocks in plan order; those after the verdict count nothing."""
    running = RunningTest(test, players)
    for score in block_scores:
        if running.add(score).verdict is not None:
            break
    return running.standing
