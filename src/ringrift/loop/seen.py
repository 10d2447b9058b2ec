"""What the jobs of the last day say of each configuration: what is open, what failed, what it took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringrift.cluster.jobs import Job, JobResult
    from ringrift.loop.plan import Conditions, JobsSeen

DAY_S = 86_400.0
ALL = "all"
OPTIONAL = frozenset({"tune", "companion"})


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed attempts of one kind of job since the last that succeeded."""

    kind: str = ""
    count: int = 0
    message: str = ""


@dataclass(slots=True)
class ConfigJobs:
    """The jobs of one configuration; results by kind, oldest first, of the last 24 h."""

    resumed: float = 0.0
    open: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    results: dict[str, list[JobResult]] = field(default_factory=lambda: defaultdict(list))

    def failures(self, most: int) -> Failures:
        """Return the failures in a row of the kind that has most of them, since `resumed`.

        Jobs that a person filed, in no term, are left out, and those that learning goes on without:
        studies, nets of further kinds. A failed result counts its attempts, and at least `most`
        unless the work goes on without it, as self-play does.
        """
        found = [
            self._of(kind, 1 if kind == "selfplay" else most)
            for kind in self.results
            if kind not in OPTIONAL
        ]
        return max(found, key=lambda one: one.count, default=Failures())

    def core_s(self, kind: str | None = None, *, since: float = 0.0) -> float:
        """Return the core-seconds that jobs took which ended after `since`."""
        kinds: Iterable[str] = self.results if kind is None else (kind,)
        total = 0.0
        for one in kinds:
            for result in reversed(self.results.get(one, ())):
                if result.ended_at <= since:
                    break
                total += core_seconds(result)
        return total

    def _of(self, kind: str, least: int) -> Failures:
        count, message = 0, ""
        for result in reversed(self.results[kind]):
            if result.ended_at <= self.resumed or result.status == "done":
                break
            if result.status == "failed" and (result.error or {}).get("term") != "":
                count += max(least, result.attempts)
                message = message or str((result.error or {}).get("message", "no reason is known"))
        return Failures(kind, count, message)


class Jobs:
    """The jobs of all configurations, with the results that a person's word has set aside."""

    def __init__(self, seen: JobsSeen, conditions: Conditions) -> None:
        self._results = seen.results
        self._open = {job.id for job in seen.open}
        self._resumed = conditions.resumed
        self.forget: set[str] = set()
        self.by_config: dict[str, ConfigJobs] = {}
        for job in seen.open:
            self.of(job.config).open[job.kind].append(job)
        since = conditions.now - DAY_S
        for result in seen.results.values():
            if result.ended_at > since:
                self.of(result.config).results[result.kind].append(result)
        for found in self.by_config.values():
            for results in found.results.values():
                results.sort(key=lambda result: result.ended_at)

    def of(self, config: str) -> ConfigJobs:
        """Return those of one configuration."""
        found = self.by_config.get(config)
        if found is None:
            found = self.by_config[config] = ConfigJobs(self.resumed(config))
        return found

    def resumed(self, config: str) -> float:
        """Return when a person last let a configuration go on, 0 if never."""
        return max(self._resumed.get(config, 0.0), self._resumed.get(ALL, 0.0))

    def is_open(self, job: Job) -> bool:
        """Tell whether a job waits or is being done."""
        return job.id in self._open

    def has_result(self, job: Job) -> bool:
        """Tell whether a job has any result."""
        return job.id in self._results

    def result(self, job: Job) -> JobResult | None:
        """Return a job's result.

        None also for a failed or cancelled one that does not count any more: the job may be filed
        again, once that result is forgotten.
        """
        result = self._results.get(job.id)
        if result is None or result.status == "done":
            return result
        if result.status == "cancelled" or result.ended_at <= self.resumed(job.config):
            return None
        return result

    def file(self, job: Job) -> Job:
        """Return a job to be filed, noting the old result that stands in its way."""
        if job.id in self._results:
            self.forget.add(job.id)
        return job

    def count(self, kind: str, *, prio: int | None = None) -> int:
        """Count the open jobs of a kind."""
        return sum(
            1
            for found in self.by_config.values()
            for job in found.open.get(kind, ())
            if prio is None or job.prio == prio
        )


def core_seconds(result: JobResult) -> float:
    """Return the core-seconds of a job, its wall time where it did not say."""
    took = result.numbers.get("cpu_seconds")
    if isinstance(took, int | float):
        return float(took)
    return max(0.0, result.ended_at - result.started_at)
