"""Look at a Wilson interval several times without losing its confidence (`evaluation.md` 4, 7).

A match of at most n_K games is looked at after n_1 < ... < n_K of them. Each look promotes where the
lower bound of the Wilson interval reaches the threshold and rejects where the upper one is below
it. Looking often finds a lucky moment, so the quantile z is larger than for one look: the
smallest of 2.00, 2.01, ... with which an agent exactly at the threshold is ever promoted with
probability (1 - confidence) / 2 at most. Probabilities are exact for independent games, by the
binomial recursion over looks.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.intervals import Interval, wilson_at
from ringrift.evaluation.chances import Chances, Ended
from ringrift.evaluation.elo import rate_for_players
from ringrift.evaluation.intervals import design_effect
from ringrift.evaluation.sprt import Standing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

STEP_GAMES = 20
LEAST_Z = 200  # hundredths
MOST_Z = 1000

Decision = Literal["promote", "reject", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Say what a look found after `games`: score, interval, and what was decided, if anything."""

    games: int
    score: float
    interval: Interval
    decision: Decision | None

    def as_tree(self) -> dict[str, Any]:
        """Return the look as it is published."""
        return {
            "games": self.games,
            "score": self.score,
            "interval": [self.interval.low, self.interval.high],
            "decision": self.decision,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WilsonStanding(Standing):
    """Say where a group-sequential test stands; `looks` are those already taken."""

    z: float
    threshold: float
    looks: tuple[Look, ...]

    @property
    def reason(self) -> str:
        """One sentence of why the test stands where it does."""
        if not self.looks:
            return f"no look before {self.games} games"
        last = self.looks[-1]
        shown = (
            f"score {last.score:.3f} in [{last.interval.low:.3f}, {last.interval.high:.3f}] at "
            f"threshold {self.threshold:.3f} after {last.games} games"
        )
        return {
            "accept": f"lower bound reached: {shown}",
            "reject": f"upper bound below: {shown}",
            "inconclusive": f"cap reached, neither bound passed: {shown}",
            None: shown,
        }[self.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class WilsonTest:
    """Fix a group-sequential test; `threshold` is a two-player rate, used at equal odds for more."""

    threshold: float = 0.55
    confidence: float = 0.95
    min_games: int = 30
    max_games: int = 200

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < 1.0:
            raise ValueError("threshold must lie between 0 and 1")
        if not 0.5 <= self.confidence < 1.0:
            raise ValueError("confidence must lie between 0.5 and 1")
        if not 0 < self.min_games <= self.max_games:
            raise ValueError("min_games must lie between 1 and max_games")

    def share(self, players: int) -> float:
        """Return the win share that the threshold is among `players`."""
        return rate_for_players(self.threshold, players)

    def looks(self, players: int, most_games: int | None = None) -> tuple[int, ...]:
        """Return the numbers of games after which it is looked, whole blocks each."""

        def whole(games: int) -> int:
            return -(-games // players) * players

        most = self.max_games if most_games is None else min(most_games, self.max_games)
        last = whole(most)
        return (*range(min(whole(self.min_games), last), last, whole(STEP_GAMES)), last)

    def z(self, players: int, most_games: int | None = None) -> float:
        """Return the quantile that every look uses."""
        return _quantile(
            self.looks(players, most_games), self.share(players), (1.0 - self.confidence) / 2.0
        )

    def start(self, players: int, most_games: int | None = None) -> RunningWilson:
        """Return the test before its first block."""
        return RunningWilson(self, players, most_games)

    def as_tree(self) -> dict[str, Any]:
        """Return what a plan keeps of the test."""
        return {"kind": "wilson", **asdict(self)}


class RunningWilson:
    """Follows a test while blocks arrive in plan order; blocks after the verdict change nothing.

    The last look is at `most_games` where that is smaller than the test's own cap.
    """

    def __init__(self, test: WilsonTest, players: int, most_games: int | None = None) -> None:
        self._players = players
        self._looks = test.looks(players, most_games)
        self._scores: list[float] = []
        self.standing = WilsonStanding(
            blocks=0,
            games=0,
            llr=None,
            bounds=None,
            verdict=None,
            z=test.z(players, most_games),
            threshold=test.share(players),
            looks=(),
        )

    def add(self, score: float | Fraction) -> WilsonStanding:
        """Take the score of the next block and return where the test stands."""
        before = self.standing
        if before.verdict is not None:
            return before
        self._scores.append(float(score))
        games = before.games + self._players
        looks = before.looks
        if games in self._looks:
            looks = (*looks, self._look(games))
        decided = looks[-1].decision if looks else None
        self.standing = WilsonStanding(
            blocks=before.blocks + 1,
            games=games,
            llr=None,
            bounds=None,
            verdict="accept" if decided == "promote" else decided,
            z=before.z,
            threshold=before.threshold,
            looks=looks,
        )
        return self.standing

    def _look(self, games: int) -> Look:
        share = min(1.0, math.fsum(self._scores) / len(self._scores))
        effective = games / design_effect(self._scores, self._players)
        interval = wilson_at(share, effective, self.standing.z)
        decision = decide(interval, self.standing.threshold)
        if decision is None and games == self._looks[-1]:
            decision = "inconclusive"
        return Look(games=games, score=share, interval=interval, decision=decision)


def decide(interval: Interval, threshold: float) -> Decision | None:
    """Return what an interval says about a threshold; `None` where it holds both sides of it."""
    if interval.low >= threshold:
        return "promote"
    return "reject" if interval.high < threshold else None


def wilson_chances(test: WilsonTest, share: float, players: int = 2) -> Chances:
    """Return what becomes of an agent whose games are independent and won with `share`; exact."""
    import numpy as np

    looks, z, threshold = test.looks(players), test.z(players), test.share(players)
    alive = np.ones(1)
    ended: list[Ended] = []
    before = 0
    for games in looks:
        alive = np.convolve(alive, _binomial(games - before, share))
        up, down = _boundaries(games, z, threshold)
        ended.append(Ended(games, float(alive[up:].sum()), float(alive[:down].sum())))
        alive[up:] = 0.0
        alive[:down] = 0.0
        before = games
    return Chances.of(ended, cap=looks[-1])


@lru_cache(maxsize=64)
def _quantile(looks: tuple[int, ...], threshold: float, most: float) -> float:
    for hundredths in range(LEAST_Z, MOST_Z):
        if _ever_promoted(looks, hundredths / 100.0, threshold) <= most:
            return hundredths / 100.0
    raise ValueError("no quantile below 10 keeps the confidence; expected one below 1")


def _ever_promoted(looks: tuple[int, ...], z: float, share: float) -> float:
    """Return the probability that the lower bound ever reaches `share`, which is the true rate."""
    import numpy as np

    alive, before, promoted = np.ones(1), 0, 0.0
    for games in looks:
        alive = np.convolve(alive, _binomial(games - before, share))
        up, _ = _boundaries(games, z, share)
        promoted += float(alive[up:].sum())
        alive[up:] = 0.0
        before = games
    return promoted


def _boundaries(games: int, z: float, threshold: float) -> tuple[int, int]:
    """Return the least wins that promote (`games` + 1 for none) and the least that do not reject."""
    decisions = [decide(wilson_at(w / games, games, z), threshold) for w in range(games + 1)]
    up = next((w for w, found in enumerate(decisions) if found == "promote"), games + 1)
    down = next((w for w, found in enumerate(decisions) if found != "reject"), games + 1)
    return up, down


@lru_cache(maxsize=256)
def _binomial(games: int, share: float) -> npt.NDArray[np.float64]:
    """Return the probabilities of 0, ..., `games` wins."""
    from scipy.stats import binom

    found: npt.NDArray[np.float64] = binom.pmf(range(games + 1), games, share)
    return found
