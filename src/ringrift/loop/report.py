"""What a generation and a run leave for people: plain data, with unknown values as None."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ringrift.core.intervals import wilson

if TYPE_CHECKING:
    from ringrift.evaluation.results import MatchResult
    from ringrift.models.decisions import Decision
    from ringrift.models.judging import Measured

EXAM_SCORE = 0.90
EXAM_LOW = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayTotals:
    """The stored games of a generation."""

    games: int
    plies: int
    choices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationReport:
    """One row of the run."""

    generation: int
    selfplay: SelfplayTotals
    training: dict[str, Any]
    matches: dict[str, dict[str, Any]]
    decision: str
    reason: str
    candidate: str
    champion: str
    seconds: float
    stage_seconds: dict[str, float]

    def as_tree(self) -> dict[str, Any]:
        """Return the row as nested data."""
        return asdict(self)


def generation_report(
    *,
    generation: int,
    selfplay: SelfplayTotals,
    training: dict[str, Any],
    measured: Measured,
    decision: Decision,
    stage_seconds: dict[str, float],
) -> GenerationReport:
    """Put a generation's numbers together."""
    names = (
        "against_champion",
        "candidate_random",
        "candidate_heuristic",
        "champion_random",
        "champion_heuristic",
    )
    return GenerationReport(
        generation=generation,
        selfplay=selfplay,
        training=training,
        matches={name: getattr(measured, name).as_tree() for name in names},
        decision=decision.kind,
        reason=decision.reason,
        candidate=decision.candidate,
        champion=decision.champion,
        seconds=round(sum(stage_seconds.values()), 1),
        stage_seconds={name: round(value, 1) for name, value in stage_seconds.items()},
    )


def exam_report(exam: MatchResult) -> dict[str, Any]:
    """Return the exam's result with its plain Wilson interval and whether it is passed.

    Passed: a score of at least 0.90 with the lower end of the 95 % interval above 0.85.
    """
    interval = wilson(exam.score, exam.games)
    passed = (
        exam.score is not None
        and interval is not None
        and exam.score >= EXAM_SCORE
        and interval.low > EXAM_LOW
    )
    ends = None if interval is None else [interval.low, interval.high]
    return {**exam.as_tree(), "wilson_ci95": ends, "passed": passed}
