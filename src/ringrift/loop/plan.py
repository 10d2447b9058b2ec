"""What a pass of the loop looks at beside the facts, and what comes of it.

Plain values: control hands them to the keeper, the queue and the screen. Nothing here loads a
compiler. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ringrift.cluster.election import Term
from ringrift.cluster.jobs import Job, JobResult
from ringrift.loop.actions import Action
from ringrift.loop.facts import MatchFacts

State = Literal[
    "unborn", "collecting", "blocked", "ready", "training", "evaluating", "deciding", "held"
]
Stage = Literal["collect", "selfplay", "train", "evaluate", "promote", "curriculum"]
STAGES: frozenset[Stage] = frozenset(
    ("collect", "selfplay", "train", "evaluate", "promote", "curriculum")
)
Mode = Literal["balance", "elo", "both"]
Level = Literal["ok", "warning", "critical"]
HELD_BY: dict[str, str] = {"warning": "no new self-play", "critical": "nothing is filed"}
"""What a level of the guard holds, in words."""
SignalKind = Literal[
    "INCREASE_DATA",
    "DECREASE_DATA",
    "CURRICULUM_WEIGHT_UP",
    "CURRICULUM_WEIGHT_DOWN",
    "QUARANTINE",
    "REDUCE_TRAINING",
    "EXTEND_TRAINING",
    "ADJUST_TEMPERATURE",
    "CALIBRATION",
    "URGENT_RETRAINING",
    "PROMOTION_HOLD",
    "TRIGGER_CMAES",
    "TRIGGER_HP_SEARCH",
    "SCALE_UP",
    "SCALE_DOWN",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSeen:
    """The jobs in the queue (waiting or being done) and the results of the last day, by job id."""

    open: tuple[Job, ...] = ()
    results: Mapping[str, JobResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The moment of a pass.

    `held` says why a configuration may not go on (halt files), `resumed` when a person last let one
    go on; the key "all" of both is every configuration. `slots` are those of all nodes, `threads` the
    cores of one training. `guard` is the level of the resource guard. `device` is that of trainings.
    `triggers` replaces the settings' number of new games that makes a training, by configuration.
    `timed` says whether work comes by the clock: shadow evaluations and full tournaments.
    `hyperparameters` are the merged ones of each configuration's trainings, by name.
    """

    now: float
    rules_hash: str
    slots: int
    threads: int = 1
    seed: int = 0
    term: Term | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    resumed: Mapping[str, float] = field(default_factory=dict)
    guard: Level = "ok"
    guard_reasons: tuple[str, ...] = ()
    stages: frozenset[Stage] = STAGES
    mode: Mode = "both"
    started_at: float = 0.0
    device: str = "cpu"
    triggers: Mapping[str, int] = field(default_factory=dict)
    timed: bool = True
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition of a training: `value` against `limit`; an unknown value (None) blocks."""

    name: str
    value: float | None
    limit: float | None
    passed: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the feedback rules say of a configuration: `value` is the number that it follows from."""

    kind: SignalKind
    config: str
    value: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """How many plateaus there were since the last promotion worth its name, and since when."""

    count: int = 0
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPlan:
    """What one configuration is at and why.

    `trigger` is the number of new games that makes a training, after the feedback's scaling;
    `share` its part of the time of all self-play, 0 to 1; `weight` the curriculum's. `match` is
    the match that is being played for the candidate. `failures` counts those in a row of one stage.
    `tournament_left` are the games left of a tournament after a number of cycles.
    """

    config: str
    state: State
    reason: str
    gates: tuple[Gate, ...] = ()
    trigger: int = 0
    new_games: int = 0
    share: float = 0.0
    weight: float = 1.0
    preset: str = "default"
    preset_reason: str = ""
    simulations: int = 0
    signals: tuple[Signal, ...] = ()
    plateau: Plateau = Plateau()
    match: MatchFacts | None = None
    failures: int = 0
    tournament_left: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The outcome of a pass.

    `jobs` are to be filed now, in this order; of those named in `forget` the failed or cancelled
    result is to be removed first. `cancel` names open jobs that nobody needs any more. `actions`
    are to be written by the keeper. `awaited` says that games of finished jobs are not stored yet.
    """

    configs: tuple[ConfigPlan, ...]
    jobs: tuple[Job, ...] = ()
    actions: tuple[Action, ...] = ()
    forget: frozenset[str] = frozenset()
    awaited: bool = False
    cancel: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
