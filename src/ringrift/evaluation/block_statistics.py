"""Everything that counts of block scores say, without a game at hand (`evaluation.md` 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import UsageError
from ringrift.evaluation.elo import elo_from_score, nelo
from ringrift.evaluation.intervals import (
    confidence_sequence,
    design_effect,
    superiority,
    wilson_of_blocks,
)
from ringrift.evaluation.sprt import Standing, cells, log_likelihood_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.core.intervals import Interval
    from ringrift.evaluation.sprt import SequentialTest


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStatistics:
    """Hold what counts of blocks say; `None` where nothing was played.

    `sequence` is the confidence sequence of blocks that came as evenly mixed as their counts
    allow: in which order they came, counts do not say.
    """

    players: int
    counts: dict[Fraction, int]
    blocks: int
    score: float | None
    deviation: float | None
    design_effect: float
    interval: Interval | None
    sequence: Interval | None
    nelo: float | None
    los: float | None
    standing: Standing

    @property
    def games(self) -> int:
        """Games in all blocks."""
        return self.blocks * self.players

    @property
    def elo(self) -> float | None:
        """Elo difference of the score, infinite at no win and no loss."""
        return None if self.score is None else elo_from_score(self.score, self.players)

    def as_tree(self) -> dict[str, Any]:
        """Return the statistics as they are published; infinities are `None`."""
        return {
            "players": self.players,
            "counts": [[float(cell), count] for cell, count in self.counts.items()],
            "blocks": self.blocks,
            "games": self.games,
            "score": self.score,
            "deviation": self.deviation,
            "design_effect": self.design_effect,
            "score_ci95": _ends(self.interval),
            "sequence_ci95": _ends(self.sequence),
            "elo": _finite(self.elo),
            "elo_ci95": _finite_ends(self.elo_ends(self.interval)),
            "sequence_elo_ci95": _finite_ends(self.elo_ends(self.sequence)),
            "nelo": self.nelo,
            "los": self.los,
            "llr": self.standing.llr,
            "bounds": None if self.standing.bounds is None else list(self.standing.bounds),
            "verdict": self.standing.verdict,
        }

    def elo_ends(self, interval: Interval | None) -> tuple[float, float] | None:
        """Return an interval of shares in Elo, infinite at 0 and 1."""
        if interval is None:
            return None
        return (
            elo_from_score(interval.low, self.players),
            elo_from_score(interval.high, self.players),
        )


def describe(counts: Sequence[int], players: int, test: SequentialTest) -> BlockStatistics:
    """Return the statistics of counts by block score, from no win to all wins.

    Raises `UsageError` for another number of counts than cells, or a negative one.
    """
    grid = cells(players)
    if len(counts) != len(grid):
        raise UsageError(
            f"found {len(counts)} counts; expected {len(grid)}, of block scores "
            f"{', '.join(map(str, grid))}",
            where="--counts",
            hint="--players N" if players == 2 else None,
        )
    if any(count < 0 for count in counts):
        raise UsageError(f"found {min(counts)}; expected counts from 0", where="--counts")
    table = dict(zip(grid, counts, strict=True))
    scores = evenly(table)
    llr = log_likelihood_ratio(table, test.elo0, test.elo1, players)
    games = len(scores) * players
    deviation = stdev(scores) if len(scores) > 1 else None
    mean = fmean(scores) if scores else None
    return BlockStatistics(
        players=players,
        counts=table,
        blocks=len(scores),
        score=mean,
        deviation=deviation,
        design_effect=design_effect(scores, players),
        interval=wilson_of_blocks(scores, players),
        sequence=confidence_sequence(scores),
        nelo=None if mean is None else nelo(mean, deviation or 0.0, players),
        los=superiority(scores, players),
        standing=Standing(
            blocks=len(scores),
            games=games,
            llr=llr,
            bounds=test.bounds,
            verdict=test.verdict(llr, games),
        ),
    )


def evenly(counts: dict[Fraction, int]) -> list[float]:
    """Return block scores in an order in which every beginning is mixed like the whole."""
    places = [((k + 0.5) / count, cell) for cell, count in counts.items() for k in range(count)]
    return [float(cell) for _, cell in sorted(places)]


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _finite_ends(found: tuple[float, float] | None) -> list[float | None] | None:
    return None if found is None else [_finite(end) for end in found]
