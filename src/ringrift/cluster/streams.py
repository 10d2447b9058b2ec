"""The streams and buckets of a hub, and their repair (`cluster.md` 3)."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from ringrift.core.errors import NotRunningError
from ringrift.core.log import get_logger

log = get_logger(__name__)

GAMES, JOBS, RESULTS, EVENTS = "GAMES", "JOBS", "RESULTS", "EVENTS"
NODES, LEASE, DESIRED, COMMITTED, MEMBERS = "nodes", "lease", "desired", "committed", "members"
MODELS = "models"

DAY_S = 86_400.0
DUPLICATE_WINDOW_S = 600.0
NODE_TTL_S = 30.0
MOST_JOBS = 100_000
EVENTS_BYTES = 1 << 30
DESIRED_HISTORY = 10
RETRY_S = 5.0
"""How long making streams is tried: just after a server says it is healthy it may still refuse."""

_FIXED = ("retention", "storage")
"""What a stream cannot change; `hub status` names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """The subjects of a cluster; `prefix` is `cluster.subject_prefix`."""

    prefix: str = "rr"

    def game(self, node: str, run: str) -> str:
        """Batches of games that a node made in a run."""
        return f"{self.prefix}.game.{node}.{run}"

    def job(self, kind: str, size: str, priority: int) -> str:
        """Jobs of one kind, class of machine and priority."""
        return f"{self.prefix}.job.{kind}.{size}.{priority}"

    def result(self, job: str) -> str:
        """Where the one result of a job is."""
        return f"{self.prefix}.result.{job}"

    def event(self, name: str) -> str:
        """Events of a kind."""
        return f"{self.prefix}.event.{name}"


def stream_table(
    subjects: Subjects, *, games_bytes: int, replicas: int = 1
) -> dict[str, StreamConfig]:
    """Return the streams of a hub by name."""
    prefix = subjects.prefix
    shared: dict[str, Any] = {"storage": StorageType.FILE, "num_replicas": replicas}
    return {
        GAMES: StreamConfig(
            name=GAMES,
            subjects=[f"{prefix}.game.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            max_bytes=games_bytes,
            max_age=7 * DAY_S,
            duplicate_window=DUPLICATE_WINDOW_S,
            **shared,
        ),
        JOBS: StreamConfig(
            name=JOBS,
            subjects=[f"{prefix}.job.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_msgs=MOST_JOBS,
            allow_direct=True,
            **shared,
        ),
        RESULTS: StreamConfig(
            name=RESULTS,
            subjects=[f"{prefix}.result.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs_per_subject=1,
            max_age=14 * DAY_S,
            allow_direct=True,
            **shared,
        ),
        EVENTS: StreamConfig(
            name=EVENTS,
            subjects=[f"{prefix}.event.>"],
            retention=RetentionPolicy.LIMITS,
            max_bytes=EVENTS_BYTES,
            max_age=14 * DAY_S,
            **shared,
        ),
    }


def bucket_table(*, replicas: int = 1) -> dict[str, KeyValueConfig]:
    """Return the key-value buckets of a hub by name."""
    plain: dict[str, Any] = {"replicas": replicas, "storage": StorageType.FILE}
    return {
        NODES: KeyValueConfig(bucket=NODES, history=1, ttl=NODE_TTL_S, **plain),
        LEASE: KeyValueConfig(bucket=LEASE, history=1, **plain),
        DESIRED: KeyValueConfig(bucket=DESIRED, history=DESIRED_HISTORY, **plain),
        COMMITTED: KeyValueConfig(bucket=COMMITTED, history=1, **plain),
        MEMBERS: KeyValueConfig(bucket=MEMBERS, history=1, **plain),
    }


def games_bytes(folder: Path, most_gb: float) -> int:
    """Return the size of the stream of games: the setting, at most a quarter of the free disk.

    The server reserves it.
    """
    return int(min(most_gb * 1e9, shutil.disk_usage(folder).free / 4 * 0.9))


async def ensure(
    js: JetStreamContext, subjects: Subjects, *, games_bytes: int, replicas: int = 1
) -> list[str]:
    """Make what is missing and repair what differs; return one sentence for each change.

    Raises `NotRunningError` naming what the hub refused, or a stream that cannot be repaired.
    """
    deadline_s = asyncio.get_running_loop().time() + RETRY_S
    while True:
        try:
            return await _ensure(js, subjects, games_bytes=games_bytes, replicas=replicas)
        except (NatsError, TimeoutError) as error:
            if asyncio.get_running_loop().time() > deadline_s:
                raise NotRunningError(f"the hub refused its streams: {error}") from error
            await asyncio.sleep(0.1)


async def _ensure(
    js: JetStreamContext, subjects: Subjects, *, games_bytes: int, replicas: int
) -> list[str]:
    changes = []
    for name, wanted in stream_table(subjects, games_bytes=games_bytes, replicas=replicas).items():
        try:
            found = (await js.stream_info(name)).config
        except NotFoundError:
            await js.add_stream(wanted)
            changes.append(f"stream {name} made")
            continue
        different = [
            field.name
            for field in fields(wanted)
            if getattr(wanted, field.name) != field.default
            and getattr(wanted, field.name) != getattr(found, field.name)
        ]
        if name == GAMES and different == ["max_bytes"]:
            continue  # it follows the free disk of the day it was made
        fixed = [key for key in different if key in _FIXED]
        if fixed:
            raise NotRunningError(
                f"stream {name} has {fixed[0]} {getattr(found, fixed[0])}; expected "
                f"{getattr(wanted, fixed[0])}",
                hint="ringrift cluster hub grow, which makes it anew from the stores",
            )
        if different:
            await js.update_stream(found.evolve(**{key: getattr(wanted, key) for key in different}))
            changes.append(f"stream {name}: {', '.join(different)} repaired")
    for name, bucket in bucket_table(replicas=replicas).items():
        try:
            await js.stream_info(f"KV_{name}")
        except NotFoundError:
            await js.create_key_value(bucket)
            if name == LEASE:  # every renewal carries its own time to live
                config = (await js.stream_info(f"KV_{name}")).config
                await js.update_stream(config.evolve(allow_msg_ttl=True))
            changes.append(f"bucket {name} made")
    try:
        await js.stream_info(f"OBJ_{MODELS}")
    except NotFoundError:
        await js.create_object_store(MODELS)
        changes.append(f"object store {MODELS} made")
    for change in changes:
        log.info("hub", change=change)
    return changes
