"""Jobs: what is asked, what came of it, and their queue in the hub (`cluster.md` 6).

A job is named by its content, so filing it twice is one job and a finished one is never computed
again. The first result that is stored for a job wins.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, PubAck
from nats.js.errors import APIError, NotFoundError

from ringrift.cluster.reading import read_from
from ringrift.cluster.streams import JOBS, RESULTS, Subjects, token
from ringrift.core.errors import DataError
from ringrift.core.ids import canonical_json, content_id
from ringrift.core.log import get_logger

log = get_logger(__name__)

JobKind = Literal[
    "selfplay",
    "match",
    "train",
    "companion",
    "dataset",
    "reanalyze",
    "tune",
    "verify",
    "bench",
]
JOB_KINDS: tuple[str, ...] = get_args(JobKind)
Size = Literal["cpu", "bigmem", "gpu", "biggpu"]
Status = Literal["done", "failed", "cancelled"]
Filing = Literal["filed", "open", "done"]
URGENT, NORMAL = 0, 1

BIG_MEMORY_GB = 8.0
BIG_GPU_GB = 40.0
MOST_ATTEMPTS = 3
MOST_DELIVERIES = 25
"""Of one job by the queue: failed attempts, stops of a node and its deaths count alike, so that this
bounds only what the count of failed attempts does not see."""
ACK_WAIT_S = 30.0
MOST_WAITING = 4096
MOST_IN_FLIGHT = 256
BACKOFF_S = (5.0, 25.0, 125.0)
"""Before the second, third and further attempts of a job that failed."""

ALREADY_STORED, NO_MESSAGE = 10077, 10057
"""The hub's answers to a second result of a job, and about a message that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job takes of a machine."""

    cpu: int = 1
    mem_gb: float = 2.0
    gpu: int = 0
    gpu_mem_gb: float = 0.0
    disk_gb: float = 0.0

    @property
    def size(self) -> Size:
        """The class of machine that fits."""
        if self.gpu:
            return "biggpu" if self.gpu_mem_gb >= BIG_GPU_GB else "gpu"
        return "bigmem" if self.mem_gb > BIG_MEMORY_GB else "cpu"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work, fixed before it begins.

    `spec` is what its kind needs; `term` is that of the leader that filed it, `reason` says to
    people why. One with a `node` is done there and nowhere else.
    """

    kind: JobKind
    config: str
    spec: Mapping[str, Any]
    timeout_s: float
    rules_hash: str
    needs: Needs = field(default_factory=Needs)
    prio: int = NORMAL
    min_version: str = "0"
    max_attempts: int = MOST_ATTEMPTS
    reason: str = ""
    term: str = ""
    created_at: float = 0.0
    node: str = ""

    @cached_property
    def id(self) -> str:
        """Name the job by all that decides its result and its way."""
        tree = self.as_tree()
        for name in ("id", "term", "created_at"):
            del tree[name]
        return content_id("job", canonical_json(tree))

    def as_tree(self) -> dict[str, Any]:
        """Return the job as it travels."""
        tree: dict[str, Any] = {
            "kind": self.kind,
            "class": self.needs.size,
            "prio": self.prio,
            "config": self.config,
            "spec": dict(self.spec),
            "needs": asdict(self.needs),
            "min_version": self.min_version,
            "rules_hash": self.rules_hash,
            "timeout_s": self.timeout_s,
            "max_attempts": self.max_attempts,
            "reason": self.reason,
            **({"node": self.node} if self.node else {}),
        }
        return {
            "id": None,
            **tree,
            "term": self.term,
            "created_at": self.created_at,
        }

    def as_bytes(self) -> bytes:
        """Return the message."""
        return canonical_json({**self.as_tree(), "id": self.id})

    def subject(self, subjects: Subjects) -> str:
        """Return where it is filed."""
        return subjects.job(self.kind, self.needs.size, self.prio, self.node)


def job_of(data: bytes) -> Job:
    """Read a job; raises `DataError` for one that is malformed or is not what its id names."""
    try:
        tree = json.loads(data)
        identity, size = tree.pop("id"), tree.pop("class")
        if tree["kind"] not in JOB_KINDS:
            raise DataError(f"found kind {tree['kind']!r}", where="job kind")
        job = Job(**{**tree, "needs": Needs(**tree["needs"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"no job: {error!r}", where="job") from error
    if job.id != identity or job.needs.size != size:
        raise DataError(f"the job is not what its id {str(identity)[:12]} names", where="job id")
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of a job. `numbers` are its kind's; `error` has `type`, `message`, `tail`."""

    job_id: str
    kind: str
    config: str
    node: str
    status: Status
    started_at: float
    ended_at: float
    attempts: int
    outputs: tuple[Mapping[str, Any], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None

    def as_bytes(self) -> bytes:
        """Return the message."""
        return canonical_json(asdict(self))


def result_of(data: bytes) -> JobResult:
    """Read a result; raises `DataError` for a malformed one."""
    try:
        tree = json.loads(data)
        words = {name: sys.intern(tree[name]) for name in ("kind", "config", "node", "status")}
        # A day's results are held in memory: the words that all share are there once.
        numbers = {sys.intern(name): value for name, value in tree["numbers"].items()}
        return JobResult(**{**tree, **words, "numbers": numbers, "outputs": tuple(tree["outputs"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"no job result: {error!r}", where="result") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """A job in the queue and its place there."""

    job: Job
    seq: int


def consumer_name(kind: str, size: str, prio: int, node: str = "") -> str:
    """Return the name of the consumer of some jobs; of those for any node where none is named."""
    return "-".join((kind, size, str(prio), *([token(node)] if node else [])))


class JobQueue:
    """Files jobs and reads results; its coroutines run in a `Bus`.

    `ack_wait_s` is how long a job may go without a sign of life before another node gets it.
    """

    def __init__(
        self, js: JetStreamContext, subjects: Subjects, *, ack_wait_s: float = ACK_WAIT_S
    ) -> None:
        self._js = js
        self._subjects = subjects
        self._ack_wait_s = ack_wait_s

    async def file(self, job: Job) -> Filing:
        """Put a job into the queue, unless it is there or has a result."""
        return (await self.file_all([job]))[0]

    async def file_all(self, jobs: Sequence[Job], *, again: bool = False) -> list[Filing]:
        """Put jobs into the queue, each unless it is there or has a result.

        `again` is for a job that was in the queue within the last minutes and was removed.
        """
        known = {found.job.id for found in await self.open()} if jobs else set()
        results = await asyncio.gather(*(self.result(job.id) for job in jobs))
        for place in {(job.kind, job.needs.size, job.prio, job.node) for job in jobs}:
            await self.consumer(*place)
        answers: list[Filing] = []
        sent: list[asyncio.Task[PubAck]] = []
        for job, result in zip(jobs, results, strict=True):
            if result is not None or job.id in known:
                answers.append("done" if result is not None else "open")
                continue
            known.add(job.id)
            answers.append("filed")
            sent.append(asyncio.ensure_future(self._send(job, again=again)))
            if len(sent) % MOST_IN_FLIGHT == 0:
                await asyncio.gather(*sent)
        taken = iter(await asyncio.gather(*sent))
        if sent:
            client = self._js._nc  # noqa: SLF001 - the library has no other name for its connection
            await client.publish(self._subjects.filed)
        return [
            "open" if answer == "filed" and next(taken).duplicate else answer for answer in answers
        ]

    async def _send(self, job: Job, *, again: bool) -> PubAck:
        stamped = replace(job, created_at=job.created_at or time.time())
        return await self._js.publish(
            job.subject(self._subjects),
            stamped.as_bytes(),
            stream=JOBS,
            headers={"Nats-Msg-Id": f"{job.id}.{time.time_ns()}" if again else job.id},
        )

    async def open(self) -> list[OpenJob]:
        """Return the jobs that wait or are being done, in the order of filing."""
        found = []
        for stored in await read_from(self._js, JOBS, f"{self._subjects.prefix}.job.>"):
            try:
                found.append(OpenJob(job=job_of(stored.data), seq=stored.seq))
            except DataError as error:
                log.warning("a message in the queue is no job", seq=stored.seq, error=str(error))
        return found

    async def result(self, job_id: str) -> JobResult | None:
        """Return the result of a job, None where there is none yet."""
        subject = self._subjects.result(job_id)
        try:
            message = await self._js.get_last_msg(RESULTS, subject, direct=True)
        except NotFoundError:
            return None
        return result_of(message.data or b"")

    async def store(self, result: JobResult) -> bool:
        """Store a result; False where the job has one already."""
        try:
            await self._js.publish(
                self._subjects.result(result.job_id), result.as_bytes(), stream=RESULTS
            )
        except APIError as error:
            if error.err_code == ALREADY_STORED:
                return False
            raise
        return True

    async def give_up(self, job: OpenJob, result: JobResult) -> bool:
        """Store the result of a job that nobody can do and take it out of the queue."""
        stored = await self.store(result)
        await self.remove(job)
        return stored

    async def remove(self, job: OpenJob) -> None:
        """Take a job out of the queue; one that is gone is no error."""
        try:
            await self._js.delete_msg(JOBS, job.seq)
        except APIError as error:
            if error.err_code != NO_MESSAGE:
                raise

    async def cancel(self, job_id: str, *, by: str, reason: str = "") -> bool:
        """End a job that waits or is being done; False where it is not open.

        Whoever does it finds its result and stops.
        """
        job = next((known for known in await self.open() if known.job.id == job_id), None)
        if job is None:
            return False
        now = time.time()
        result = JobResult(
            job_id=job_id,
            kind=job.job.kind,
            config=job.job.config,
            node=by,
            status="cancelled",
            started_at=now,
            ended_at=now,
            attempts=0,
            error={"type": "cancelled", "message": reason, "tail": ""},
        )
        return await self.give_up(job, result)

    async def forget(self, job_id: str) -> None:
        """Remove the result of a job, so that it can be filed again."""
        await self._js.purge_stream(RESULTS, subject=self._subjects.result(job_id))

    async def consumer(self, kind: str, size: str, prio: int, node: str = "") -> str:
        """Return the durable consumer of a kind, class, priority and node, made on first use."""
        name = consumer_name(kind, size, prio, node)
        await self._js.add_consumer(
            JOBS,
            ConsumerConfig(
                durable_name=name,
                filter_subject=self._subjects.job(kind, size, prio, node),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait_s,
                max_deliver=MOST_DELIVERIES,
                max_ack_pending=MOST_WAITING,
                max_waiting=MOST_WAITING,
            ),
        )
        return name
