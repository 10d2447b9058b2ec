"""What the outside sees of a running loop: metrics, health, status (`loop.md` 9).

It is told what happens and decides nothing: with all of it broken the loop would do the same.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ringrift.core.alert_sender import alerting
from ringrift.core.files import write_atomic
from ringrift.core.limits import State as LimitState
from ringrift.core.metrics import Metrics, process_metrics
from ringrift.core.metrics_server import MetricsServer, Pages
from ringrift.loop.feedback import newest_trained
from ringrift.loop.health import OF_JOB, HealthBook, HealthWord
from ringrift.loop.plan import Plan, State
from ringrift.loop.status import champion_rating

if TYPE_CHECKING:
    from ringrift.cluster.jobs import JobResult
    from ringrift.core.limits import Verdict
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.events import Event
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.status import RunningJob

ADDRESS_FILE = Path("data/loop/address.json")
"""Where the running loop serves its pages, and the process that does."""
STATES: tuple[str, ...] = get_args(State)
_LEVELS = {
    LimitState.OK: 0.0,
    LimitState.WARNING: 1.0,
    LimitState.CRITICAL: 2.0,
    LimitState.UNKNOWN: None,
}
_GUARD: dict[str, HealthWord] = {"ok": "healthy", "warning": "degraded", "critical": "unhealthy"}


@dataclass(slots=True, kw_only=True)
class Telemetry:
    """Turns passes, events and results into metrics, health and the status page."""

    metrics: Metrics = field(default_factory=process_metrics)
    health: HealthBook = field(default_factory=HealthBook)
    began_at: float = field(default_factory=time.time)
    _status: dict[str, Any] | None = field(default=None, init=False)
    _seen: set[str] = field(default_factory=set, init=False)
    _games: dict[str, int] = field(default_factory=dict, init=False)
    _kinds: set[str] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    # --- what control tells

    def event(self, event: Event) -> None:
        """Take an event of the log."""
        handler = getattr(self, f"_on_{event['kind']}", None)
        if handler is not None:
            handler(event["config"], event["data"])

    def look(
        self,
        plan: Plan,
        facts: Sequence[ConfigFacts],
        jobs: Sequence[RunningJob],
        *,
        pass_seconds: float,
        lag_s: float | None,
        games_per_hour: Mapping[str, float],
    ) -> None:
        """Take a pass: its plan and facts, how long it took and how late it came, in seconds."""
        self.metrics.observe("ringrift_loop_control_pass_seconds", pass_seconds)
        self.metrics.set("ringrift_loop_control_lag_seconds", lag_s)
        self.health.works("store")
        self.health.works("bus")
        states = {each.config: each.state for each in plan.configs}
        for each in facts:
            if each.config in states:
                self._look_at(each, states[each.config], games_per_hour.get(each.config))
        for each_plan in plan.configs:
            llr = None if each_plan.match is None else each_plan.match.llr
            self.metrics.set("ringrift_loop_test_llr", llr, config=each_plan.config)
            self.metrics.set(
                "ringrift_loop_new_games", each_plan.new_games, config=each_plan.config
            )
        self._look_at_jobs(jobs)

    def results(self, results: Mapping[str, JobResult]) -> None:
        """Take the results of jobs: each counts once, and none from before this process."""
        for job_id in results.keys() - self._seen:
            self._seen.add(job_id)
            result = results[job_id]
            if result.ended_at < self.began_at:
                continue
            seconds = max(0.0, result.ended_at - result.started_at)
            config, kind = result.config, result.kind
            component = OF_JOB.get(kind)
            if result.status == "failed":
                self.metrics.inc("ringrift_loop_job_failures_total", config=config, kind=kind)
                if component is not None:
                    message = str((result.error or {}).get("message", "unknown"))
                    self.health.fails(component, message)
                continue
            if result.status != "done":
                continue
            if component is not None:
                self.health.works(component)
            self.metrics.observe("ringrift_loop_job_seconds", seconds, config=config, kind=kind)
            self.metrics.observe("ringrift_job_seconds", seconds, kind=kind)
            if kind == "train":
                self.metrics.observe("ringrift_loop_training_seconds", seconds, config=config)
            if kind == "selfplay":
                self._played(result, seconds)
            share = result.numbers.get("inference_share")
            if share is not None:
                self.metrics.set("ringrift_loop_selfplay_inference_share", share, config=config)

    def _played(self, result: JobResult, seconds: float) -> None:
        config, games = result.config, int(result.numbers.get("games", 0))
        plies = int(result.numbers.get("plies", 0))
        self.metrics.inc("ringrift_games_total", games, config=config, kind="selfplay")
        self.metrics.inc("ringrift_plies_total", plies, config=config)
        if games:
            self.metrics.observe("ringrift_game_seconds", seconds / games, config=config)

    def machine(self, verdicts: Sequence[Verdict], level: str, reasons: Sequence[str]) -> None:
        """Take a look at the machine and the guard's level."""
        for verdict in verdicts:
            name = verdict.name
            self.metrics.set("ringrift_resource_percent", verdict.used, resource=name)
            self.metrics.set("ringrift_limit_state", _LEVELS[verdict.state], resource=name)
        self.health.is_held("guard", _GUARD[level], "; ".join(reasons))

    def publish(self, status: dict[str, Any]) -> None:
        """Take the status that the page shows from now on."""
        with self._lock:
            self._status = status

    def status(self) -> dict[str, Any] | None:
        """Return the newest status, None before the first pass."""
        with self._lock:
            return self._status

    # --- one configuration

    def _look_at(self, facts: ConfigFacts, state: str, rate: float | None) -> None:
        config, metrics = facts.config, self.metrics
        metrics.set_status("ringrift_loop_state", state, STATES, config=config)
        metrics.set("ringrift_loop_games_per_hour", rate, config=config)
        metrics.set("ringrift_selfplay_games_per_hour", rate, config=config)
        before = self._games.get(config)
        if before is not None and facts.games > before:
            metrics.inc(
                "ringrift_loop_games_total", facts.games - before, config=config, kind="stored"
            )
        self._games[config] = facts.games
        rated = champion_rating(facts)
        elo = None if rated is None else rated.elo
        low, high = (None, None) if rated is None or rated.ci95 is None else rated.ci95
        metrics.set("ringrift_loop_elo", elo, config=config)
        metrics.set("ringrift_elo", elo, config=config)
        metrics.set("ringrift_loop_elo_ci_low", low, config=config)
        metrics.set("ringrift_loop_elo_ci_high", high, config=config)
        metrics.set("ringrift_loop_quality_score", facts.gates.quality, config=config)
        newest, champion = newest_trained(facts), facts.model(facts.champion)
        if newest is not None:
            metrics.set(
                "ringrift_loop_training_loss", newest.validation_loss, config=config, kind="total"
            )
            loss = newest.losses[-1] if newest.losses else None
            metrics.set("ringrift_loss", loss, config=config, kind="total")
            passes = float(len(newest.losses)) if newest.losses else None
            metrics.set("ringrift_loop_reuse_ratio", passes, config=config)
        ece = None if champion is None else champion.ece
        metrics.set("ringrift_loop_calibration_ece", ece, config=config)

    def _look_at_jobs(self, jobs: Sequence[RunningJob]) -> None:
        counts: dict[str, int] = dict.fromkeys(self._kinds, 0)
        for job in jobs:
            counts[job.kind] = counts.get(job.kind, 0) + 1
            if job.kind == "train" and job.progress.get("samples_per_s") is not None:
                self.metrics.set(
                    "ringrift_training_samples_per_second",
                    float(job.progress["samples_per_s"]),
                    config=job.config,
                )
        self._kinds |= counts.keys()
        for kind, count in counts.items():
            self.metrics.set("ringrift_loop_jobs_running", count, kind=kind)

    # --- events by kind

    def _on_games_ingested(self, config: str, data: Mapping[str, Any]) -> None:
        del config, data
        self.health.works("collect")

    def _on_training_finished(self, config: str, data: Mapping[str, Any]) -> None:
        self.metrics.set("ringrift_training_samples_per_second", None, config=config)
        del data

    def _on_promoted(self, config: str, data: Mapping[str, Any]) -> None:
        del data
        self.health.works("promote")
        self.metrics.inc("ringrift_promotions_total", config=config)
        self.metrics.inc("ringrift_loop_promotions_total", config=config)

    def _on_rejected(self, config: str, data: Mapping[str, Any]) -> None:
        del data
        self.health.works("promote")
        self.metrics.inc("ringrift_loop_rejections_total", config=config)

    def _on_inconclusive(self, config: str, data: Mapping[str, Any]) -> None:
        del config, data
        self.health.works("promote")

    def _on_games_quarantined(self, config: str | None, data: Mapping[str, Any]) -> None:
        name = config or "unknown"
        self.metrics.inc("ringrift_quarantined_total", data["games"], config=name)
        self.metrics.inc("ringrift_loop_quarantined_total", data["games"], config=name)


@contextmanager
def serving(
    telemetry: Telemetry, settings: Settings, paths: Paths, *, port: int | None
) -> Iterator[MetricsServer | None]:
    """Deliver alerts and, with a `port`, serve metrics on loopback while the block runs.

    The address stands in `ADDRESS_FILE`. Raises `BusyError` naming the process that holds the port.
    """
    with ExitStack() as stack:
        stack.enter_context(alerting(paths, settings.alerting))
        server = None
        if port is not None:
            pages = Pages(
                metrics=telemetry.metrics,
                health=telemetry.health.answer,
                ready=telemetry.health.answer,
                status=telemetry.status,
            )
            server = stack.enter_context(MetricsServer(pages, port=port))
            stack.enter_context(_address(paths.root / ADDRESS_FILE, server.url))
        yield server


@contextmanager
def _address(path: Path, url: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps({"pid": os.getpid(), "url": url}).encode() + b"\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
