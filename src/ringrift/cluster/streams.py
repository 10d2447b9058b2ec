"""The streams and buckets of a hub, and their repair (`cluster.md` 3)."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import NotFoundError

from ringrift.core.errors import NotRunningError
from ringrift.core.log import get_logger

log = get_logger(__name__)

GAMES, JOBS, RESULTS, EVENTS = "GAMES", "JOBS", "RESULTS", "EVENTS"
NODES, LEASE, DESIRED, COMMITTED, MEMBERS = "nodes", "lease", "desired", "committed", "members"
MODELS = "models"

GIVEN_UP = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{JOBS}.>"
"""Where the server says that it has given out a job too often."""

DAY_S = 86_400.0
DUPLICATE_WINDOW_S = 600.0
NODE_TTL_S = 30.0
MOST_JOBS = 100_000
EVENTS_BYTES = 1 << 30
DESIRED_HISTORY = 10
RETRY_S = 5.0
"""How long making streams is tried: just after a server says it is healthy it may still refuse."""

_FIXED = ("retention", "storage")
"""What a stream cannot change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """The subjects of a cluster; `prefix` is `cluster.subject_prefix`."""

    prefix: str = "rr"

    def game(self, node: str, run: str) -> str:
        """Batches of games that a node made in a run."""
        return f"{self.prefix}.game.{node}.{run}"

    def job(self, kind: str, size: str, priority: int, node: str = "") -> str:
        """Jobs of one kind, class of machine and priority, for any node or for one."""
        own = f".{token(node)}" if node else ""
        return f"{self.prefix}.job.{kind}.{size}.{priority}{own}"

    def result(self, job: str) -> str:
        """Where the one result of a job is."""
        return f"{self.prefix}.result.{job}"

    def event(self, name: str) -> str:
        """Events of a kind."""
        return f"{self.prefix}.event.{name}"

    @property
    def filed(self) -> str:
        """Where whoever has filed jobs says so; no stream keeps it."""
        return f"{self.prefix}.filed"


def token(node: str) -> str:
    """Return the name of a node as one word of a subject, or of a consumer."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", node)


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
            subjects=[f"{prefix}.event.>", GIVEN_UP],
            retention=RetentionPolicy.LIMITS,
            max_bytes=EVENTS_BYTES,
            max_age=14 * DAY_S,
            allow_direct=True,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting of a stream that is not what it should be."""

    setting: str
    found: Any
    wanted: Any

    def __str__(self) -> str:
        return f"{self.setting} {_plain(self.found)}; expected {_plain(self.wanted)}"


