"""What the loop needs of whoever plays its games; worker processes or, in tests, a stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringrift.evaluation.matches import MatchGame, MatchPlan
from ringrift.loop.plan import SelfplayPlan
from ringrift.records.record import Analysis, GameRecord
from ringrift.rules import BoardSpec

Stop = Callable[[], bool]
Played = tuple[GameRecord, Analysis | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayOrder:
    """Games of one generation: which indices, by whom, under which name in the store."""

    spec: BoardSpec
    model: str
    run: str
    seed: int
    indices: Sequence[int]
    plan: SelfplayPlan


class Workers(Protocol):
    """Plays games and yields each as it ends; ends early once `stop` says so."""

    def selfplay(self, order: SelfplayOrder, stop: Stop) -> Iterable[Played]:
        """Play self-play games; every index appears once unless it was stopped."""
        ...

    def match(
        self, plan: MatchPlan, games: Sequence[MatchGame], stop: Stop
    ) -> Iterable[GameRecord]:
        """Play games of a match; aborted ones are yielded too, with the reason in the result."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...
