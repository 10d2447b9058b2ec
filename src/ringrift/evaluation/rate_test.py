"""End a match of few games as soon as its outcome is fixed (`evaluation.md` 8).

The outcome is whether the whole match reaches a rate. It is looked at in plan order, after every
complete block: it is fixed once the games left cannot change it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ringrift.evaluation.elo import rate_for_players
from ringrift.evaluation.sprt import Standing

if TYPE_CHECKING:
    from ringrift.evaluation.sprt import Verdict

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStanding(Standing):
    """Say where the match stands; `points` of `most_games` games, `share` is needed of them."""

    points: float
    most_games: int
    share: float

    @property
    def reason(self) -> str:
        """One sentence of why the match stands where it does."""
        shown = (
            f"{self.points:g} points in {self.games} of {self.most_games} games; "
            f"{self.share * self.most_games:.3g} are needed"
        )
        return {"accept": f"reached: {shown}", "reject": f"out of reach: {shown}"}.get(
            self.verdict or "", shown
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTest:
    """Ask for a two-player rate over `max_games`, used at equal odds for more players."""

    threshold: float = 0.40
    max_games: int = 10

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError("threshold must lie between 0 and 1")
        if self.max_games < 1:
            raise ValueError("max_games must be at least 1")

    def share(self, players: int) -> float:
        """Return the win share that the threshold is among `players`."""
        return rate_for_players(self.threshold, players)

    def start(self, players: int, most_games: int | None = None) -> RunningRate:
        """Return the test before its first block."""
        return RunningRate(self, players, most_games)

    def as_tree(self) -> dict[str, Any]:
        """Return what a plan keeps of the test."""
        return {"kind": "rate", **asdict(self)}


class RunningRate:
    """Follows a test while blocks arrive in plan order; those after the verdict change nothing."""

    def __init__(self, test: RateTest, players: int, most_games: int | None = None) -> None:
        self._players = players
        most = test.max_games if most_games is None else most_games
        self._most = -(-most // players) * players
        self._share = test.share(players)
        self._points = Fraction(0)
        self.standing = self._at(0)

    def add(self, score: Fraction) -> RateStanding:
        """Take the score of the next block and return where the match stands."""
        if self.standing.verdict is None:
            self._points += score * self._players
            self.standing = self._at(self.standing.blocks + 1)
        return self.standing

    def _at(self, blocks: int) -> RateStanding:
        games = blocks * self._players
        return RateStanding(
            blocks=blocks,
            games=games,
            llr=None,
            bounds=None,
            verdict=self._verdict(self._most - games),
            points=float(self._points),
            most_games=self._most,
            share=self._share,
        )

    def _verdict(self, games_left: int) -> Verdict | None:
        needed = self._share * self._most - ROUNDING
        if self._points >= needed:
            return "accept"
        return "reject" if self._points + games_left < needed else None