Condition = Literal["ok", "missing", "differs", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A stream, bucket or object store beside what it should be; `info` is None where it is missing.

    What is `wrong` cannot be changed in place: it has to be made anew.
    """

    name: str
    kind: Literal["stream", "bucket", "object store"]
    info: StreamInfo | None
    wanted: StreamConfig
    differences: tuple[Difference, ...] = ()

    @property
    def condition(self) -> Condition:
        """How it stands."""
        if self.info is None:
            return "missing"
        if any(found.setting in _FIXED for found in self.differences):
            return "wrong"
        return "differs" if self.differences else "ok"

    def __str__(self) -> str:
        told = "missing" if self.info is None else "; ".join(map(str, self.differences)) or "ok"
        return f"{self.kind} {self.name}: {told}"


async def examine(
    js: JetStreamContext, subjects: Subjects, *, games_bytes: int, replicas: int = 1
) -> list[Examined]:
    """Return all that a hub should hold beside what it holds; changes nothing."""
    wanted: list[tuple[str, Literal["stream", "bucket", "object store"], StreamConfig]] = [
        (name, "stream", config)
        for name, config in stream_table(
            subjects, games_bytes=games_bytes, replicas=replicas
        ).items()
    ]
    wanted += [
        (name, "bucket", _stream_of(bucket))
        for name, bucket in bucket_table(replicas=replicas).items()
    ]
    models = StreamConfig(name=f"OBJ_{MODELS}", storage=StorageType.FILE, num_replicas=replicas)
    wanted.append((MODELS, "object store", models))
    examined = []
    for name, kind, config in wanted:
        assert config.name is not None
        try:
            info = await js.stream_info(config.name)
        except NotFoundError:
            examined.append(Examined(name=name, kind=kind, info=None, wanted=config))
            continue
        different = _differences(info.config, config)
        examined.append(
            Examined(name=name, kind=kind, info=info, wanted=config, differences=different)
        )
    return examined


async def ensure(
    js: JetStreamContext,
    subjects: Subjects,
    *,
    games_bytes: int,
    replicas: int = 1,
    remake: bool = False,
) -> list[str]:
    """Make what is missing and repair what differs; return one sentence for each change.

    With `remake` also what cannot be changed in place is made anew, empty. Raises `NotRunningError`
    naming what the hub refused, or, without, a stream that would have to be.
    """
    deadline_s = asyncio.get_running_loop().time() + RETRY_S
    while True:
        try:
            return [
                await _repair(js, found, remake=remake)
                for found in await examine(js, subjects, games_bytes=games_bytes, replicas=replicas)
                if found.condition != "ok"
            ]
        except (NatsError, TimeoutError) as error:
            if asyncio.get_running_loop().time() > deadline_s:
                raise NotRunningError(f"the hub refused its streams: {error}") from error
            await asyncio.sleep(0.1)


async def _repair(js: JetStreamContext, found: Examined, *, remake: bool) -> str:
    """Put one thing right and say what was done."""
    condition = found.condition
    if condition == "wrong" and not remake:
        raise NotRunningError(
            f"the hub has {found}",
            hint="ringrift cluster hub status --repair, which makes it anew",
        )
    if condition == "differs":
        assert found.info is not None
        changed = {each.setting: each.wanted for each in found.differences}
        config = found.info.config.evolve(**changed)
        if config.max_age and (config.duplicate_window or 0.0) > config.max_age:
            config = config.evolve(duplicate_window=config.max_age)  # the server refuses more
        await js.update_stream(config)
        change = f"{found.kind} {found.name}: {', '.join(changed)} repaired"
    else:
        if condition == "wrong":
            await js.delete_stream(str(found.wanted.name))
        await _make(js, found)
        change = f"{found.kind} {found.name} made{' anew' if condition == 'wrong' else ''}"
    log.info("hub", change=change)
    return change


async def _make(js: JetStreamContext, found: Examined) -> None:
    if found.kind == "stream":
        await js.add_stream(found.wanted)
    elif found.kind == "object store":
        await js.create_object_store(found.name)
    else:
        await js.create_key_value(bucket_table(replicas=found.wanted.num_replicas or 1)[found.name])
        if found.wanted.allow_msg_ttl:
            config = (await js.stream_info(f"KV_{found.name}")).config
            await js.update_stream(config.evolve(allow_msg_ttl=True))


def _stream_of(bucket: KeyValueConfig) -> StreamConfig:
    """Return what a bucket's stream should be."""
    return StreamConfig(
        name=f"KV_{bucket.bucket}",
        max_msgs_per_subject=bucket.history,
        max_age=bucket.ttl or 0.0,
        storage=StorageType.FILE,
        num_replicas=bucket.replicas,
        # Every renewal of a lease carries its own time to live.
        allow_msg_ttl=True if bucket.bucket == LEASE else None,
    )


def _differences(found: StreamConfig, wanted: StreamConfig) -> tuple[Difference, ...]:
    """Return where a stream is not what it should be, in what we ask for."""
    different = [
        Difference(setting=each.name, found=is_, wanted=should)
        for each in fields(wanted)
        if (should := getattr(wanted, each.name)) != each.default
        and should != (is_ := getattr(found, each.name))
    ]
    if wanted.name == GAMES:  # its size follows the free disk of the day it was made
        different = [each for each in different if each.setting != "max_bytes"]
    return tuple(different)


def _plain(value: Any) -> Any:
    """Return a setting as people write it."""
    return value.value if isinstance(value, Enum) else value
