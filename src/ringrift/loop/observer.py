"""Tells a pass of control to all who watch: event log, metrics, health, alerts, status, screen.

Nothing here decides, and a disk that takes no status ends no loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ringrift.core.limits import Resource
from ringrift.core.log import get_logger
from ringrift.loop.status import Moment, Resources, StatusFile, status_of

if TYPE_CHECKING:
    from ringrift.cluster.attempts import FailedAttempt
    from ringrift.core.limits import Verdict
    from ringrift.core.settings import Settings
    from ringrift.loop.control import Pass
    from ringrift.loop.history import History
    from ringrift.loop.plan import Conditions
    from ringrift.loop.showing import Screen
    from ringrift.loop.status import RunningJob
    from ringrift.loop.telemetry import Telemetry
    from ringrift.loop.watching import LoopAlerts

log = get_logger(__name__)

TELL_EVERY_S = 60.0
SLOTS_OF_QUICK, LEAST_GAMES_PER_S = 2, 5.0
HOUR_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Observer:
    """Takes the passes of one run.

    `jobs` returns what the slots of this machine work at, `verdicts` the newest judgement of the
    machine, `failures` the newest failed attempts of jobs, `spool_oldest_s` the age of what waits
    longest to be sent, None where nothing waits.
    """

    root: Path
    profile: str
    settings: Settings
    history: History
    telemetry: Telemetry
    alerts: LoopAlerts
    screen: Screen
    jobs: Callable[[], Sequence[RunningJob]]
    verdicts: Callable[[], Sequence[Verdict]]
    failures: Callable[[], Sequence[FailedAttempt]] = tuple
    spool_oldest_s: Callable[[], float | None] = lambda: None
    _file: StatusFile = field(init=False)
    _alone_told_at: float = field(default=float("-inf"), init=False)
    _last_now: float | None = field(default=None, init=False)
    _status: dict[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._file = StatusFile(self.root)

    def on_pass(self, made: Pass) -> None:
        """Take a pass: log what is new, count it, publish the status and show it."""
        conditions, facts = made.conditions, made.gathered.facts
        jobs, verdicts = list(self.jobs()), list(self.verdicts())
        collected = made.gathered.collected
        for job in made.filed:
            self.history.filed(job)
        self.history.failed_attempts(tuple(self.failures()))
        self.history.quarantined(collected.quarantined, collected.reasons)
        self.history.look(made.plan, facts, made.seen.results, jobs, conditions)
        rates = self.history.games_per_hour()
        self.telemetry.look(
            made.plan,
            facts,
            jobs,
            pass_seconds=made.seconds,
            lag_s=self._lag(conditions.now),
            games_per_hour=rates,
        )
        self.telemetry.results(made.seen.results)
        self.telemetry.machine(verdicts, conditions.guard, conditions.guard_reasons)
        if collected.error is not None:
            self.telemetry.health.fails("collect", collected.error)
        self._look_for_alerts(made, jobs, verdicts, sum(rates.values()) if rates else None)
        running = {job.id for job in jobs}
        waiting: Counter[str] = Counter(job.kind for job in made.seen.open if job.id not in running)
        moment = Moment(
            profile=self.profile,
            first_started_at=self.history.first_started_at,
            since=self.history.since,
            games_per_hour=rates,
            matches=self.history.matches,
            waiting=dict(waiting),
            warnings=(*self._without_workers(conditions), *self._slow(made, rates)),
        )
        resources = resources_of(verdicts, conditions.guard)
        self._status = status_of(made.plan, facts, jobs, resources, conditions, moment)
        self._publish(now=False)

    def _without_workers(self, conditions: Conditions) -> tuple[str, ...]:
        """Say, and once a minute also on the screen, that nobody works at the jobs."""
        if conditions.slots:
            return ()
        words = "no worker here and no other node: loop.local_tasks is false"
        if conditions.now - self._alone_told_at >= TELL_EVERY_S:
            self._alone_told_at = conditions.now
            self.screen.note(words)
        return (words,)

    def _slow(self, made: Pass, rates: Mapping[str, float]) -> tuple[str, ...]:
        """Say that the quick profile makes too few games, and where its time goes (`loop.md` 12)."""
        conditions = made.conditions
        free = conditions.guard == "ok" and not conditions.held
        plays = any(job.kind == "selfplay" for job in made.seen.open)
        if self.profile != "quick" or not (free and plays) or conditions.slots < SLOTS_OF_QUICK:
            return ()
        if not rates or sum(rates.values()) / HOUR_S >= LEAST_GAMES_PER_S:
            return ()
        spent: Counter[str] = Counter()
        for config in rates:
            spent.update(self.history.job_seconds(config))
        shares = ", ".join(f"{kind} {seconds:.0f}" for kind, seconds in spent.items())
        return (
            f"slow self-play, {sum(rates.values()) / HOUR_S:.1f} games/s; job seconds: {shares}",
        )

    def end(self) -> None:
        """Leave the newest status behind."""
        self._publish(now=True)

    def _publish(self, *, now: bool) -> None:
        if self._status is None:
            return
        self.telemetry.publish(self._status)
        self.screen.show(self._status)
        try:
            self._file.write(self._status, now=now)
        except OSError as error:
            log.warning("status not written", error=str(error))

    def _lag(self, now: float) -> float | None:
        """Return how many seconds later than meant this pass came."""
        before, self._last_now = self._last_now, now
        if before is None:
            return None
        return max(0.0, now - before - self.settings.loop.reconcile_seconds)

    def _look_for_alerts(
        self,
        made: Pass,
        jobs: Sequence[RunningJob],
        verdicts: Sequence[Verdict],
        games_per_hour: float | None,
    ) -> None:
        conditions, collected = made.conditions, made.gathered.collected
        playing = "selfplay" in conditions.stages and conditions.guard == "ok"
        self.alerts.machine(verdicts)
        self.alerts.trainings(jobs, [each.config for each in made.plan.configs], conditions.now)
        self.alerts.production(games_per_hour, paused=not playing or bool(conditions.held))
        self.alerts.ratings(made.gathered.facts)
        self.alerts.collected(collected.games, collected.quarantined, collected.reasons)
        self.alerts.spool(self.spool_oldest_s())


def resources_of(verdicts: Sequence[Verdict], level: str) -> Resources:
    """Return the use of the machine; of several GPUs the fullest."""
    used: dict[str, float] = {}
    for verdict in verdicts:
        if verdict.used is not None and verdict.resource is not Resource.LOAD:
            name = str(verdict.resource)
            used[name] = max(used.get(name, 0.0), verdict.used / 100)
    return Resources(
        cpu=psutil.cpu_percent(None) / 100,
        memory=used.get("memory"),
        disk=used.get("disk"),
        gpu=used.get("gpu"),
        level=level,
    )
