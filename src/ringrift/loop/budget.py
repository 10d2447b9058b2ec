"""How many simulations a configuration's games get as its champion grows (`loop.md` 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ringrift.core.settings import Settings
    from ringrift.loop.facts import DecisionFacts

FROM = "beats_random"
"""The milestone from which the budget may rise."""
STEP, MOST = 1.5, 4.0
IN_ROW = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """Simulations a move: of a full and a cheap search of self-play, and of both sides of a match.

    `factor` is what the settings' numbers were multiplied by, 1 to 4.
    """

    factor: float
    full: int
    cheap: int
    matches: int


def budget(
    decisions: Sequence[DecisionFacts], milestones: Mapping[str, float], settings: Settings
) -> Budget:
    """Return the budget in force after `decisions`, in order; `milestones` gives times by name.

    Each time that three tests in a row since `beats_random`, all at one budget, promoted nobody, it
    rises by half, to at most four times the settings' numbers. Matches stop at the simulations of
    the exam, where strength is counted: beyond it they would take the time of self-play.
    """
    play, evaluation = settings.selfplay, settings.evaluation
    factor = _factor(decisions, milestones.get(FROM))
    cheap = play.cheap_simulations
    if cheap is None:
        cheap = max(8, play.mcts_simulations // 6)
    return Budget(
        factor=factor,
        full=_grown(play.mcts_simulations, factor),
        cheap=_grown(cheap, factor),
        matches=max(
            evaluation.simulations,
            min(_grown(evaluation.simulations, factor), evaluation.exam_simulations),
        ),
    )


def _factor(decisions: Sequence[DecisionFacts], since: float | None) -> float:
    factor, in_row = 1.0, 0
    if since is None:
        return factor
    for decision in decisions:
        if decision.at < since:
            continue
        if decision.kind in ("rejected", "inconclusive"):
            in_row += 1
        elif decision.kind in ("promoted", "manual"):
            in_row = 0
        if in_row == IN_ROW:
            factor, in_row = min(MOST, factor * STEP), 0
    return factor


def _grown(simulations: int, factor: float) -> int:
    return round(simulations * factor)
