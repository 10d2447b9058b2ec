"""The trend over rounds, and falls below the predecessor (`evaluation.md` 10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ringrift.evaluation.elo import elo_from_score
from ringrift.evaluation.least_squares import slope_of
from ringrift.evaluation.shadow.rounds import HEURISTIC
from ringrift.rules import parse_config

if TYPE_CHECKING:
    from ringrift.evaluation.shadow.rounds import Round, ShadowResult

LAST_ROUNDS = 10
IMPROVING, REGRESSING = 5.0, -10.0
Z_95 = 1.959964

Word = Literal["improving", "regressing", "stable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How the newest models did against `heuristic` over the last rounds.

    `slope` in Elo a round with its 95 % interval, None below three rounds; `word` says more than
    stable only where the interval excludes 0.
    """

    config: str
    rounds: int
    slope: float | None = None
    slope_ci95: tuple[float, float] | None = None
    word: Word | None = None

    def as_tree(self) -> dict[str, Any]:
        """Return the trend as it is published."""
        return asdict(self)


def trend(config: str, rounds: Sequence[Round]) -> Trend:
    """Return the least-squares trend over the last ten rounds of a configuration.

    A match's Elo is that of (w + 1/2)/(n + 1), which is finite at no win and no loss.
    """
    players = parse_config(config)[1]
    found = [r.against(HEURISTIC) for r in rounds]
    values = [_elo(result, players) for result in found if result is not None][-LAST_ROUNDS:]
    line = slope_of(range(len(values)), values)
    if line is None:
        return Trend(config=config, rounds=len(values))
    word: Word = "stable"
    if line.value > IMPROVING and line.low > 0:
        word = "improving"
    elif line.value < REGRESSING and line.high < 0:
        word = "regressing"
    ends = (line.low, line.high)
    return Trend(config=config, rounds=len(values), slope=line.value, slope_ci95=ends, word=word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A fall below the predecessor in two rounds; Elo differences of the second of them.

    `elo` is None at no win at all; `high` is the upper end of the interval, below 0.
    """

    config: str
    model_id: str
    previous_id: str
    elo: float | None
    high: float
    games: int
    run: str

    def values(self) -> dict[str, Any]:
        """Return what an alert tells."""
        return {
            "config": self.config,
            "model_id": self.model_id,
            "previous_id": self.previous_id,
            "elo": self.elo,
            "previous_elo": 0.0,
            "drop": None if self.elo is None else -self.elo,
            "se": None if self.elo is None else (self.high - self.elo) / Z_95,
            "games": self.games,
            "run": self.run,
        }


def drop(rounds: Sequence[Round], *, threshold: float) -> Drop | None:
    """Return the fall that the last two rounds against a predecessor show, None for none.

    Each must lie `threshold` Elo below it or more, with an interval that excludes 0.
    """
    found = [result for r in rounds if (result := r.against_model) is not None][-2:]
    if len(found) < 2 or not all(_fell(result, threshold) for result in found):
        return None
    last = found[-1]
    return Drop(
        config=str(last.config),
        model_id=str(last.model_id),
        previous_id=str(last.opponent),
        elo=last.elo_estimate,
        high=_high(last),
        games=last.games_played,
        run=str(last.run),
    )


def _fell(result: ShadowResult, threshold: float) -> bool:
    if _high(result) >= 0:
        return False
    elo = -math.inf if result.elo_estimate is None else result.elo_estimate
    return elo <= -threshold


def _high(result: ShadowResult) -> float:
    ends = result.elo_ci95
    return math.inf if ends is None or ends[1] is None else ends[1]


def _elo(result: ShadowResult, players: int) -> float:
    won = (result.win_rate or 0.0) * result.games_played
    return elo_from_score((won + 0.5) / (result.games_played + 1), players)
