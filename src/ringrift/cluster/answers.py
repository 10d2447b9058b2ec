"""What a node tells of the jobs it did: results, failed attempts, jobs it hands back.

A result lies in the node's spool before anybody is told, and its job leaves the queue after the
hub has the result: whatever is killed when, a job has one result (`cluster.md` 6).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress

from ringrift.cluster.attempts import Attempts, FailedAttempt
from ringrift.cluster.bus import Bus
from ringrift.cluster.claims import Claim, Claims
from ringrift.cluster.jobs import JobQueue, JobResult, result_of
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.core.errors import NotRunningError
from ringrift.core.ids import short
from ringrift.core.log import get_logger

log = get_logger(__name__)

LATER_S = 5.0
CALL_S = 6.0
KEPT_FAILURES = 100
REMOVE_EVERY_S = 1.0


class Answers:
    """Tells the hub; from any thread. What it does not take now is told by `flush` later."""

    def __init__(self, bus: Bus, claims: Claims, spool: Spool, subjects: Subjects) -> None:
        self._bus = bus
        self._claims = claims
        self._spool = spool
        self._subjects = subjects
        self._queue = JobQueue(bus.js, subjects)
        self._attempts = Attempts(bus.js, subjects)
        self._taken: deque[str] = deque()
        self._removed_s = time.monotonic()
        self._waiting = threading.Event()
        self._waiting.set()  # a former process may have left some
        self.failures: deque[FailedAttempt] = deque(maxlen=KEPT_FAILURES)

    def done(self, claim: Claim, result: JobResult) -> None:
        """Tell the result of a job, and take the job out of the queue."""
        body = result.as_bytes()
        kept = self._spool.add(self._subjects.result(result.job_id), body, kind="result")
        if self._stored(result):
            self._claims.finish(claim)
            self._taken.append(kept)
        else:
            self._waiting.set()
            self._claims.drop(claim)

    def has_result(self, claim: Claim) -> bool:
        """Tell whether a job has a result: it is done, or was cancelled; False without a hub."""
        with suppress(NotRunningError):
            return self._bus.run(self._queue.result(claim.job.id), timeout_s=CALL_S) is not None
        return False

    def attempt(self, claim: Claim) -> int:
        """Return the number of the attempt that a job is at; the first where the hub is away."""
        if claim.deliveries == 1:
            return 1
        with suppress(NotRunningError):
            failed = self._bus.run(self._attempts.of(claim.job.id), timeout_s=CALL_S)
            return len(failed) + 1
        return 1

    def failed(self, claim: Claim, failed: FailedAttempt) -> None:
        """Tell a failed attempt and hand the job back, for a while later."""
        self.failures.append(failed)
        log.warning(
            "job failed",
            job=short(failed.job_id),
            kind=failed.kind,
            config=failed.config,
            attempt=failed.attempt,
            error=failed.error["message"],
        )
        try:
            self._bus.run(self._attempts.tell(failed), timeout_s=CALL_S)
        except NotRunningError as error:
            log.warning("failed attempt not told", job=short(failed.job_id), error=error.message)
        self._claims.give_back(claim, delay_s=failed.delay_s)

    def flush(self, *, now: bool = False) -> None:
        """Tell the results that the hub has not taken; raises `NotRunningError` without one.

        What it has taken leaves the spool after a second, or `now`.
        """
        if now or time.monotonic() - self._removed_s >= REMOVE_EVERY_S:
            self._removed_s = time.monotonic()
            if taken := [self._taken.popleft() for _ in range(len(self._taken))]:
                self._spool.remove(taken)
        if not self._waiting.is_set():
            return
        self._waiting.clear()
        for batch in self._spool.unsent(kind="result"):
            result = result_of(batch.body)
            if not self._stored(result):
                self._waiting.set()
                raise NotRunningError(f"the result of job {short(result.job_id)} waits for the hub")
            self._spool.remove([batch.sha256])

    def _stored(self, result: JobResult) -> bool:
        """Store a result; True also where the job has one already."""
        try:
            if not self._bus.run(self._queue.store(result), timeout_s=CALL_S):
                log.info("job has a result already", job=short(result.job_id))
        except NotRunningError as error:
            log.warning("result kept in the spool", job=short(result.job_id), error=error.message)
            return False
        return True
