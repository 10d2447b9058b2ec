"""What the outside sees of a running loop: metrics, health, status, alerts.

It listens to control and to the guard and decides nothing: with all of it broken the loop would do
the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringrift.core import alerts
from ringrift.core.alert_rules import KINDS, Sustained
from ringrift.core.alert_sender import alerting
from ringrift.core.limits import State
from ringrift.core.metrics import SNAPSHOT_FILE, Metrics, Snapshots, process_metrics
from ringrift.core.metrics_server import Answer, MetricsServer, Pages

if TYPE_CHECKING:
    from ringrift.core.limits import Verdict
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.interfaces import Played
    from ringrift.loop.runs import Run

STAGES = ("unborn", "selfplay", "train", "measure", "decide", "exam", "report")
_STATES = {State.OK: 0.0, State.WARNING: 1.0, State.CRITICAL: 2.0, State.UNKNOWN: None}


@dataclass(slots=True, kw_only=True)
class Telemetry:
    """Turns what happens in one run into metrics, status and alerts."""

    config: str
    training_timeout_s: float
    metrics: Metrics = field(default_factory=process_metrics)
    clock: Callable[[], float] = time.monotonic
    _status: dict[str, Any] = field(default_factory=dict, init=False)
    _reasons: tuple[str, ...] = field(default=(), init=False)
    _training_since: float | None = field(default=None, init=False)
    _now: dict[str, State] = field(default_factory=dict, init=False)
    _lasting: dict[str, Sustained] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    # --- what control and guard tell

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event of the run's log."""
        kind, data = event["kind"], event["data"]
        with self._lock:
            self._status["cycle"] = event["cycle"]
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(data)

    def games(self, games: Sequence[Played], added: int) -> None:
        """Take games that were handed to the store, of which `added` are new."""
        config = self.config
        for record, _ in games:
            kind = record.meta.purpose
            self.metrics.inc("ringrift_loop_games_total", config=config, kind=kind)
            if kind == "selfplay":
                self.metrics.inc("ringrift_games_total", config=config, kind=kind)
                self.metrics.inc("ringrift_plies_total", record.result.plies, config=config)
            if record.meta.ms is not None:
                self.metrics.observe("ringrift_game_seconds", record.meta.ms / 1000, config=config)
        with self._lock:
            self._status["games"] = self._status.get("games", 0) + added

    def look(self, verdicts: Sequence[Verdict]) -> None:
        """Take a look at the machine."""
        for verdict in verdicts:
            name = verdict.name
            self.metrics.set("ringrift_resource_percent", verdict.used, resource=name)
            self.metrics.set("ringrift_limit_state", _STATES[verdict.state], resource=name)
            self._alert_limit(verdict)
        self._look_at_training()

    def _alert_limit(self, verdict: Verdict) -> None:
        name = verdict.name
        self._now[name] = verdict.state
        if name not in self._lasting:
            self._lasting[name] = Sustained(
                lambda: self._now[name] is State.CRITICAL,
                KINDS["limit_critical"].for_s,
                clock=self.clock,
            )
        if self._lasting[name].holds():
            values = {"used": verdict.used, "limit": verdict.critical}
            alerts.alert("limit_critical", name, "critical", verdict.reason, values)
        elif verdict.state in (State.OK, State.WARNING):
            alerts.resolve("limit_critical", name)

    def _look_at_training(self) -> None:
        since = self._training_since
        if since is not None and self.clock() - since > self.training_timeout_s:
            hours = self.training_timeout_s / 3600
            text = f"the training runs longer than {hours:g} h"
            alerts.alert("training_timeout", self.config, "critical", text, {"hours": hours})

    # --- events by kind

    def _on_stage_started(self, data: Mapping[str, Any]) -> None:
        self._enter(str(data["stage"]))
        self._training_since = self.clock() if data["stage"] == "train" else None

    def _on_stage_ended(self, data: Mapping[str, Any]) -> None:
        stage, seconds = str(data["stage"]), float(data["seconds"])
        self.metrics.observe("ringrift_loop_job_seconds", seconds, config=self.config, kind=stage)
        if stage == "train":
            self._training_since = None
            alerts.resolve("training_timeout", self.config)

    def _on_guard_level(self, data: Mapping[str, Any]) -> None:
        with self._lock:
            self._reasons = tuple(data["reasons"])

    def _on_training_finished(self, data: Mapping[str, Any]) -> None:
        for part in ("policy_loss", "value_loss"):
            for metric, scores in (("loss", "train"), ("loop_training_loss", "validation")):
                if data.get(scores) is not None:
                    self.metrics.set(
                        f"ringrift_{metric}", data[scores][part], config=self.config, kind=part
                    )

    def _on_match_finished(self, data: Mapping[str, Any]) -> None:
        if data.get("llr") is not None:
            self.metrics.set("ringrift_loop_test_llr", data["llr"], config=self.config)

    def _on_promoted(self, data: Mapping[str, Any]) -> None:
        del data
        self.metrics.inc("ringrift_promotions_total", config=self.config)
        self.metrics.inc("ringrift_loop_promotions_total", config=self.config)

    def _on_rejected(self, data: Mapping[str, Any]) -> None:
        del data
        self.metrics.inc("ringrift_loop_rejections_total", config=self.config)

    def _on_games_quarantined(self, data: Mapping[str, Any]) -> None:
        self.metrics.inc("ringrift_quarantined_total", data["games"], config=self.config)
        text = f"{data['games']} games of our own did not verify"
        alerts.alert("verification", self.config, "critical", text, dict(data["reasons"]))

    def _enter(self, stage: str) -> None:
        self.metrics.set_status("ringrift_loop_state", stage, STAGES, config=self.config)
        with self._lock:
            self._status["stage"] = stage

    # --- what the server answers

    def health(self) -> Answer:
        """Say that the loop works, or what holds it."""
        with self._lock:
            reasons = self._reasons
        word = "degraded" if reasons else "healthy"
        return Answer(ok=not reasons, fields={"status": word, "reasons": list(reasons)})

    def status(self) -> dict[str, Any]:
        """Return what the run does now."""
        with self._lock:
            status = {**self._status, "reasons": list(self._reasons)}
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"schema": 1, "at": at, "pid": os.getpid(), "config": self.config, **status}


@contextmanager
def serving(
    telemetry: Telemetry, settings: Settings, paths: Paths, *, port: int | None
) -> Iterator[MetricsServer | None]:
    """Deliver alerts and, with a `port`, serve metrics on loopback while the block runs.

    Raises `BusyError` naming the process that holds the port.
    """
    with ExitStack() as stack:
        stack.enter_context(alerting(paths, settings.alerting))
        server = None
        if port is not None:
            pages = Pages(
                metrics=telemetry.metrics,
                health=telemetry.health,
                ready=telemetry.health,
                status=telemetry.status,
            )
            server = stack.enter_context(MetricsServer(pages, port=port))
        yield server


@contextmanager
def recorded(telemetry: Telemetry, run: Run) -> Iterator[None]:
    """Write the metrics of a run to its `metrics.jsonl` while the block runs."""
    with Snapshots(telemetry.metrics, run.folder / SNAPSHOT_FILE):
        yield
