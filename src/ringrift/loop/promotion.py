"""Decide about a candidate from finished matches alone (`loop.md` 4, the thin version).

In this order:

1. Floor against `random`: a score of at least 0.90 over the floor games; while the champion itself
   is below that, not below the champion's.
2. Floor against `heuristic`: not below the champion's score by more than 0.05, as far as the 95 %
   interval of the difference can tell: only an interval wholly below -0.05 rejects.
3. Sequential test against the champion, H0 0 Elo, H1 the `elo_threshold`: accepting H1 promotes,
   accepting H0 rejects, the cap on games is inconclusive and the champion stays.

A missing number never passes: a candidate without matches cannot be decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ringrift.core.errors import DataError
from ringrift.evaluation.elo import rate_for_players

if TYPE_CHECKING:
    from ringrift.evaluation.matches import MatchResult

RANDOM_FLOOR = 0.90
HEURISTIC_MARGIN = 0.05

Outcome = Literal["promoted", "rejected", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The finished matches of one generation."""

    against_champion: MatchResult
    candidate_random: MatchResult
    candidate_heuristic: MatchResult
    champion_random: MatchResult
    champion_heuristic: MatchResult


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a candidate, and the sentence that says why."""

    outcome: Outcome
    reason: str


def decide(measured: Measured, *, players: int = 2) -> Verdict:
    """Return the verdict on a candidate; raises `DataError` while a match is unfinished."""
    test = measured.against_champion
    standing = test.standing
    if standing is None or standing.verdict is None:
        raise DataError(f"the test against the champion is not finished ({test.games} games)")
    floor = _below_random(measured, players) or _below_heuristic(measured)
    if floor is not None:
        return Verdict("rejected", floor)
    reason = standing.reason
    if standing.verdict == "accept":
        return Verdict("promoted", reason)
    if standing.verdict == "reject":
        return Verdict("rejected", reason)
    return Verdict("inconclusive", reason)


def _below_random(measured: Measured, players: int) -> str | None:
    candidate = _score(measured.candidate_random)
    champion = _score(measured.champion_random)
    floor = rate_for_players(RANDOM_FLOOR, players)
    if candidate >= floor:
        return None
    if champion >= floor:
        return f"below the floor against random: {candidate:.2f} < {floor:.2f}"
    if candidate < champion:
        return f"below the champion against random: {candidate:.2f} < {champion:.2f}"
    return None


def _below_heuristic(measured: Measured) -> str | None:
    candidate, champion = measured.candidate_heuristic, measured.champion_heuristic
    difference = _score(candidate) - _score(champion)
    half = 1.96 * math.sqrt(_variance(candidate) + _variance(champion))
    if difference + half < -HEURISTIC_MARGIN:
        return (
            f"below the champion against heuristic: {_score(candidate):.2f} against "
            f"{_score(champion):.2f}, difference at most {difference + half:.2f}"
        )
    return None


def _score(match: MatchResult) -> float:
    if match.score is None:
        raise DataError(f"{match.title} has no games")
    return match.score


def _variance(match: MatchResult) -> float:
    """Return the variance of a mean score, with half a win and half a loss added.

    Without them forty wins would pass for certainty.
    """
    share = (_score(match) * match.games + 0.5) / (match.games + 1)
    return share * (1 - share) / match.games
