"""All jobs that a hub knows, each with how it stands, for people (`cluster.md` 6).

Nothing decides from it: what the leader files it takes from the facts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from nats.js import JetStreamContext

from ringrift.cluster.attempts import Attempts, DeadLetter
from ringrift.cluster.jobs import Job, JobQueue, JobResult, result_of
from ringrift.cluster.reading import read_since
from ringrift.cluster.streams import RESULTS, Subjects
from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import short
from ringrift.core.log import get_logger

log = get_logger(__name__)

Standing = Literal["waiting", "taken", "done", "failed", "cancelled"]
STANDINGS: tuple[str, ...] = get_args(Standing)
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job and how it stands; what it was told is known while it is open, and of a dead one.

    `taken`: this node has it. `node` is who has it or did it.
    """

    id: str
    kind: str
    config: str
    standing: Standing
    node: str | None = None
    job: Job | None = None
    result: JobResult | None = None

    def as_fields(self) -> dict[str, Any]:
        """Return what a list shows of it; times are Unix seconds."""
        job, result = self.job, self.result
        return {
            "id": self.id,
            "kind": self.kind,
            "config": self.config,
            "class": None if job is None else job.needs.size,
            "prio": None if job is None else job.prio,
            "status": self.standing,
            "node": self.node,
            "reason": None if job is None else job.reason,
            "created_at": None if job is None else job.created_at,
            "started_at": None if result is None else result.started_at,
            "ended_at": None if result is None else result.ended_at,
            "attempts": None if result is None else result.attempts,
            "error": None if result is None or result.error is None else result.error["message"],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs are meant; None is any."""

    kind: str | None = None
    config: str | None = None
    standing: str | None = None
    node: str | None = None

    def has(self, row: JobRow) -> bool:
        """Tell whether a job is meant."""
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.kind, row.kind),
                (self.config, row.config),
                (self.standing, row.standing),
                (self.node, row.node),
            )
        )


class JobTable:
    """Looks at the jobs of a hub; its coroutines run in a `Bus`."""

    def __init__(self, js: JetStreamContext, subjects: Subjects) -> None:
        self._js = js
        self._subjects = subjects
        self._queue = JobQueue(js, subjects)
        self._attempts = Attempts(js, subjects)

    async def rows(self, *, held: Mapping[int, str], since_s: float = DAY_S) -> list[JobRow]:
        """Return the open jobs in the order of filing, then the ended ones, newest first.

        `held` are places in the queue and the node that has the job there; results are those of the
        last `since_s` seconds.
        """
        results = {result.job_id: result for result in await self._results(since_s)}
        open_rows = [
            JobRow(
                id=found.job.id,
                kind=found.job.kind,
                config=found.job.config,
                standing="taken" if found.seq in held else "waiting",
                node=held.get(found.seq),
                job=found.job,
            )
            for found in await self._queue.open()
            if found.job.id not in results
        ]
        ended = sorted(results.values(), key=lambda result: -result.ended_at)
        return [*open_rows, *map(_ended, ended)]

    async def one(self, name: str, *, held: Mapping[int, str]) -> tuple[JobRow, DeadLetter | None]:
        """Return the job that `name`, an id or its first digits, names, and its dead letter.

        Raises `UsageError` for a name that no job has, or several.
        """
        letters = {letter.job.id: letter for letter in await self._attempts.dead()}
        rows = {row.id: row for row in await self.rows(held=held, since_s=14 * DAY_S)}
        for identity, letter in letters.items():
            if (row := rows.get(identity)) is not None and row.job is None:
                rows[identity] = JobRow(
                    id=row.id,
                    kind=row.kind,
                    config=row.config,
                    standing=row.standing,
                    node=row.node,
                    job=letter.job,
                    result=row.result,
                )
        identity = one_id(name, rows)
        return rows[identity], letters.get(identity)

    async def _results(self, since_s: float) -> list[JobResult]:
        since = datetime.fromtimestamp(time.time() - since_s, UTC)
        stored = await read_since(
            self._js,
            RESULTS,
            self._subjects.result("*"),
            since=since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        return list(_readable((message.subject, message.data) for message in stored))


def one_id(
    name: str, known: Mapping[str, object], *, hint: str = "ringrift cluster jobs list"
) -> str:
    """Return the one id that begins with `name`; raises `UsageError` for none or several.

    `hint` is where to look for names.
    """
    found = [identity for identity in known if identity.startswith(name.lower())]
    if name and len(found) == 1:
        return found[0]
    if not found or not name:
        raise UsageError(f"no job {name!r}", where="ID", hint=hint)
    several = ", ".join(short(identity) for identity in found[:3])
    raise UsageError(f"{name!r} begins {len(found)} ids: {several}", where="ID", hint="more digits")


def _ended(result: JobResult) -> JobRow:
    return JobRow(
        id=result.job_id,
        kind=result.kind,
        config=result.config,
        standing=result.status,
        node=result.node,
        result=result,
    )


def _readable(stored: Iterator[tuple[str, bytes]]) -> Iterator[JobResult]:
    for subject, data in stored:
        try:
            yield result_of(data)
        except DataError as error:
            log.warning("no result", subject=subject, error=str(error))
