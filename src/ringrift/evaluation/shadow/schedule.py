"""Which rounds are due, from the rounds of the past and the clock (`evaluation.md` 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.evaluation.shadow.rounds import Entrants, Round, Type

WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Seconds between rounds of a configuration.

    With `adaptive` the interval is `least_s` while a model waits that no round has measured, and
    `most_s` after two rounds of a model that an earlier one had measured already.
    """

    shadow_s: float = 900.0
    full_s: float = 3600.0
    adaptive: bool = True
    least_s: float = 360.0
    most_s: float = 1800.0

    def __post_init__(self) -> None:
        if min(self.shadow_s, self.full_s, self.least_s, self.most_s) <= 0:
            raise UsageError("an interval of 0 s; expected more", where="--shadow-interval")

    def interval_s(self, rounds: Sequence[Round], *, waiting: bool) -> float:
        """Return the time from the last shadow round to the next."""
        if not self.adaptive:
            return self.shadow_s
        if waiting:
            return min(self.shadow_s, self.least_s)
        return max(self.shadow_s, self.most_s) if _without_news(rounds) else self.shadow_s

    def due_s(self, rounds: Sequence[Round], *, waiting: bool) -> dict[Type, float]:
        """Return when the next round of each type is due (Unix s); 0 for at once.

        The first full round comes one interval after the first shadow round.
        """
        shadows = [r for r in rounds if r.kind == "shadow"]
        fulls = [r for r in rounds if r.kind == "full"]
        if not shadows:
            return {"shadow": 0.0}
        last_full = fulls[-1] if fulls else shadows[0]
        return {
            "shadow": shadows[-1].started_s + self.interval_s(rounds, waiting=waiting),
            "full": last_full.started_s + self.full_s,
        }


def _without_news(rounds: Sequence[Round]) -> bool:
    shadows = [r for r in rounds if r.kind == "shadow"]
    if len(shadows) < 3:
        return False
    earlier = {r.model_id for r in shadows[:-2]}
    return all(r.model_id in earlier for r in shadows[-2:])


def subject(entrants: Entrants, rounds: Sequence[Round]) -> tuple[str | None, bool]:
    """Return the model that the next round measures, and whether none has measured it yet.

    A watched model that waits, the oldest of them first, else the newest model. None without any.
    """
    seen = {r.model_id for r in rounds}
    here = [model for model in entrants.models if model.path is not None]
    waiting = [model.id for model in here if model.label == WATCHED and model.id not in seen]
    if waiting:
        return waiting[-1], True
    if not here:
        return None, False
    return here[0].id, here[0].id not in seen
