"""Keep this process's metrics and write them as Prometheus text or JSON lines (`core.md` 9).

A series appears with its first value and can be taken back: what is unknown is absent, never 0.
Any thread may write. `prometheus_client` is imported with the first value.
"""

from __future__ import annotations

import difflib
import math
import threading
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from ringrift.core.errors import RingriftError
from ringrift.core.log import JsonLines, get_logger
from ringrift.core.metrics_table import TABLE, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from prometheus_client import CollectorRegistry

log = get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SNAPSHOT_FILE = "metrics.jsonl"
# Twelve configurations with a score of kinds fit; a label that turns out to be an id does not.
MAX_SERIES = 500


class MetricError(RingriftError):
    """A metric, label or value that the table does not know: a mistake in our own code."""


class Metrics:
    """Hold the series of one process, each declared in `metrics_table.TABLE`."""

    def __init__(self, table: Mapping[str, Metric] = TABLE) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._registry: CollectorRegistry | None = None
        self._families: dict[str, Any] = {}
        self._series: dict[str, set[tuple[str, ...]]] = {}
        self._full: set[str] = set()

    def set(self, name: str, value: float | None, **labels: str) -> None:
        """Set a gauge; `None` takes the series back, because unknown is absent.

        Raises `MetricError` for unknown names, labels and kinds, and for a value not finite.
        """
        metric = self._metric(name, "gauge", labels)
        if value is None:
            self._remove(metric, labels)
            return
        self._apply("set", metric, labels, value)

    def inc(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter, by nothing less than 0; raises `MetricError` as `set` does."""
        metric = self._metric(name, "counter", labels)
        if amount < 0:
            raise MetricError(f"{name}: a counter never falls; found {amount:g}", where=name)
        self._apply("inc", metric, labels, amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Count a duration in seconds in a histogram; raises `MetricError` as `set` does."""
        metric = self._metric(name, "histogram", labels)
        self._apply("observe", metric, labels, value)

    def set_status(self, name: str, status: str, among: Iterable[str], **labels: str) -> None:
        """Set the series of `status` to 1 and those of the other statuses to 0."""
        for each in among:
            self.set(name, float(each == status), status=each, **labels)

    def value(self, name: str, **labels: str) -> float | None:
        """Return a series' value, the number of observations of a histogram; `None` if absent."""
        metric = self._table.get(name)
        suffix = "_count" if metric is not None and metric.kind == "histogram" else ""
        return self.snapshot().get(_series_name(name + suffix, labels))

    def text(self) -> bytes:
        """Return all series in Prometheus' text format 0.0.4 (`CONTENT_TYPE`)."""
        if self._registry is None:
            return b""
        from prometheus_client import generate_latest

        with self._lock:
            return generate_latest(self._registry)

    def snapshot(self) -> dict[str, float]:
        """Return all series by `name{label="value"}`; of histograms their count and sum."""
        if self._registry is None:
            return {}
        with self._lock:
            return {
                _series_name(sample.name, sample.labels): sample.value
                for family in self._registry.collect()
                for sample in family.samples
                if "le" not in sample.labels
            }

    def _metric(self, name: str, kind: Kind, labels: Mapping[str, str]) -> Metric:
        metric = self._table.get(name)
        if metric is None:
            near = difflib.get_close_matches(name, self._table, n=1)
            raise MetricError(
                f"unknown metric {name!r}", where=name, hint=near[0] if near else None
            )
        if metric.kind != kind:
            raise MetricError(f"{name} is a {metric.kind}, not a {kind}", where=name)
        if labels.keys() != set(metric.labels):
            raise MetricError(
                f"{name} has the labels {_listed(metric.labels)}; found {_listed(labels)}",
                where=name,
            )
        return metric

    def _apply(self, verb: str, metric: Metric, labels: Mapping[str, str], value: float) -> None:
        if not math.isfinite(value):
            raise MetricError(
                f"{metric.name}: found {value}; expected a finite number, or None for unknown",
                where=metric.name,
            )
        # Made and set under the lock that readers take: a scrape never sees a series' first 0.
        with self._lock:
            series = self._series_of(metric, tuple(labels[label] for label in metric.labels))
            if series is not None:
                getattr(series, verb)(value)

    def _series_of(self, metric: Metric, key: tuple[str, ...]) -> Any:
        """Return what holds one series, made if need be; `None` above `MAX_SERIES`."""
        known = self._series.setdefault(metric.name, set())
        if key not in known and len(known) >= MAX_SERIES:
            if metric.name not in self._full:
                log.warning("a metric has too many series", metric=metric.name, most=MAX_SERIES)
                self._full.add(metric.name)
            return None
        known.add(key)
        family = self._families.get(metric.name)
        if family is None:
            family = self._families[metric.name] = self._make(metric)
        return family.labels(*key) if metric.labels else family

    def _make(self, metric: Metric) -> Any:
        import prometheus_client

        if self._registry is None:
            # `_created` series double every counter, and nothing here asks for them.
            prometheus_client.disable_created_metrics()
            self._registry = prometheus_client.CollectorRegistry()
        name, meaning, labels, registry = metric.name, metric.help, metric.labels, self._registry
        if metric.kind == "counter":
            return prometheus_client.Counter(name, meaning, labels, registry=registry)
        if metric.kind == "gauge":
            return prometheus_client.Gauge(name, meaning, labels, registry=registry)
        return prometheus_client.Histogram(
            name, meaning, labels, registry=registry, buckets=metric.buckets
        )

    def _remove(self, metric: Metric, labels: Mapping[str, str]) -> None:
        key = tuple(labels[label] for label in metric.labels)
        with self._lock:
            known = self._series.get(metric.name, set())
            if key not in known:
                return
            known.discard(key)
            if known:
                self._families[metric.name].remove(*key)
            elif self._registry is not None:
                self._registry.unregister(self._families.pop(metric.name))


@cache
def process_metrics() -> Metrics:
    """Return the metrics of this process, which its server exports."""
    return Metrics()


class Snapshots:
    """Append `{"at", "values"}` to a run's `metrics.jsonl` every `interval_s` seconds.

    Use as a context manager; the last line is written when it ends. Each line is one write, so a
    killed run leaves whole lines.
    """

    def __init__(self, metrics: Metrics, path: Path, *, interval_s: float = 30.0) -> None:
        self._metrics = metrics
        self._lines = JsonLines(path.parent, path.stem, path=path)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics-snapshots", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._write()
        self._lines.close()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._write()

    def _write(self) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self._lines.write({"at": at, "values": self._metrics.snapshot()})
        except OSError as error:  # a full disk must not end the run that is measured
            log.warning("metrics not written", path=str(self._lines.path), error=str(error))


def _series_name(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    return name + "{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}"


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "none"
