"""The queue of jobs as control sees it: what is open, what came of it, what it may file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ringrift.cluster.attempts import Attempts
from ringrift.cluster.jobs import JobQueue
from ringrift.cluster.positions import Purge
from ringrift.core.errors import NotRunningError
from ringrift.loop.job_specs import checked

if TYPE_CHECKING:
    from ringrift.cluster.bus import Bus
    from ringrift.cluster.jobs import Job, JobResult
    from ringrift.cluster.lease import Lease
    from ringrift.cluster.results_log import ResultsLog
    from ringrift.cluster.streams import Subjects
    from ringrift.loop.plan import Plan

SETTLE_EVERY_S = 1.0
PURGE_EVERY_S = 60.0
REPAIR_EVERY_S = 5.0


class HubJobs:
    """Files jobs in the leader's name, each checked before, and does the leader's other duties.

    `repair` makes the hub's streams that are missing.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        results: ResultsLog,
        lease: Lease,
        *,
        repair: Callable[[], object],
    ) -> None:
        self._bus = bus
        self._repair = repair
        self._queue = JobQueue(bus.js, subjects)
        self._attempts = Attempts(bus.js, subjects)
        self._purge = Purge()
        self._results = results
        self._lease = lease
        self._settle_at_s = self._purge_at_s = self._repaired_s = 0.0

    @property
    def leads(self) -> bool:
        """Whether this process may write as the leader now."""
        return self._lease.acting

    @property
    def results(self) -> Mapping[str, JobResult]:
        """The results of the last day, by job id."""
        return self._results.results

    def open(self) -> tuple[Job, ...]:
        """Return the jobs in the queue, waiting or being done; reads on in the results before."""
        try:
            self._results.read()
            return tuple(found.job for found in self._bus.run(self._queue.open()))
        except NotRunningError:
            self._repair_streams()
            raise

    def carry_out(self, plan: Plan) -> tuple[Job, ...]:
        """Cancel and file what a plan says; return the jobs that were not there or done before."""
        for job in plan.jobs:
            checked(job.kind, job.spec)
        if not self._lease.acting:
            return ()
        for job_id in plan.cancel:
            self._bus.run(self._queue.cancel(job_id, by=self._bus.node, reason="not needed"))
        for job_id in plan.forget:
            self._bus.run(self._queue.forget(job_id))
            self._results.forget(job_id)
        if not plan.jobs:
            return ()
        stamped = [replace(job, term=str(self._lease.term)) for job in plan.jobs]
        filed = self._bus.run(self._queue.file_all(stamped))
        return tuple(job for job, how in zip(stamped, filed, strict=True) if how == "filed")

    def tend(self) -> None:
        """Write off jobs that failed too often, purge games that every store has."""
        now_s = time.monotonic()
        try:
            if now_s >= self._settle_at_s:
                self._settle_at_s = now_s + SETTLE_EVERY_S
                self._bus.run(self._attempts.settle(self._bus.node))
            if now_s >= self._purge_at_s:
                self._purge_at_s = now_s + PURGE_EVERY_S
                self._bus.run(self._purge.run(self._bus.js))
        except NotRunningError:
            self._repair_streams()
            raise

    def _repair_streams(self) -> None:
        """Make the hub's streams again where it has lost its storage, now and then."""
        now_s = time.monotonic()
        if self._bus.connected and now_s >= self._repaired_s + REPAIR_EVERY_S:
            self._repaired_s = now_s
            self._repair()
