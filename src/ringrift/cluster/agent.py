"""The part of a node that does jobs: it takes what fits and runs it in slots (`cluster.md` 6)."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.cluster.answers import LATER_S, Answers
from ringrift.cluster.attempts import FailedAttempt
from ringrift.cluster.bus import Bus
from ringrift.cluster.claims import Claim, Claims, Place, places
from ringrift.cluster.job_child import Order, Setting
from ringrift.cluster.jobs import ACK_WAIT_S, JobResult
from ringrift.cluster.slots import Ended, Slot, best_slot
from ringrift.cluster.spool import Spool
from ringrift.cluster.streams import Subjects
from ringrift.cluster.waiting import Hold, Room, Taken, Waiting
from ringrift.core.errors import NotRunningError, RefusedError, RingriftError
from ringrift.core.ids import short
from ringrift.core.log import get_logger
from ringrift.core.paths import Paths
from ringrift.core.version_ranges import satisfies
from ringrift.core.versions import installed

log = get_logger(__name__)

GB = 1 << 30
IDLE_POLL_S = 0.5
TROUBLE_S = 1.0
LOOK_EVERY_S = 2.0
GRACE_S = 3.0
"""How long a job that must end may take, before its process is ended."""
STOP_EVERY_S = 0.2
JOIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job in a slot; `progress` is what it told last."""

    id: str
    kind: str
    config: str
    started_at: float
    progress: Mapping[str, Any]
    pid: int | None
    slot: int


