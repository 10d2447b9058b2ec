"""An archive of what a hub holds, made while it runs (`cluster.md` 3).

Each stream is written by the server's own backup: a point in time of that stream, with its consumers.
Streams follow one another, the positions of collectors before the games, so that no position lies
beyond the games that are there. The archive is a plain tar file:

    hub/<stream>/backup.json    configuration and state
    hub/<stream>/stream.tar.s2  what the server wrote
    files/...                   the hub's own files, this node's claims, the decisions
    backup.json                 when and of which hub, with the SHA-256 of all
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nats.js import JetStreamContext

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import HubState
from ringrift.cluster.streams import COMMITTED
from ringrift.core.errors import NotRunningError
from ringrift.core.files import sync_folder
from ringrift.core.log import get_logger
from ringrift.core.paths import Paths

log = get_logger(__name__)

CHUNK_BYTES = 128 << 10
CHUNK_S = 10.0
STREAM_S = 3600.0
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """One stream in an archive."""

    name: str
    messages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What was written; `bytes` is the size of the archive."""

    path: Path
    bytes: int
    streams: tuple[BackedUp, ...]
    files: int


def back_up(bus: Bus, state: HubState, paths: Paths, target: Path) -> Backup:
    """Write an archive of a running hub; the file appears whole, for its owner alone.

    Raises `NotRunningError` where the hub does not give a stream. The key of the node is not in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    sums: dict[str, str] = {}
    streams = []
    files = 0
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                for name in bus.run(_names(bus.js)):
                    with tempfile.TemporaryFile(dir=target.parent) as data:
                        told = bus.run(_snapshot(bus, name, data), timeout_s=STREAM_S)
                        about = json.dumps(told, indent=1, sort_keys=True).encode()
                        sums |= _add(archive, f"hub/{name}/backup.json", io.BytesIO(about))
                        size = data.tell()
                        sums |= _add(archive, f"hub/{name}/stream.tar.s2", data)
                    messages = int(told["state"]["messages"])
                    streams.append(BackedUp(name=name, messages=messages, bytes=size))
                for path in _files(paths):
                    with suppress(FileNotFoundError):
                        found = io.BytesIO(path.read_bytes())
                        sums |= _add(archive, f"files/{path.relative_to(paths.root)}", found)
                        files += 1
                tree = {"format": FORMAT, "at": time.time(), "hub": asdict(state), "sha256": sums}
                _add(archive, "backup.json", io.BytesIO(json.dumps(tree, indent=1).encode()))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)
    size = target.stat().st_size
    return Backup(path=target, bytes=size, streams=tuple(streams), files=files)


async def _names(js: JetStreamContext) -> list[str]:
    """Return the streams of a hub, the positions of collectors first."""
    names = [str(info.config.name) for info in await js.streams_info()]
    return sorted(names, key=lambda name: (name != f"KV_{COMMITTED}", name))


async def _snapshot(bus: Bus, stream: str, target: io.BufferedIOBase) -> dict[str, Any]:
    """Write the backup of a stream and return what the server says of it."""
    client = bus.client
    chunks = await client.subscribe(client.new_inbox())
    asked = {"deliver_subject": chunks.subject, "chunk_size": CHUNK_BYTES, "jsck": True}
    try:
        question = json.dumps(asked).encode()
        answer = await client.request(
            f"$JS.API.STREAM.SNAPSHOT.{stream}", question, timeout=CHUNK_S
        )
        told = json.loads(answer.data)
        if "error" in told:
            raise NotRunningError(
                f"the hub gives no backup: {told['error'].get('description')}", where=stream
            )
        while (chunk := await chunks.next_msg(timeout=CHUNK_S)).data:
            target.write(chunk.data)
            if chunk.reply:
                await client.publish(chunk.reply)
        return {"config": told["config"], "state": told["state"]}
    finally:
        await chunks.unsubscribe()


def _files(paths: Paths) -> Iterator[Path]:
    """Yield the hub's own files, what this node has taken, and the decisions."""
    yield paths.cluster / "hub" / "hub.json"
    yield paths.cluster / "hub" / "server.conf"
    yield paths.cluster / "claims"
    yield from sorted(path for path in paths.decisions.rglob("*") if path.is_file())


def _add(archive: tarfile.TarFile, name: str, data: io.BufferedIOBase) -> dict[str, str]:
    """Add a file as it is now; return its SHA-256 by its name."""
    member = tarfile.TarInfo(name)
    member.size = data.seek(0, os.SEEK_END)
    member.mode, member.mtime = 0o600, int(time.time())
    data.seek(0)
    digest = hashlib.file_digest(data, "sha256").hexdigest()
    data.seek(0)
    archive.addfile(member, data)
    return {name: digest}
