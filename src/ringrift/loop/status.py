"""What a running loop does now, as one object for people and programs (`loop.md` 9).

It is put together from a pass of control and written to `data/loop/status.json`, whole, for whoever
reads; the loop never reads it back. Times are ISO 8601, an unknown number is null.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.loop.events import finite, utc
from ringrift.loop.facts import ConfigFacts, DecisionFacts, MatchFacts, RatedModel, TuningFacts
from ringrift.loop.plan import Conditions, ConfigPlan, Plan

SCHEMA = 1
STATUS_FILE = Path("data/loop/status.json")
WRITE_EVERY_S = 5.0
STALE_S = 300.0
HOUR_S, MINUTE_S = 3600.0, 60.0

Health = Literal["healthy", "degraded"]


class RunningJob(Protocol):
    """A job that a slot of this machine works at."""

    @property
    def id(self) -> str:
        """The job's id."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def config(self) -> str:
        """Its configuration."""

    @property
    def started_at(self) -> float:
        """When it began."""

    @property
    def progress(self) -> Mapping[str, Any]:
        """What it said last of how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Use of this machine, 0 to 1, None where it is unknown, and the guard's level."""

    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    gpu: float | None = None
    level: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a status says beside plan and facts.

    `since` is when each configuration entered its state, `first_started_at` when the loop was
    started first on this root, `matches` how many have finished. `games_per_hour` are by
    configuration, `waiting` the jobs that nobody works at yet, by kind. `dry` marks a plan that
    nobody carries out.
    """

    profile: str
    first_started_at: float | None = None
    since: Mapping[str, float] = field(default_factory=dict)
    games_per_hour: Mapping[str, float] = field(default_factory=dict)
    matches: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    dry: bool = False


def status_of(
    plan: Plan,
    facts: Sequence[ConfigFacts],
    jobs: Sequence[RunningJob],
    resources: Resources,
    conditions: Conditions,
    moment: Moment,
) -> dict[str, Any]:
    """Return the status as it is published."""
    by_config = {each.config: each for each in facts}
    warnings = [
        *plan.warnings,
        *(f"{each.config}: {words}" for each in plan.configs for words in each.warnings),
        *conditions.guard_reasons,
        *moment.warnings,
    ]
    halted = "all" in conditions.held
    troubled = halted or conditions.guard != "ok" or any(p.state == "held" for p in plan.configs)
    tree = {
        "schema": SCHEMA,
        "at": utc(conditions.now),
        "pid": os.getpid(),
        "started_at": utc(conditions.started_at),
        "profile": moment.profile,
        "health": "degraded" if troubled or warnings else "healthy",
        "halted": halted,
        "dry": moment.dry,
        "totals": totals_of(facts, moment.matches),
        "configs": {
            each.config: config_status(each, by_config[each.config], moment)
            for each in plan.configs
            if each.config in by_config
        },
        "jobs": [_job(job, conditions.now) for job in jobs],
        "waiting": dict(moment.waiting),
        "resources": {
            "cpu": resources.cpu,
            "memory": resources.memory,
            "disk": resources.disk,
            "gpu": resources.gpu,
            "level": resources.level,
        },
        "warnings": list(dict.fromkeys(warnings)),
    }
    found: dict[str, Any] = finite(tree)
    return found


def totals_of(facts: Sequence[ConfigFacts], matches: int) -> dict[str, int]:
    """Count what there is on this root."""
    kinds = [decision.kind for each in facts for decision in each.decisions]
    return {
        "games": sum(each.games for each in facts),
        "training_runs": sum(not model.random for each in facts for model in each.models),
        "matches": matches,
        "promotions": sum(each.generation for each in facts),
        "rejections": kinds.count("rejected"),
    }


def config_status(plan: ConfigPlan, facts: ConfigFacts, moment: Moment) -> dict[str, Any]:
    """Return one configuration's part."""
    rated = champion_rating(facts)
    model = facts.model(facts.champion)
    since = moment.since.get(plan.config)
    return {
        "state": plan.state,
        "reason": plan.reason,
        "since": None if since is None else utc(since),
        "champion": facts.champion,
        "generation": facts.generation,
        "elo": None if rated is None else rated.elo,
        "elo_ci95": None if rated is None or rated.ci95 is None else list(rated.ci95),
        "games": facts.games,
        "new_games": plan.new_games,
        "trigger": plan.trigger,
        "games_per_hour": moment.games_per_hour.get(plan.config),
        "candidate": facts.candidate,
        "test": None if plan.match is None else test_status(plan.match),
        "tests_since_promotion": {
            "tests": facts.tests,
            "expected_false": facts.tests_expected_false,
        },
        "last_decision": _last_decision(facts.decisions),
        "share": plan.share,
        "weight": plan.weight,
        "preset": plan.preset,
        "preset_reason": plan.preset_reason,
        "simulations": plan.simulations,
        "signals": [
            {"kind": each.kind, "value": each.value, "reason": each.reason} for each in plan.signals
        ],
        "calibration": {
            "ece": None if model is None else model.ece,
            "temperature": None if model is None else model.temperature,
        },
        "plateau": {
            "count": plan.plateau.count,
            "since": None if plan.plateau.since is None else utc(plan.plateau.since),
        },
        "tuning": _tuning(facts.tuning),
        "failures": plan.failures,
        "milestones": milestones_of(facts, moment.first_started_at),
    }


