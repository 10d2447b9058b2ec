"""What a test of games does to an agent of known strength: verdicts and games (`evaluation.md` 4)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTILE = 0.9


class Ended(NamedTuple):
    """The probabilities that a test accepts and rejects after exactly `games`."""

    games: int
    accept: float
    reject: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Hold the probabilities of the verdicts, and the mean and 90 % quantile of the games."""

    accept: float
    reject: float
    inconclusive: float
    mean_games: float
    games_90: int

    @classmethod
    def of(cls, ended: Sequence[Ended], *, cap: int) -> Chances:
        """Sum up when a test ends; what is left over ends at `cap` games without a verdict."""
        accept = math.fsum(moment.accept for moment in ended)
        reject = math.fsum(moment.reject for moment in ended)
        left = max(0.0, 1.0 - accept - reject)
        moments = [(moment.games, moment.accept + moment.reject) for moment in ended]
        moments.append((cap, left))
        return cls(
            accept=accept,
            reject=reject,
            inconclusive=left,
            mean_games=math.fsum(games * chance for games, chance in moments),
            games_90=_quantile(moments),
        )

    def as_tree(self) -> dict[str, Any]:
        """Return the numbers as they are published."""
        return asdict(self)


def _quantile(moments: Sequence[tuple[int, float]]) -> int:
    total = 0.0
    for games, chance in moments:
        total += chance
        if total >= QUANTILE:
            return games
    return moments[-1][0]
