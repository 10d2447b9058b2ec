"""What control needs of those it works with; the real parts or, in tests, stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.evaluation.plans import MatchGame, MatchPlan
from ringrift.loop.plan import SelfplayPlan
from ringrift.records.analysis import Analysis
from ringrift.records.record import GameRecord
from ringrift.rules import BoardSpec

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.loop.learn import TrainingOrder

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


class Task(Protocol):
    """One progress bar."""

    def update(self, done: int, *, name: str | None = None, total: int | None = None) -> None:
        """Set what is done."""
        ...

    def finish(self) -> None:
        """Take the bar away."""
        ...


class Screen(Protocol):
    """Where people see what happens; `cli.output.Progress` is one."""

    def task(self, name: str, *, total: int | None = None, unit: str = "") -> Task:
        """Add a bar."""
        ...

    def note(self, text: str) -> None:
        """Print a line that stays."""
        ...


class Learner(Protocol):
    """Makes models; `learn.ChildLearner` does it in child processes."""

    def random_model(
        self,
        *,
        config: str,
        size: str,
        encoder: str,
        seed: int,
        objects: Path,
        stop: Callable[[], bool],
    ) -> str:
        """Write a model of random weights, return its id."""
        ...

    def candidate(
        self,
        order: TrainingOrder,
        *,
        on_report: Callable[[dict[str, Any]], None],
        stop: Callable[[], bool],
    ) -> dict[str, Any]:
        """Train a candidate; the report is in the folder once the model file is there."""
        ...


class Guard(Protocol):
    """What may keep the loop from working; `guard.LoopGuard` is one."""

    def listen(self, on_change: Callable[[tuple[str, ...]], None]) -> None:
        """Tell `on_change` from now on when the reasons appear, change or are gone."""
        ...

    def hold(self) -> bool:
        """Say whether nothing new may begin."""
        ...

    def must_end(self) -> bool:
        """Say whether what runs must end now."""
        ...

    def workers_end(self) -> None:
        """Take note that the workers are about to be ended."""
        ...


class Observer(Protocol):
    """Whom control tells what happens; `telemetry.Telemetry` is one."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event of the run's log."""
        ...

    def games(self, games: Sequence[Played], added: int) -> None:
        """Take games that were handed to the store."""
        ...