def _tuning(tuning: TuningFacts) -> dict[str, Any]:
    study = tuning.study
    return {
        "confidence": tuning.confidence,
        "trials": tuning.trials,
        "tuned_at": tuning.tuned_at,
        "study": None
        if study is None
        else {
            "at": utc(study.at),
            "trials": study.trials,
            "written": study.written,
            "outcome": study.outcome,
            "gain": study.gain,
            "score": study.score,
            "games": study.games,
        },
    }


def champion_rating(facts: ConfigFacts) -> RatedModel | None:
    """Return the rating of the champion, None where it has none."""
    return next((each for each in facts.ratings if each.model == facts.champion), None)


def test_status(match: MatchFacts) -> dict[str, Any]:
    """Return a match that is being played."""
    wins, losses, capped = match.wins_losses_capped
    return {
        "title": match.title,
        "opponent": match.opponent,
        "games": match.games,
        "played": match.played,
        "wins": wins,
        "losses": losses,
        "capped": capped,
        "score": match.score,
        "llr": match.llr,
        "bounds": None if match.bounds is None else list(match.bounds),
        "elo": match.elo,
        "elo_ci95": None if match.elo_ci95 is None else list(match.elo_ci95),
    }


def milestones_of(facts: ConfigFacts, first_started_at: float | None) -> dict[str, float]:
    """Return the minutes from the first start to each milestone, where the start is known."""
    if first_started_at is None:
        return {}
    return {
        name: round(max(0.0, at - first_started_at) / MINUTE_S, 2)
        for name, at in facts.milestones.items()
    }


def _last_decision(decisions: Sequence[DecisionFacts]) -> dict[str, Any] | None:
    if not decisions:
        return None
    last = decisions[-1]
    return {
        "kind": last.kind,
        "at": utc(last.at),
        "elo_diff": last.elo,
        "ci95": None if last.elo_ci95 is None else list(last.elo_ci95),
        "games": last.games,
        "reason": last.reason,
    }


def _job(job: RunningJob, now: float) -> dict[str, Any]:
    numbers = dict(job.progress)
    done, total = numbers.get("done"), numbers.get("total")
    progress = min(1.0, done / total) if done is not None and total else None
    return {
        "id": job.id,
        "kind": job.kind,
        "config": job.config,
        "state": "running",
        "seconds": round(max(0.0, now - job.started_at), 1),
        "progress": progress,
        "eta_s": numbers.get("eta_s"),
        "numbers": numbers,
    }


class StatusFile:
    """Keeps `data/loop/status.json` of one root at most `WRITE_EVERY_S` old."""

    def __init__(self, root: Path) -> None:
        self._path = root / STATUS_FILE
        self._written_s: float | None = None

    def write(self, status: Mapping[str, Any], *, now: bool = False) -> None:
        """Replace the file whole, unless it was replaced a moment ago and `now` is not set."""
        clock_s = time.monotonic()
        if not now and self._written_s is not None and clock_s - self._written_s < WRITE_EVERY_S:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(status, ensure_ascii=False, allow_nan=False)
        write_atomic(self._path, text.encode() + b"\n")
        self._written_s = clock_s


def read_status(root: Path) -> dict[str, Any] | None:
    """Return the newest status of a root, None where no loop has run there.

    Raises `DataError` for a file that is none.
    """
    path = root / STATUS_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise DataError(
            f"no status of this version; expected schema {SCHEMA}",
            where=str(path),
            hint="ringrift loop start",
        )
    return found
