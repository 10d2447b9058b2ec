"""The jobs that a node has taken out of the queue and not yet given back (`cluster.md` 6).

Taking asks the consumers of the queue one after the other, in the node's own order, and waits for
nothing. What is held is noted in a file: a node that was killed hands its jobs back when it starts
again, and does not wait until the hub misses its signs of life.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ringrift.cluster.bus import Bus
from ringrift.cluster.jobs import (
    ACK_WAIT_S,
    NORMAL,
    URGENT,
    Job,
    Size,
    consumer_name,
    job_of,
)
from ringrift.cluster.streams import JOBS
from ringrift.core.errors import DataError, NotRunningError
from ringrift.core.log import get_logger

log = get_logger(__name__)

PULL_S = 2.0
ACK_S, ACK_TRIES = 2.0, 10
MOST_LINES = 1000
CALL_S = 5.0
_ACK_SUBJECT = "$JS.ACK."


class Place(NamedTuple):
    """Where jobs wait: one kind, class of machine and priority, for any node or for one."""

    kind: str
    size: Size
    prio: int
    node: str = ""

    @property
    def consumer(self) -> str:
        """The durable consumer of the jobs there."""
        return consumer_name(self.kind, self.size, self.prio, self.node)


_BESIDE = ("verify", "companion", "tune", "reanalyze", "bench", "selfplay")
_ORDER: dict[int, tuple[str, ...]] = {
    URGENT: ("match", "train", "dataset", *_BESIDE),
    NORMAL: ("train", "dataset", "match", *_BESIDE),
}


FOR_ONE = ("selfplay", NORMAL)
"""Kind and priority of the jobs that may be for one node alone."""


def places(kinds: Collection[str], *, gpus: int = 0, node: str = "") -> tuple[Place, ...]:
    """Return where a node with so many GPUs looks for jobs of these kinds, in order (`loop.md` 5).

    Matches of a running test come before training, then what else is measured, self-play last;
    normal self-play that is for this node alone before that for any.
    """
    sizes: tuple[Size, ...] = ("cpu", "bigmem", "gpu", "biggpu") if gpus else ("cpu", "bigmem")
    return tuple(
        Place(kind, size, prio, own)
        for prio, order in _ORDER.items()
        for kind in order
        if kind in kinds
        for own in ((node, "") if node and (kind, prio) == FOR_ONE else ("",))
        for size in sizes
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One job that this node has; `deliveries` counts how often the queue gave it to anybody."""

    job: Job
    deliveries: int
    message: Msg


