"""Declare every metric: its name, kind, labels, unit and meaning (`core.md` 9, `loop.md` 9).

Names are `ringrift_<noun>_<unit>`; labels are words from small sets, never ids. What is not in this
table cannot be exported, and the shipped dashboard may ask for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["counter", "gauge", "histogram"]

PREFIX = "ringrift_"
LABELS = frozenset({"config", "node", "kind", "status", "board", "resource", "route"})

# Upper bounds in seconds. Requests and passes of control take milliseconds, games seconds to an
# hour, jobs seconds to the four hours after which one is ended.
QUICK_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
GAME_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
JOB_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Declare one metric; `unit` is empty where the noun alone says it (a state, a rating)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name=PREFIX + name, kind="counter", help=meaning, labels=labels, unit=unit)


def _gauge(name: str, meaning: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name=PREFIX + name, kind="gauge", help=meaning, labels=labels, unit=unit)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(
        name=PREFIX + name,
        kind="histogram",
        help=meaning,
        labels=labels,
        unit="seconds",
        buckets=buckets,
    )


_GAMES = (
    _counter("games_total", "Finished self-play games.", "config", "kind", unit="games"),
    _counter("plies_total", "Plies of finished self-play games.", "config", unit="plies"),
    _histogram("game_seconds", "Duration of one game.", "config", buckets=GAME_SECONDS),
    _gauge("selfplay_games_per_hour", "Self-play games an hour.", "config", unit="games_per_hour"),
    _histogram("ingest_seconds", "Duration of one ingest.", buckets=JOB_SECONDS),
    _counter("quarantined_total", "Games that failed verification.", "config", unit="games"),
    _gauge("spool_items", "Things that wait to be delivered.", unit="items"),
    _gauge("spool_oldest_seconds", "Age of the oldest of them.", unit="seconds"),
)

_JOBS = (
    _gauge("jobs", "Jobs by status.", "status", unit="jobs"),
    _histogram("job_seconds", "Duration of one job.", "kind", buckets=JOB_SECONDS),
)

_CLUSTER = (
    _gauge("leader", "1 if this node leads, else 0."),
    _gauge("term", "Term of the leader that this node follows."),
    _gauge("hub_up", "1 if the hub answers, else 0."),
    _counter("publish_failures_total", "Messages that the hub did not take.", unit="failures"),
    _counter("sync_bytes_total", "Bytes copied between nodes.", "kind", unit="bytes"),
)

_LEARNING = (
    _gauge(
        "training_samples_per_second",
        "Samples a second of the running training.",
        "config",
        unit="samples_per_second",
    ),
    _gauge("loss", "Newest training loss by part.", "config", "kind"),
    _gauge("elo", "Rating of the champion.", "config"),
    _counter("promotions_total", "Candidates that became champion.", "config", unit="promotions"),
)

_HOST = (
    _gauge("resource_percent", "Use of a resource of this host.", "resource", unit="percent"),
    _gauge("limit_state", "0 below its limits, 1 warning, 2 critical.", "resource"),
    _gauge("breaker_state", "0 closed, 1 probing, 2 open.", "kind"),
    _counter("alerts_total", "Alerts sent, firing and resolved.", "kind", "status", unit="alerts"),
    _gauge("optimizer_workers", "Self-play workers that the optimizer allows.", unit="workers"),
    _gauge("optimizer_slots", "Workers that this host may have at most.", unit="slots"),
    _gauge(
        "optimizer_games_per_hour",
        "Self-play rate that the optimizer asks for.",
        unit="games_per_hour",
    ),
    _gauge("cloud_usd_per_hour", "Price of running instances.", "kind", unit="usd_per_hour"),
    _gauge("cloud_instances", "Instances by provider and status.", "kind", "status"),
    _histogram("http_seconds", "Duration of one request.", "route", buckets=QUICK_SECONDS),
)

_LOOP = (
    _gauge("loop_lag_seconds", "Age of the loop's newest status.", unit="seconds"),
    _counter("loop_games_total", "Games taken into the store.", "config", "kind", unit="games"),
    _gauge("loop_games_per_hour", "Games an hour into the store.", "config", unit="games_per_hour"),
    _gauge("loop_new_games", "Games since the newest model's dataset.", "config", unit="games"),
    _histogram("loop_training_seconds", "Duration of a training.", "config", buckets=JOB_SECONDS),
    _gauge("loop_training_loss", "Validation loss of the newest model.", "config", "kind"),
    _gauge(
        "loop_reuse_ratio",
        "Passes of the newest training over its samples.",
        "config",
        unit="ratio",
    ),
    _gauge("loop_elo", "Rating of the champion.", "config"),
    _gauge("loop_elo_ci_low", "Lower end of its 95 % interval.", "config"),
    _gauge("loop_elo_ci_high", "Upper end of its 95 % interval.", "config"),
    _counter("loop_promotions_total", "Promotions decided.", "config", unit="promotions"),
    _counter("loop_rejections_total", "Rejections decided.", "config", unit="rejections"),
    _gauge("loop_test_llr", "Log-likelihood ratio of the running test.", "config"),
    _gauge("loop_state", "1 for the state of a configuration, else 0.", "config", "status"),
    _histogram("loop_job_seconds", "Duration of one job.", "config", "kind", buckets=JOB_SECONDS),
    _gauge("loop_jobs_running", "Running jobs.", "kind"),
    _counter("loop_job_failures_total", "Failed jobs.", "config", "kind", unit="failures"),
    _counter("loop_quarantined_total", "Games put into quarantine.", "config", unit="games"),
    _histogram("loop_control_pass_seconds", "Duration of a control pass.", buckets=QUICK_SECONDS),
    _gauge("loop_control_lag_seconds", "Delay of the newest control pass.", unit="seconds"),
    _gauge(
        "loop_selfplay_inference_share",
        "Share of self-play time spent in nets.",
        "config",
        unit="share",
    ),
    _gauge("loop_quality_score", "Data quality score.", "config", unit="score"),
    _gauge("loop_calibration_ece", "Expected calibration error of the champion.", "config"),
)


def _by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


TABLE: dict[str, Metric] = _by_name((*_GAMES, *_JOBS, *_CLUSTER, *_LEARNING, *_HOST, *_LOOP))
