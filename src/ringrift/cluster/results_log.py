"""The results of the last day, as far as they have been read (`cluster.md` 3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType

from ringrift.cluster.bus import Bus
from ringrift.cluster.jobs import JobResult, result_of
from ringrift.cluster.reading import Follower, Stored
from ringrift.cluster.streams import RESULTS, Subjects
from ringrift.core.errors import DataError, NotRunningError
from ringrift.core.log import get_logger

log = get_logger(__name__)

DAY_S = 86_400.0
FIRST_READ_S = 60.0
READ_EVERY_S = 0.25
FORGET_EVERY_S = 600.0


class ResultsLog:
    """Follows the results in a thread of its own while its block runs; from any thread.

    `on_new` is called from there with what is new. Without the block, `read` reads on.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        *,
        keep_s: float = DAY_S,
        on_new: Callable[[list[JobResult]], None] = lambda new: None,
    ) -> None:
        self._bus = bus
        self._follower = Follower(RESULTS, subjects.result("*"))
        self._keep_s = keep_s
        self._on_new = on_new
        self._forgot_s = time.time()
        self._found: dict[str, JobResult] = {}
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="results", daemon=True)

    def __enter__(self) -> ResultsLog:
        self.read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def results(self) -> Mapping[str, JobResult]:
        """What has been read so far, by job id; the mapping does not change."""
        return MappingProxyType(self._found)

    def read(self) -> list[JobResult]:
        """Read on and return what is new, in the order of storing.

        A hub that lost its storage begins anew: what was read before stays. Costs two requests
        where nothing is new. Raises `NotRunningError` without a hub.
        """
        with self._reading:
            new = []
            for message in self._bus.run(self._read(), timeout_s=FIRST_READ_S):
                try:
                    result = result_of(message.data)
                except DataError as error:
                    log.warning("no result", subject=message.subject, error=str(error))
                    continue
                if self._found.get(result.job_id) != result:
                    new.append(result)
            self._keep(new)
            return new

    def _follow(self) -> None:
        while not self._stopping.wait(READ_EVERY_S):
            with suppress(NotRunningError):  # the hub is away; the bus says so
                if new := self.read():
                    self._on_new(new)

    def forget(self, job_id: str) -> None:
        """Leave out a result that was removed from the hub."""
        with self._reading:
            self._found = {id_: one for id_, one in self._found.items() if id_ != job_id}

    async def _read(self) -> list[Stored]:
        since = datetime.fromtimestamp(time.time() - self._keep_s, UTC)
        stored, anew = await self._follower.read(
            self._bus.js, since=since.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        if anew:
            log.warning("the hub has a new stream of results")
        return stored

    def _keep(self, new: list[JobResult]) -> None:
        now = time.time()
        kept = self._found
        if now - self._forgot_s > FORGET_EVERY_S:
            self._forgot_s = now
            kept = {id_: one for id_, one in kept.items() if now - one.ended_at <= self._keep_s}
        if new or kept is not self._found:
            self._found = {**kept, **{result.job_id: result for result in new}}
