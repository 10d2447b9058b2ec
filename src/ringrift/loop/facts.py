"""What is done of a run, and what comes next: computed from games, models and decisions alone.

Starting again is the resume: whatever the facts say is missing is done, nothing is done twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["unborn", "selfplay", "train", "measure", "decide", "exam", "report", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of one run.

    `decided` counts the run's decisions about candidates; the generation in work is the one after.
    `champion` and `candidate` are model ids whose files are there; `missing_games` are indices of
    self-play games of the generation that the store does not have.
    """

    generations: int
    decided: int
    champion: str | None
    missing_games: tuple[int, ...] = ()
    candidate: str | None = None
    measured: bool = False
    examined: bool = False
    reported: bool = False

    @property
    def generation(self) -> int:
        """Number of the generation in work, from 1."""
        return self.decided + 1


def next_stage(facts: Facts) -> tuple[Stage, str]:
    """Return what to do next and the reason in words."""
    if facts.champion is None:
        return "unborn", "no model yet"
    if facts.decided < facts.generations:
        if facts.candidate is None:
            if facts.missing_games:
                return "selfplay", f"{len(facts.missing_games)} games missing"
            return "train", "all games played"
        if not facts.measured:
            return "measure", "the candidate lacks matches"
        return "decide", "all results exist"
    if not facts.examined:
        return "exam", f"{facts.decided} generations decided"
    if not facts.reported:
        return "report", "the exam is played"
    return "done", f"{facts.decided} generations decided"
