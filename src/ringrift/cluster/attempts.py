"""Failed attempts at jobs: told by the nodes, counted by the leader (`cluster.md` 6).

A job that failed as often as it may gets the result `failed` with all errors and leaves the queue;
what it was is kept as a dead letter, from which it can be filed again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from ringrift.cluster.jobs import (
    BACKOFF_S,
    MOST_DELIVERIES,
    Job,
    JobQueue,
    JobResult,
    OpenJob,
    job_of,
)
from ringrift.cluster.reading import Follower, read_from
from ringrift.cluster.streams import EVENTS, GIVEN_UP, Subjects
from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.core.ids import canonical_json, short
from ringrift.core.log import get_logger

log = get_logger(__name__)

POISON_NODES = 3
POISON_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """One attempt that failed; `error` has `type`, `message`, `tail`."""

    job_id: str
    kind: str
    config: str
    node: str
    attempt: int
    at: float
    error: Mapping[str, str]

    @property
    def delay_s(self) -> float:
        """How long the queue waits before the next attempt."""
        return BACKOFF_S[min(self.attempt, len(BACKOFF_S)) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A job that was given up, and how it failed each time."""

    job: Job
    attempts: tuple[FailedAttempt, ...]


class Attempts:
    """What is known of failed attempts; its coroutines run in a `Bus`."""

    def __init__(self, js: JetStreamContext, subjects: Subjects) -> None:
        self._js = js
        self._subjects = subjects
        self._queue = JobQueue(js, subjects)
        self._attempts = Follower(EVENTS, self._subject("attempt", "*"))
        self._advisories = Follower(EVENTS, GIVEN_UP)
        self._failed: dict[str, list[FailedAttempt]] = {}
        self._given_up: set[int] = set()

    async def tell(self, failed: FailedAttempt) -> None:
        """Note a failed attempt for all."""
        await self._js.publish(
            self._subject("attempt", failed.job_id), canonical_json(asdict(failed)), stream=EVENTS
        )

    async def of(self, job_id: str) -> list[FailedAttempt]:
        """Return the failed attempts at a job, in order."""
        stored = await read_from(self._js, EVENTS, self._subject("attempt", job_id))
        return [_failed_of(found.data) for found in stored]

    async def settle(self, node: str) -> list[JobResult]:
        """Write off the open jobs that failed as often as they may; for the leader, again and again.

        Returns the results it stored. A job that the queue has given out `MOST_DELIVERIES` times
        without hearing of it counts as failed.
        """
        await self._read_on()
        if not self._failed and not self._given_up:
            return []
        settled = []
        still_open = set()
        for known in await self._queue.open():
            still_open.add(known.job.id)
            errors = self._failed.get(known.job.id, [])
            if len(errors) >= known.job.max_attempts:  # another process may have them forgotten
                errors = self._failed[known.job.id] = await self.of(known.job.id)
            exhausted = known.seq in self._given_up
            if len(errors) >= known.job.max_attempts or exhausted:
                result = _written_off(known, errors, node)
                await self._bury(known.job, errors)
                if await self._queue.give_up(known, result):
                    settled.append(result)
                    log.warning(
                        "job given up",
                        job=short(known.job.id),
                        error=(result.error or {})["message"],
                    )
        self._given_up.clear()
        self._failed = {job: found for job, found in self._failed.items() if job in still_open}
        return settled

    async def dead(self) -> list[DeadLetter]:
        """Return the jobs that were given up and not filed again since, oldest first."""
        stored = await read_from(self._js, EVENTS, self._subject("dead", "*"))
        return [_letter_of(found.data) for found in stored]

    async def purge(self, job_ids: Iterable[str]) -> None:
        """Forget dead letters; the failed results stay, so that nothing is filed again by itself."""
        for job_id in job_ids:
            await self._js.purge_stream(EVENTS, subject=self._subject("dead", job_id))

    async def retry(self, job_id: str, *, force: bool = False) -> Job:
        """Forget the failed result of a job and its attempts, and file it again.

        Raises `UsageError` for a job that did not fail, `RefusedError` for one that failed on three
        nodes within a day, unless forced.
        """
        result = await self._queue.result(job_id)
        letters = await self.dead()
        job = next((found.job for found in letters if found.job.id == job_id), None)
        if job is None:
            raise UsageError(f"no failed job {short(job_id)}", hint="ringrift cluster jobs dead")
        if not force and result is not None and is_poison(result):
            raise RefusedError(
                f"job {short(job_id)} failed on {POISON_NODES} nodes within a day", hint="--force"
            )
        await self._queue.forget(job_id)
        for name in ("attempt", "dead"):
            await self._js.purge_stream(EVENTS, subject=self._subject(name, job_id))
        self._failed.pop(job_id, None)
        await self._queue.file_all([replace(job, created_at=0.0)], again=True)
        return job

    async def _read_on(self) -> None:
        told, anew = await self._attempts.read(self._js)
        if anew:
            log.warning("the hub has a new stream of events: failed attempts count anew")
            self._failed.clear()
        for found in told:
            try:
                failed = _failed_of(found.data)
            except DataError as error:
                log.warning("no failed attempt", seq=found.seq, error=str(error))
                continue
            self._failed.setdefault(failed.job_id, []).append(failed)
        told, anew = await self._advisories.read(self._js)
        if anew:
            self._given_up.clear()
        for found in told:
            with suppress(ValueError, KeyError):
                self._given_up.add(int(json.loads(found.data)["stream_seq"]))

    async def _bury(self, job: Job, errors: Sequence[FailedAttempt]) -> None:
        """Keep what a job was and how it failed, once."""
        subject = self._subject("dead", job.id)
        with suppress(NotFoundError):
            await self._js.get_last_msg(EVENTS, subject, direct=True)
            return
        tree: dict[str, Any] = {
            "job": json.loads(job.as_bytes()),
            "errors": [asdict(failed) for failed in errors],
        }
        await self._js.publish(subject, canonical_json(tree), stream=EVENTS)

    def _subject(self, name: str, job_id: str) -> str:
        return self._subjects.event(f"{name}.{job_id}")


