"""Judge a candidate from finished measurements alone (`loop.md` 4, Promotion).

In this order:

1. Floor against `random`: a score of at least 0.90 over the floor games; while the champion itself
   is below that, not below the champion's. Lost as soon as it cannot be passed any more.
2. Floor against `heuristic`: not below the champion's score by more than 0.05, as far as the 95 %
   interval of the difference can tell: only an interval wholly below -0.05 rejects.
3. Sequential test against the champion, H0 0 Elo, H1 the `elo_threshold`: accepting H1 goes on,
   accepting H0 rejects, the cap on games is inconclusive and the champion stays.
4. Regression against former champions: an upper 95 % bound below -30 Elo, or what the rules have
   in its place, rejects.
5. Hold-out: a value error more than 0.05 above the champion's, on the same games, rejects.

A missing number never passes: what a rule needs and nobody measured is a `DataError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from ringrift.core.errors import DataError
from ringrift.evaluation.elo import elo_from_score, rate_for_players
from ringrift.evaluation.promotion import PromotionEvidence

if TYPE_CHECKING:
    from ringrift.evaluation.results import MatchResult

RANDOM_FLOOR = 0.90
HEURISTIC_MARGIN = 0.05
REGRESSION_ELO = -30.0
HOLDOUT_MARGIN = 0.05

Outcome = Literal["promoted", "rejected", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """What a model loses on hold-out games: mean value error, gap to training games, nats.

    `set_hash` names the games; `gap` is None where no training games are known.
    """

    value_error: float
    gap: float | None
    positions: int
    set_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(PromotionEvidence):
    """What is known of a candidate and the champion when the candidate is judged."""

    candidate_holdout: HoldOut | None = None
    champion_holdout: HoldOut | None = None

    @classmethod
    def of_matches(cls, evidence: PromotionEvidence) -> Measured:
        """Return what matches alone say, without hold-out numbers."""
        return cls(**{field.name: getattr(evidence, field.name) for field in fields(evidence)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which stages a verdict needs, and their limits.

    Without `hard_block` a failed regression is a warning. `regression_elo` is what the upper bound
    against a former champion must reach. `overfit_gap` warns, in nats.
    """

    players: int = 2
    min_games: int = 40
    regression: bool = True
    holdout: bool = True
    hard_block: bool = True
    regression_elo: float = REGRESSION_ELO
    overfit_gap: float = 0.10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a candidate, the sentence that says why, and what else was noticed."""

    outcome: Outcome
    reason: str
    warnings: tuple[str, ...] = ()


def decide(measured: Measured, rules: Rules) -> Verdict:
    """Return the verdict on a candidate; raises `DataError` while a measurement is missing."""
    floor = _below_random(measured, rules.players)
    if floor is None:
        _require_whole(measured.candidate_heuristic, measured.champion_heuristic)
        floor = _below_heuristic(measured)
    if floor is not None:
        return Verdict("rejected", floor)
    test = measured.against_champion
    standing = test.standing
    if standing is None or standing.verdict is None:
        raise DataError(f"the test against the champion is not finished ({test.games} games)")
    if standing.games < rules.min_games:
        raise DataError(
            f"the test against the champion has {standing.games} games; "
            f"expected at least {rules.min_games}"
        )
    reason = standing.reason
    if standing.verdict == "reject":
        return Verdict("rejected", reason)
    if standing.verdict == "inconclusive":
        return Verdict("inconclusive", reason)
    warnings: list[str] = []
    regressed = _regressed(measured, rules)
    if regressed is not None and rules.hard_block:
        return Verdict("rejected", regressed)
    if regressed is not None:
        warnings.append(regressed)
    if rules.holdout:
        worse = _worse_on_holdout(measured)
        if worse is not None:
            return Verdict("rejected", worse)
        gap = measured.candidate_holdout.gap if measured.candidate_holdout is not None else None
        if gap is not None and gap > rules.overfit_gap:
            warnings.append(f"overfit gap {gap:.3f} above {rules.overfit_gap:g}")
    return Verdict("promoted", reason, tuple(warnings))


def _require_whole(*matches: MatchResult) -> None:
    """Raise `DataError` for a match that goes on or has no games."""
    for match in matches:
        if not match.complete:
            raise DataError(f"{match.title} is not finished ({match.games} games)")
        _score(match)


def upper_elo(match: MatchResult) -> float | None:
    """Return the upper end of the 95 % interval in Elo; None without games, infinity at 1."""
    if match.interval is None:
        return None
    return elo_from_score(match.interval.high, len(match.by_seat))


def _below_random(measured: Measured, players: int) -> str | None:
    """Return why a candidate fails the floor, also before its last game if it cannot pass any more."""
    match = measured.candidate_random
    floor = rate_for_players(RANDOM_FLOOR, players)
    if match.best >= floor:
        _require_whole(match, measured.champion_random)
        return None
    _require_whole(measured.champion_random)
    champion = _score(measured.champion_random)
    if champion >= floor:
        return f"below the floor against random: {_of(match)} < {floor:.2f}"
    if match.best < champion:
        return f"below the champion against random: {_of(match)} < {champion:.2f}"
    _require_whole(match)
    return None


def _of(match: MatchResult) -> str:
    return f"{match.best:.2f}" if match.complete else f"at most {match.best:.2f}"


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


def _regressed(measured: Measured, rules: Rules) -> str | None:
    if not rules.regression:
        return None
    if measured.regression is None:
        raise DataError("the matches against former champions were not played")
    for match in measured.regression:
        if not match.complete:
            raise DataError(f"{match.title} is not finished ({match.games} games)")
        upper = upper_elo(match)
        if upper is None:
            raise DataError(f"{match.title} has no games")
        if upper < rules.regression_elo:
            return f"regression, {match.title}: {_score(match):.2f}, at most {upper:+.0f} Elo"
    return None


def _worse_on_holdout(measured: Measured) -> str | None:
    candidate, champion = measured.candidate_holdout, measured.champion_holdout
    if candidate is None or champion is None:
        whose = "candidate" if candidate is None else "champion"
        raise DataError(f"the hold-out value error of the {whose} is unknown")
    if candidate.set_hash != champion.set_hash:
        raise DataError(
            f"unknown: the hold-out games of the candidate are {candidate.set_hash:.12}, those of "
            f"the champion {champion.set_hash:.12}; expected the same"
        )
    if candidate.value_error > champion.value_error + HOLDOUT_MARGIN:
        return (
            f"worse on hold-out games: value error {candidate.value_error:.3f} against "
            f"{champion.value_error:.3f} of the champion"
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
