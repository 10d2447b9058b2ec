"""What a run can reach, in this order (`loop.md` 10, 12)."""

from __future__ import annotations

from dataclasses import dataclass

EXAM = "exam:"


@dataclass(frozen=True, slots=True)
class Milestone:
    """A fixed opponent that a champion must beat in a test, with at least `score` (0 to 1).

    `exam_games` are played after it in addition, 0 for none; the exam is passed with a score of
    `exam_score`, or without one where the lower end of the 95 % interval is above an equal share.
    """

    name: str
    opponent: str
    score: float | None = None
    exam_games: int = 0
    exam_score: float | None = None


MILESTONES = (
    Milestone("beats_random", "random", score=0.95, exam_games=100, exam_score=0.95),
    Milestone("beats_heuristic", "heuristic", exam_games=400),
    Milestone("beats_minimax2", "ladder:level=3"),
    Milestone("beats_mcts_100", "mcts_100"),
    Milestone("beats_mcts_500", "mcts_500"),
)
FIRST = ("first_model", "first_cycle")
NAMES = (*FIRST, *(each.name for each in MILESTONES))


def reached_by(name: str) -> tuple[str, ...]:
    """Return the facts that `--until NAME` waits for: the milestone, and its exam if it has one."""
    exams = {each.name for each in MILESTONES if each.exam_games}
    return (name, EXAM + name) if name in exams else (name,)