def is_poison(result: JobResult) -> bool:
    """Tell whether a job failed on so many nodes, within a day, that the job is at fault."""
    if result.error is None or time.time() - result.ended_at > POISON_S:
        return False
    return bool(result.error["type"] == "poison")


def _written_off(known: OpenJob, errors: Sequence[FailedAttempt], node: str) -> JobResult:
    """Return the result of a job that is given up: its last error, and all before."""
    nodes = sorted({failed.node for failed in errors})
    now = time.time()
    if errors:
        last = errors[-1].error
    else:
        message = f"given out {MOST_DELIVERIES} times and never answered for"
        last = {"type": "deliveries", "message": message, "tail": ""}
    return JobResult(
        job_id=known.job.id,
        kind=known.job.kind,
        config=known.job.config,
        node=node,
        status="failed",
        started_at=min((failed.at for failed in errors), default=now),
        ended_at=now,
        attempts=len(errors),
        error={
            **last,
            "type": "poison" if len(nodes) >= POISON_NODES else last["type"],
            "term": known.job.term,
            "errors": [
                {"node": failed.node, "at": failed.at, "message": failed.error["message"]}
                for failed in errors
            ],
        },
    )


def _letter_of(data: bytes) -> DeadLetter:
    try:
        tree = json.loads(data)
        errors = tuple(FailedAttempt(**each) for each in tree["errors"])
        return DeadLetter(job=job_of(canonical_json(tree["job"])), attempts=errors)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"no dead letter: {error!r}", where="event") from error


def _failed_of(data: bytes) -> FailedAttempt:
    try:
        return FailedAttempt(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise DataError(f"no failed attempt: {error!r}", where="event") from error
