"""Bound how many programs run and start on a host, and say how near the bounds are (`core.md` 7)."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ringrift.core.backpressure import Backpressure, Pressure
from ringrift.core.errors import SettingsError
from ringrift.core.host_table import HostTable, host_folder
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ringrift.core.host_table import Task

log = get_logger(__name__)

DEPTH_VARIABLE = "RINGRIFT_SPAWN_DEPTH"
RECENT_FILE = "spawns.json"
# What stands as the job of a place that is kept for a program about to start.
PLACEHOLDER = "starting"
WHOLE_HOST = "all"
_OWN_BOUND = ("selfplay", "tournament", "training")


class SpawnSettings(Protocol):
    """The keys of section `safeguards` that are read here."""

    @property
    def max_python_processes_per_host(self) -> int:
        """Most tasks of all categories."""

    @property
    def max_selfplay_processes(self) -> int:
        """Most tasks of category selfplay."""

    @property
    def max_tournament_processes(self) -> int:
        """Most tasks of category tournament."""

    @property
    def max_training_processes(self) -> int:
        """Most tasks of category training."""

    @property
    def max_process_age_hours(self) -> float:
        """Longest life of a task without a time limit."""

    @property
    def max_subprocess_depth(self) -> int:
        """Levels of programs below the first."""

    @property
    def subprocess_timeout_seconds(self) -> float:
        """Time limit where none is given."""

    @property
    def max_spawns(self) -> int:
        """Most starts within the window."""

    @property
    def spawn_window_seconds(self) -> float:
        """The window of `max_spawns`."""

    @property
    def backpressure_soft_share(self) -> float:
        """Share of a bound above which a start waits a little."""

    @property
    def backpressure_hard_share(self) -> float:
        """Share of a bound above which a start waits longer."""

    @property
    def backpressure_soft_delay_seconds(self) -> float:
        """The little wait."""

    @property
    def backpressure_hard_delay_seconds(self) -> float:
        """The longer wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnLimits:
    """Hold the bounds of `SpawnLimiter`; `per_category` names those with one of their own."""

    max_spawns: int = 30
    window_s: float = 60.0
    max_depth: int = 2
    max_processes: int = 64
    selfplay: int = 48
    tournament: int = 1
    training: int = 1
    timeout_s: float = 3600.0
    max_age_s: float = 4 * 3600.0
    backpressure: Backpressure = field(default_factory=Backpressure)

    @classmethod
    def from_settings(cls, settings: SpawnSettings, *, threads: int | None = None) -> SpawnLimits:
        """Return the bounds of section `safeguards`; self-play has at most `threads` processes."""
        selfplay = settings.max_selfplay_processes
        return cls(
            max_spawns=settings.max_spawns,
            window_s=settings.spawn_window_seconds,
            max_depth=settings.max_subprocess_depth,
            max_processes=settings.max_python_processes_per_host,
            selfplay=selfplay if threads is None else min(selfplay, threads),
            tournament=settings.max_tournament_processes,
            training=settings.max_training_processes,
            timeout_s=settings.subprocess_timeout_seconds,
            max_age_s=settings.max_process_age_hours * 3600,
            backpressure=Backpressure(
                soft_share=settings.backpressure_soft_share,
                hard_share=settings.backpressure_hard_share,
                soft_delay_s=settings.backpressure_soft_delay_seconds,
                hard_delay_s=settings.backpressure_hard_delay_seconds,
            ),
        )

    def use(self, tasks: Sequence[Task], category: str) -> Use:
        """Return use and bound of whichever is nearer its bound, the category or the host."""
        whole = self._use_of(WHOLE_HOST, tasks)
        if category == WHOLE_HOST:
            return whole
        own = self._use_of(category, [task for task in tasks if task.category == category])
        return max(own, whole, key=lambda use: use.pressure.share)

    def uses(self, tasks: Sequence[Task]) -> list[Use]:
        """Return use and bound of every category that has a bound or runs, then of the host."""
        names = [*_OWN_BOUND, *sorted({task.category for task in tasks} - {*_OWN_BOUND})]
        own = [
            self._use_of(name, [task for task in tasks if task.category == name]) for name in names
        ]
        return [*own, self._use_of(WHOLE_HOST, tasks)]

    def _use_of(self, category: str, tasks: Sequence[Task]) -> Use:
        own = {"selfplay": self.selfplay, "tournament": self.tournament, "training": self.training}
        bound = min(own.get(category, self.max_processes), self.max_processes)
        running = _processes(tasks)
        pressure = self.backpressure.at(running, bound)
        return Use(category=category, running=running, bound=bound, pressure=pressure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Say how many processes of a category run, of how many, and what that means for one more."""

    category: str
    running: int
    bound: int
    pressure: Pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnStatus:
    """Say how near the bounds this host is; `depth` is that of this very program."""

    recent_spawns: int
    max_spawns: int
    window_s: float
    depth: int
    max_depth: int
    uses: tuple[Use, ...]


def spawn_status(limits: SpawnLimits) -> SpawnStatus:
    """Return the use of every bound; creates nothing."""
    table = HostTable.find()
    recent = host_folder(create=False) / RECENT_FILE
    return SpawnStatus(
        recent_spawns=len(recent_spawns(recent, now_s=time.time(), window_s=limits.window_s)),
        max_spawns=limits.max_spawns,
        window_s=limits.window_s,
        depth=current_depth(),
        max_depth=limits.max_depth,
        uses=tuple(limits.uses([] if table is None else table.tasks())),
    )


def recent_spawns(file: Path, *, now_s: float, window_s: float) -> list[float]:
    """Return when programs were started within the window before `now_s`, oldest first."""
    try:
        found = [float(at_s) for at_s in json.loads(file.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        log.warning("spawn count unreadable", file=str(file), error=str(error))
        return []
    # A time ahead of the clock was written before the clock was set back.
    return sorted(at_s for at_s in found if 0 <= now_s - at_s < window_s)


def current_depth(environ: Mapping[str, str] | None = None) -> int:
    """Return how many programs of ours are above this one; `SettingsError` for no number."""
    text = (os.environ if environ is None else environ).get(DEPTH_VARIABLE, "0")
    if not text.isdecimal():
        raise SettingsError(
            f"found {text!r}; expected a number from 0", where=f"environment {DEPTH_VARIABLE}"
        )
    return int(text)


def _processes(tasks: Sequence[Task]) -> int:
    """Count processes, not rows: a child may have registered itself as well."""
    starting = sum(task.job == PLACEHOLDER for task in tasks)
    running = {(task.pid, task.start_ticks) for task in tasks if task.job != PLACEHOLDER}
    return starting + len(running)
