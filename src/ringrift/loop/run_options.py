"""What one run of the loop is given beside its settings, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ringrift.loop.plan import STAGES, Mode, Stage

Milestone = Literal[
    "first_model",
    "first_cycle",
    "beats_random",
    "beats_heuristic",
    "beats_minimax2",
    "beats_mcts_100",
    "beats_mcts_500",
]
MILESTONES: tuple[Milestone, ...] = get_args(Milestone)


Ended = Literal["cycles", "milestone", "time", "once", "idle", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line says of one run (`loop.md` 1); the settings hold its other options.

    `stages` are those at work. `once` files what is missing and leaves. `max_cycles` counts decided
    candidates of this run over all configurations. `workers` None is the thread budget,
    `metrics_port` None serves nothing and 0 takes a free port. `record` goes into the run's folder:
    settings with their origins, versions, the command.
    """

    profile: str
    configs: tuple[str, ...]
    stages: frozenset[Stage] = STAGES
    once: bool = False
    max_cycles: int | None = None
    max_minutes: float | None = None
    until: Milestone | None = None
    seed: int = 0
    workers: int | None = None
    metrics_port: int | None = None
    mode: Mode = "both"
    timed_work: bool = True
    """Whether shadow evaluations and tournaments come when they are due (not in `iterate`)."""
    until_idle: bool = False
    """Whether the run ends once nothing is left to do (`loop watch --check-once`)."""
    triggers: Mapping[str, int] = field(default_factory=dict)
    """New games that make a training, by configuration, in place of the settings' number."""
    hyperparameters: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    """The merged ones of each configuration's trainings now, by name (`training.md` 10)."""
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run came to.

    `ended` says why it ended. `champions` are by configuration, None where there is none; `report` is
    the folder of the report.
    """

    ended: Ended
    cycles: int
    seconds: float
    champions: Mapping[str, str | None]
    milestones: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By configuration and name: minutes since the first start."""
    report: Path | None = None