class Notes:
    """What this node has, for its next process, so that it need not survive a power cut.

    A line `+ seconds subject` says that the answer to `subject` is owed, `- seconds subject` that it
    was given.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, float] = {}
        self._lines = 0
        self._file: IO[bytes] | None = None
        self._guard = threading.Lock()

    def since(self, then_s: float) -> list[str]:
        """Return what a former process held at or after a time, Unix seconds."""
        try:
            lines = self._path.read_text().split("\n")
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            log.warning("claims not known", path=str(self._path), error=repr(error))
            return []
        held: dict[str, float] = {}
        for line in lines:
            with suppress(ValueError):  # the last one may have been cut short
                sign, seconds, subject = line.split(" ")
                if sign == "+":
                    held[subject] = float(seconds)
                else:
                    held.pop(subject, None)
        return [subject for subject, seen_s in held.items() if seen_s >= then_s]

    def held(self, subject: str) -> None:
        """Note that a job is held now."""
        with self._guard:
            self._held[subject] = time.time()
            self._write("+", subject)

    def gone(self, subject: str) -> None:
        """Note that a job is not held any more."""
        with self._guard:
            if self._held.pop(subject, None) is not None:
                self._write("-", subject)

    def clear(self) -> None:
        """Begin a new file."""
        with self._guard:
            self._begin()

    def _write(self, sign: str, subject: str) -> None:
        if self._file is None or self._lines >= MOST_LINES:
            self._begin()
        assert self._file is not None
        self._file.write(f"{sign} {time.time():.3f} {subject}\n".encode())
        self._lines += 1

    def _begin(self) -> None:
        if self._file is not None:
            self._file.close()
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"+ {seen_s:.3f} {subject}\n" for subject, seen_s in self._held.items()]
        partial.write_text("".join(lines))
        partial.replace(self._path)
        self._file = self._path.open("ab", buffering=0)
        self._lines = len(lines)


def held_places(path: Path, now: float) -> set[int]:
    """Return the places in the queue of the jobs that a node holds by its notes, at `now`."""
    held = set()
    for subject in Notes(path).since(now - ACK_WAIT_S):
        words = subject.split(".")
        with suppress(ValueError):  # a subject of another kind
            held.add(int(words[words.index(JOBS) + 3]))
    return held


class Claims:
    """Takes jobs and gives them back; from any thread. `ack_wait_s` is the consumers'."""

    def __init__(self, bus: Bus, *, noted: Path, ack_wait_s: float = ACK_WAIT_S) -> None:
        self._bus = bus
        self._notes = Notes(noted)
        self._ack_wait_s = ack_wait_s
        self._answers: Subscription | None = None
        self._taking = threading.Lock()

    @property
    def beat_s(self) -> float:
        """How often a job that is held needs a sign of life."""
        return self._ack_wait_s / 3

    def hand_back_former(self) -> int:
        """Give back what a killed process of this node held; return how many it held.

        Only what the queue cannot have given to another node since.
        """
        former = self._notes.since(time.time() - self._ack_wait_s)

        async def give_back() -> None:
            for reply in former:
                await self._bus.client.publish(reply, Msg.Ack.Nak)
            await self._bus.client.flush()

        if former:
            self._bus.run(give_back(), timeout_s=CALL_S)
        self._notes.clear()
        return len(former)

    def listen(self, filed: str, wake: Callable[[], None]) -> None:
        """Call `wake`, from the thread of the bus, when the subject `filed` tells of new jobs.

        What is told while the hub is away is not heard: jobs are looked for all the same.
        """

        async def heard(_: Msg) -> None:
            wake()

        async def subscribe() -> None:
            await self._bus.client.subscribe(filed, cb=heard)

        with suppress(NotRunningError):
            self._bus.run(subscribe(), timeout_s=CALL_S)

    def next(self, places: Sequence[Place]) -> Claim | None:
        """Take the first job that waits, in the order of the places; None where none does.

        Raises `NotRunningError` where the hub does not answer.
        """
        with self._taking:
            claim = self._bus.run(self._next(places), timeout_s=CALL_S)
        if claim is not None:
            self._notes.held(claim.message.reply)
        return claim

    def beat(self, claim: Claim) -> None:
        """Tell the queue that a job is being done; a hub that is away is no error."""
        with suppress(NotRunningError):
            self._bus.run(claim.message.in_progress(), timeout_s=CALL_S)
            self._notes.held(claim.message.reply)

    def finish(self, claim: Claim) -> bool:
        """Take a job with a result out of the queue; False where the hub does not answer."""
        for _ in range(ACK_TRIES):
            with suppress(NotRunningError):
                self._bus.run(claim.message.ack_sync(timeout=ACK_S), timeout_s=CALL_S)
                self.drop(claim)
                return True
            if not self._bus.connected:
                break
        self.drop(claim)
        return False

    def drop(self, claim: Claim) -> None:
        """Say nothing more of a job; the queue gives it out again after a while."""
        self._notes.gone(claim.message.reply)

    def give_back(self, claim: Claim, *, delay_s: float = 0.0) -> None:
        """Let the queue give a job out again, after a delay; without a hub it does so by itself."""
        with suppress(NotRunningError):
            self._bus.run(claim.message.nak(delay=delay_s or None), timeout_s=CALL_S)
        self.drop(claim)

    async def _next(self, places: Sequence[Place]) -> Claim | None:
        if self._answers is None:
            self._answers = await self._bus.client.subscribe(self._bus.client.new_inbox())
        while self._answers.pending_msgs:
            # The answer to a question that was given up.
            if (
                claim := await self._claim(await self._answers.next_msg(timeout=PULL_S))
            ) is not None:
                return claim
        for place in places:
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{JOBS}.{place.consumer}"
            question = b'{"batch":1,"no_wait":true}'
            await self._bus.client.publish(subject, question, self._answers.subject)
            if (
                claim := await self._claim(await self._answers.next_msg(timeout=PULL_S))
            ) is not None:
                return claim
        return None

    async def _claim(self, message: Msg) -> Claim | None:
        """Return the job in an answer, None for one that says that there is none."""
        if not message.reply.startswith(_ACK_SUBJECT):
            return None
        try:
            job = job_of(message.data)
        except DataError as error:
            log.warning("a message in the queue is no job", error=str(error))
            await message.ack()
            return None
        return Claim(job=job, deliveries=message.metadata.num_delivered, message=message)
