"""Jobs that a command files with the hub of a running loop, and follows until their games are stored.

Each part of the work is a job, so the same work filed again is the same jobs. The games come into
the store the way of all games; here the store is only read.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import read_state
from ringrift.cluster.jobs import Job, JobQueue, JobResult
from ringrift.cluster.keys import node_key
from ringrift.cluster.lease import LEADER, holder_of
from ringrift.cluster.streams import Subjects
from ringrift.core.alert_messages import node_name
from ringrift.core.errors import NotRunningError, RingriftError
from ringrift.core.ids import short

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.records.store import GameStore

T = TypeVar("T")

MOST_ATTEMPTS = 3
"""Times that a job is filed whose games did not come, or that somebody cancelled."""
LOST_AFTER_S = 120.0
"""How long after a job's end its games may take into the store."""
FOLLOW_S, QUEUE_S = 0.25, 1.0
LEADERLESS_S = 45.0
"""How long jobs are left to a hub where nobody leads; another loop takes over by then."""
STARTING_S = 60.0
"""How long a loop may take to make its store."""
CALL_S = 60.0


class JobFailed(RingriftError):
    """A job failed on the nodes as often as it may."""

    exit_code = 5


@dataclass(slots=True, kw_only=True)
class Part:
    """Some games and the job that plays them; `missing` are those not stored yet.

    `of` names the whole of which it is a part; `filed` is how often this process filed it.
    """

    of: str
    games: tuple[int, ...]
    missing: set[int]
    job: Job
    filed: int = 0

    @property
    def name(self) -> str:
        """Its games, for people."""
        return f"games {self.games[0]} to {self.games[-1]}"

    def stands(self, result: JobResult) -> bool:
        """Tell whether a result is taken: its games have come or may still be on their way."""
        return result.status == "done" and time.time() - result.ended_at < LOST_AFTER_S

    def renew(self) -> None:
        """Take another job for the same games."""
        attempt = self.job.spec.get("attempt", 1) + 1
        self.job = replace(self.job, spec={**self.job.spec, "attempt": attempt})


@dataclass(slots=True)
class Filing:
    """Files parts with a hub and looks at what came of them; `asked` is the option that wants it."""

    bus: Bus
    subjects: Subjects
    asked: str
    _gone_s: float | None = None

    @property
    def queue(self) -> JobQueue:
        """The queue of the hub."""
        return JobQueue(self.bus.js, self.subjects)

    def tend(self, parts: Sequence[Part]) -> None:
        """File what is neither open nor done, and look at what came of the others.

        Raises `JobFailed` for a job that was given up, `NotRunningError` where nobody leads for
        long, and whatever a part says of its result.
        """
        try:
            open_jobs = {found.job.id for found in self.run(self.queue.open())}
            if self.run(holder_of(self.bus.js, LEADER)).free:
                raise not_led(self.asked)
        except NotRunningError:
            now_s = time.monotonic()
            self._gone_s = now_s if self._gone_s is None else self._gone_s
            if now_s - self._gone_s > LEADERLESS_S:
                raise
            return  # the hub, or its leader, comes back
        self._gone_s = None
        new = [part for part in parts if part.job.id not in open_jobs and self._is_due(part)]
        for part in new:
            if part.filed >= MOST_ATTEMPTS:
                raise JobFailed(
                    f"{part.name} did not come in {part.filed} attempts",
                    where=part.of,
                    hint="ringrift data quarantine list",
                )
            part.filed += 1
        if new:
            self.run(self.queue.file_all([part.job for part in new]))

    def cancel(self, parts: Sequence[Part], reason: str) -> None:
        """Take what is open of some parts out of the queue; whoever plays them stops."""
        with suppress(NotRunningError):  # without a hub nothing of it is played
            known = {found.job.id for found in self.run(self.queue.open())} if parts else set()
            for part in parts:
                if part.job.id in known:
                    self.run(self.queue.cancel(part.job.id, by=self.bus.node, reason=reason))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the hub."""
        return self.bus.run(work, timeout_s=CALL_S)

    def _is_due(self, part: Part) -> bool:
        """Tell whether a part is to be filed, as another job where one came to nothing."""
        while (result := self.run(self.queue.result(part.job.id))) is not None:
            if part.filed and result.status == "failed":
                why = (result.error or {}).get("message", "no reason is known")
                raise JobFailed(
                    f"{part.name}: {why}", where=f"{part.of}, job {short(result.job_id)}"
                )
            if part.stands(result):
                return False
            part.renew()
        return True


@contextmanager
def filing(paths: Paths, settings: Settings, *, asked: str) -> Iterator[Filing]:
    """Connect to the hub of a root; raises `NotRunningError` where none runs or nobody leads it."""
    need_hub(paths, asked)
    state = read_state(paths.cluster / "hub")
    assert state is not None
    key = node_key(paths.cluster / "node.nk")
    with Bus(state.url, key, node=node_name(), ping_s=settings.cluster.ping_seconds) as bus:
        if bus.run(holder_of(bus.js, LEADER)).free:
            raise not_led(asked)
        yield Filing(bus, Subjects(prefix=settings.cluster.subject_prefix), asked)


@contextmanager
def followed(path: Path) -> Iterator[GameStore]:
    """Open the store of a loop to read; where the loop is just starting, once it is made."""
    from ringrift.records.store import GameStore

    end_s = time.monotonic() + STARTING_S
    while True:
        try:
            store = GameStore.open(path)
        except RingriftError:
            if time.monotonic() >= end_s:
                raise
            time.sleep(FOLLOW_S)
        else:
            break
    with store:
        yield store


def need_hub(paths: Paths, asked: str) -> None:
    """Raise `NotRunningError` where no hub runs on a root; `asked` is the option that wants it."""
    state = read_state(paths.cluster / "hub")
    if state is None or not state.process.alive:
        raise NotRunningError(
            "no job bus is running",
            where=asked,
            hint=f"ringrift loop start; without {asked} on this machine",
        )


def not_led(asked: str) -> NotRunningError:
    """Return the error of a hub whose jobs nobody looks after."""
    return NotRunningError(
        "the hub runs, but no loop leads its jobs",
        where=asked,
        hint="ringrift loop start; the same command then goes on",
    )
