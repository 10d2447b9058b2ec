"""What a decision keeps of the measurements it was made from (`models.md` 4).

One flat object, `Decision.inputs`; unknown numbers are None, so that every decision has every key.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ringrift.evaluation.elo import elo_from_score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ringrift.evaluation.results import MatchResult
    from ringrift.models.judging import Measured, Rules, Verdict

MATCHES = (
    "against_champion",
    "candidate_random",
    "candidate_heuristic",
    "champion_random",
    "champion_heuristic",
)


def evidence(
    measured: Measured, rules: Rules, verdict: Verdict, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs of a decision: the summary of its test, every match, floors, settings."""
    test = measured.against_champion
    played = [getattr(measured, name) for name in MATCHES] + list(measured.regression or ())
    standing = test.standing
    return {
        "match_ids": [match.plan for match in played],
        "score": test.score,
        "games": test.games,
        "llr": None if standing is None else standing.llr,
        "bounds": None if standing is None else standing.bounds,
        "elo_diff": _finite(test.elo),
        "elo_ci95": elo_ends(test),
        "opening_book_hash": measured.book_hash,
        "floors": {
            "random": _floor(measured.candidate_random, measured.champion_random),
            "heuristic": _floor(measured.candidate_heuristic, measured.champion_heuristic),
        },
        "holdout": {
            "candidate": _holdout(measured.candidate_holdout),
            "champion": _holdout(measured.champion_holdout),
        },
        "regression": None
        if measured.regression is None
        else [match.as_tree() for match in measured.regression],
        "rules": asdict(rules),
        "warnings": list(verdict.warnings),
        "settings": dict(settings),
        **{name: getattr(measured, name).as_tree() for name in MATCHES},
    }


def elo_ends(match: MatchResult) -> list[float | None] | None:
    """Return the 95 % interval in Elo; an end at no win or no loss is None."""
    if match.interval is None:
        return None
    ends = (match.interval.low, match.interval.high)
    return [_finite(elo_from_score(end, len(match.by_seat))) for end in ends]


def tested_by(inputs: Mapping[str, Any]) -> str | None:
    """Return the id of the sequential test that a decision was made from, None for none."""
    test = inputs.get("against_champion")
    plan = test.get("plan") if isinstance(test, dict) else None
    return plan if isinstance(plan, str) else None


def _floor(candidate: MatchResult, champion: MatchResult) -> dict[str, Any]:
    return {
        "candidate": candidate.score,
        "champion": champion.score,
        "games": [candidate.games, champion.games],
    }


def _holdout(found: Any) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