class NodeAgent:
    """Does jobs in `slots` processes with `threads` cores and `gpus` together; a context manager.

    One thread takes jobs, in the order of the node; each slot has a thread that follows its process.
    `work` names each kind's function as `module:name`; `check(kind, spec)` raises for a spec that
    its kind does not know; `order` is where work is looked for, first things first; `hold` says what
    may not run now and is asked about twice a second. `memory_gb` bounds what jobs that run together
    need. `on_ended` is called when a slot has become free, from its thread.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        *,
        root: Path,
        node: str,
        slots: int,
        work: Mapping[str, str],
        check: Callable[[str, Mapping[str, Any]], object],
        spool: Spool,
        rules_hash: str,
        version: str | None = None,
        threads: int | None = None,
        gpus: int = 0,
        memory_gb: float | None = None,
        order: Sequence[Place] | None = None,
        hold: Callable[[], Hold] = Hold,
        on_ended: Callable[[], None] = lambda: None,
        ack_wait_s: float = ACK_WAIT_S,
    ) -> None:
        paths = Paths(root)
        self._logs = paths.logs / "jobs"
        self._node = node
        self._threads = slots if threads is None else threads
        self._work = dict(work)
        self._check = check
        self._rules_hash = rules_hash
        self._version = version or installed("ringrift") or "0"
        self._hold = hold
        self._on_ended = on_ended
        self._claims = Claims(bus, noted=paths.cluster / "claims", ack_wait_s=ack_wait_s)
        self._filed = subjects.filed
        self._answers = Answers(bus, self._claims, spool, subjects)
        self._waiting = Waiting(
            Room(slots=slots, threads=self._threads, gpus=gpus, memory_gb=memory_gb),
            places(work, gpus=gpus, node=node) if order is None else order,
            claim=self._claims.next,
            accept=self._accepted,
        )
        setting = Setting(
            root=root,
            node=node,
            spool_bytes=spool.most_bytes,
            subjects=subjects,
            search_path=tuple(sys.path),
        )
        self._slots = [Slot(number, setting) for number in range(slots)]
        self._given: list[queue.SimpleQueue[Taken | None]] = [
            queue.SimpleQueue() for _ in self._slots
        ]
        self._running: dict[int, Taken] = {}
        self._changed = threading.Condition()
        self._woken = False
        self._draining = threading.Event()
        self._threads_of: list[threading.Thread] = []
        self.done = 0

    def __enter__(self) -> NodeAgent:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def jobs(self) -> list[RunningJob]:
        """The jobs in the slots."""
        with self._changed:
            running = sorted(self._running.items())
        return [
            RunningJob(
                id=one.claim.job.id,
                kind=one.claim.job.kind,
                config=one.claim.job.config,
                started_at=one.started_at,
                progress=self._slots[slot].progress,
                pid=self._slots[slot].pid,
                slot=slot,
            )
            for slot, one in running
        ]

    @property
    def failures(self) -> deque[FailedAttempt]:
        """The last failed attempts of this node, oldest first."""
        return self._answers.failures

    def start(self) -> None:
        """Hand back what a killed process of this node held, and begin to work."""
        if former := self._claims.hand_back_former():
            log.info("jobs of a former process handed back", jobs=former)
        self._claims.listen(self._filed, self.wake)
        workers = [
            threading.Thread(target=self._serve, args=(slot,), name=f"slot-{slot.number}")
            for slot in self._slots
        ]
        self._threads_of = [threading.Thread(target=self._take, name="jobs"), *workers]
        for thread in self._threads_of:
            thread.daemon = True
            thread.start()

    def wake(self) -> None:
        """Look for jobs at once: some were filed."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Take no more jobs and hand back those that run, which get so long to leave in order.

        Returns whether all left by themselves. Their attempts do not count.
        """
        self._draining.set()
        self.wake()
        deadline_s = time.monotonic() + timeout_s
        while self._running and time.monotonic() < deadline_s + JOIN_S:
            for slot in self._slots:
                slot.stop(grace_s=max(0.0, deadline_s - time.monotonic()))
            with self._changed:
                self._changed.wait_for(lambda: not self._running, STOP_EVERY_S)
        return not self._running and time.monotonic() <= deadline_s

    def stop(self) -> None:
        """End everything; what still runs is handed back."""
        self.drain(0.0)
        for given in self._given:
            given.put(None)
        for thread in self._threads_of:
            thread.join(JOIN_S)
        with suppress(NotRunningError):  # what is left is told by the next process
            self._answers.flush(now=True)
        for slot in self._slots:
            slot.close()

    def _take(self) -> None:
        """Take jobs while slots are free; the thread of the node."""
        while not self._draining.is_set():
            pause_s = IDLE_POLL_S
            try:
                self._look()
            except NotRunningError as error:
                log.debug("hub away", error=error.message)
                pause_s = TROUBLE_S
            except Exception:
                log.exception("no job taken")
                pause_s = TROUBLE_S
            with self._changed:
                self._changed.wait_for(lambda: self._woken, pause_s)
                self._woken = False
        for one in self._waiting.jobs:
            self._claims.give_back(one.claim)
        self._waiting.jobs.clear()

    def _look(self) -> None:
        """Look once at what may run, and start what can."""
        hold = self._hold()
        self._apply(hold)
        self._beat(self._waiting.jobs)
        self._answers.flush()
        while self._start_one(hold):
            pass

    def _apply(self, hold: Hold) -> None:
        """Tell the jobs that run what may not go on."""
        with self._changed:
            running = list(self._running.items())
        for number, one in running:
            if hold.stops(one.claim.job.config):
                self._slots[number].stop(grace_s=GRACE_S)
        busy = {number for number, _ in running}
        for slot in self._slots:
            slot.hold(hold.new_producing or hold.anything)
            if hold.end and slot.number not in busy:
                slot.close()

    def _start_one(self, hold: Hold) -> bool:
        """Put one job into a free slot; False where no slot is free or nothing can start."""
        with self._changed:
            running = dict(self._running)
        free = [slot for slot in self._slots if slot.number not in running]
        if not free or hold.anything or hold.end or self._draining.is_set():
            return False
        one = self._waiting.next(list(running.values()), hold)
        if one is None:
            return False
        waited_s = time.monotonic() - one.taken_s
        if waited_s >= LOOK_EVERY_S and self._answers.has_result(one.claim):
            self._claims.finish(one.claim)
        else:
            self._begin(one, free)
        return True

    def _has(self, claim: Claim) -> bool:
        """Tell whether a job is here already; the queue missed its signs of life and gave it again."""
        with self._changed:
            for one in (*self._running.values(), *self._waiting.jobs):
                if one.claim.job.id == claim.job.id:
                    self._claims.drop(one.claim)
                    one.claim = claim
                    return True
        return False

    def _accepted(self, claim: Claim) -> Taken | None:
        """Return a job that can be done here; any other, and one that is here, is answered."""
        if self._has(claim):
            return None
        if claim.deliveries > 1 and self._answers.has_result(claim):
            self._claims.finish(claim)
            return None
        one = Taken(claim=claim, attempt=self._answers.attempt(claim))
        try:
            self._check_job(claim)
        except RingriftError as error:
            self._fail(one, {"type": type(error).__name__, "message": str(error), "tail": ""})
            return None
        if one.attempt > claim.job.max_attempts:  # the leader will write it off
            self._claims.give_back(claim, delay_s=LATER_S)
            return None
        return one

    def _check_job(self, claim: Claim) -> None:
        """Raise `RingriftError` for a job that this node cannot do."""
        job = claim.job
        if job.rules_hash != self._rules_hash:
            raise RefusedError(
                f"found rules {short(job.rules_hash)}; expected {short(self._rules_hash)}",
                where=f"{job.kind} job",
            )
        if not satisfies(self._version, f">={job.min_version}"):
            raise RefusedError(
                f"the job needs version {job.min_version}; this is {self._version}",
                where=f"{job.kind} job",
            )
        if job.kind not in self._work:
            raise RefusedError("this node does no such jobs", where=f"{job.kind} job")
        self._check(job.kind, job.spec)

    def _begin(self, one: Taken, free: Sequence[Slot]) -> None:
        slot = best_slot(free, one.claim.job.kind)
        one.started_at, one.began_s = time.time(), time.monotonic()
        with self._changed:
            self._running[slot.number] = one
        self._given[slot.number].put(one)

    def _serve(self, slot: Slot) -> None:
        """Do the jobs that are given to a slot; its thread."""
        while (one := self._given[slot.number].get()) is not None:
            try:
                self._do(slot, one)
            except Exception:
                log.exception("job lost", job=short(one.claim.job.id))
                self._claims.give_back(one.claim, delay_s=LATER_S)
            with self._changed:
                del self._running[slot.number]
                self._woken = True
                self._changed.notify_all()
            self._on_ended()

    def _do(self, slot: Slot, one: Taken) -> None:
        job = one.claim.job
        if self._draining.is_set():
            self._claims.give_back(one.claim)
            return
        ended = slot.run(
            Order(
                job=job.as_bytes(),
                work=self._work[job.kind],
                attempt=one.attempt,
                threads=min(job.needs.cpu, self._threads),
                log=self._logs / f"{job.id}.log",
            ),
            kind=job.kind,
            timeout_s=job.timeout_s,
            memory_bytes=int(job.needs.mem_gb * GB),
            every_second=lambda: self._watch(slot, one),
        )
        if one.has_result:
            self._claims.finish(one.claim)
        elif ended.how == "done":
            self._answers.done(one.claim, self._result(one, ended))
            self.done += 1
        elif ended.how == "failed":
            self._fail(one, ended.error)
        else:
            self._claims.give_back(one.claim, delay_s=LATER_S if ended.how == "later" else 0.0)

    def _watch(self, slot: Slot, one: Taken) -> None:
        """Give signs of life of a job that runs, and end it where it has a result already."""
        self._beat([one])
        now = time.monotonic()
        if now - one.looked_s >= LOOK_EVERY_S:
            one.looked_s = now
            if not one.has_result and self._answers.has_result(one.claim):
                one.has_result = True
                slot.stop(grace_s=GRACE_S - 1)

    def _beat(self, jobs: Iterable[Taken]) -> None:
        now = time.monotonic()
        for one in jobs:
            if now - one.beat_s >= self._claims.beat_s:
                one.beat_s = now
                self._claims.beat(one.claim)

    def _fail(self, one: Taken, error: Mapping[str, str]) -> None:
        job = one.claim.job
        self._answers.failed(
            one.claim,
            FailedAttempt(
                job_id=job.id,
                kind=job.kind,
                config=job.config,
                node=self._node,
                attempt=one.attempt,
                at=time.time(),
                error=dict(error),
            ),
        )

    def _result(self, one: Taken, ended: Ended) -> JobResult:
        job = one.claim.job
        return JobResult(
            job_id=job.id,
            kind=job.kind,
            config=job.config,
            node=self._node,
            status="done",
            started_at=one.started_at,
            ended_at=time.time(),
            attempts=one.attempt,
            outputs=ended.outputs,
            numbers=ended.numbers,
        )
