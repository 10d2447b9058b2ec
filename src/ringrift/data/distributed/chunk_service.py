"""Hand chunks to workers on other hosts over HTTP, and take their blocks (`data.md` 6).

    POST /chunks/take             {worker} -> {lease, chunk, files: {name: sha256}}; 204 none now, 410 done
    POST /leases/<id>/renew       the worker is alive; 410 if the chunk was given to another
    POST /leases/<id>/failed      {message, where, hint, code}: the chunk is tried again
    PUT  /leases/<id>/blocks      the file of blocks (`dataset.pack`)

The games of a chunk are shards, served under `/files/<sha256>`. A worker that is silent for `LEASE_S`
loses its chunk.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO

from ringrift.core.errors import BusyError, DataError, RingriftError
from ringrift.core.log import get_logger
from ringrift.data.distributed.publishing import check_blocks
from ringrift.data.distributed.serving import Reply
from ringrift.data.shards import export_shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ringrift.data.distributed.chunks import Chunk
    from ringrift.data.distributed.folder_queue import FolderLease, FolderQueue

log = get_logger(__name__)

LEASE_S = 20.0
RENEW_S = 5.0
MOST_BYTES = 4 * 1024**3
"""The largest file of blocks that is taken."""

_MOST_JSON = 64 * 1024
_PART = 1024 * 1024
_LEASE = re.compile(r"/leases/([0-9a-f]{32})/(renew|failed|blocks)")


@dataclass(slots=True)
class _Held:
    lease: FolderLease
    worker: str
    heard_s: float


class ChunkService:
    """Answer workers for some queues; the shards of chunks are made below `shards`."""

    def __init__(
        self, queues: Sequence[FolderQueue], shards: Path, *, lease_s: float = LEASE_S
    ) -> None:
        self._queues = queues
        self._shards = shards
        self._lease_s = lease_s
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def workers(self) -> list[str]:
        """Return the names of the workers that have a chunk."""
        with self._lock:
            return sorted(held.worker for held in self._held.values())

    def drop_silent(self) -> None:
        """Take the chunks of silent workers away."""
        oldest = time.monotonic() - self._lease_s
        with self._lock:
            silent = [key for key, held in self._held.items() if held.heard_s < oldest]
            dropped = [self._held.pop(key) for key in silent]
        for held in dropped:
            log.warning("a worker is silent", worker=held.worker, chunk=held.lease.chunk.name)
            held.lease.give_up(BusyError(f"worker {held.worker} fell silent"))

    def close(self) -> None:
        """Take all chunks back."""
        with self._lock:
            dropped, self._held = list(self._held.values()), {}
        for held in dropped:
            held.lease.release()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: BinaryIO, length: int
    ) -> Reply | None:
        """Answer a worker; None for a path that is not about chunks."""
        del headers
        self.drop_silent()
        if (method, path) == ("POST", "/chunks/take"):
            told = _object(body, length)
            return _bad("no JSON object") if told is None else self._take(str(told.get("worker")))
        match = _LEASE.fullmatch(path)
        if match is None:
            return None
        key, what = match.groups()
        if (method, what) not in {("POST", "renew"), ("POST", "failed"), ("PUT", "blocks")}:
            return _bad(f"{method} of {what}", HTTPStatus.METHOD_NOT_ALLOWED)
        if what == "renew":
            with self._lock:
                known = key in self._held
                if known:
                    self._held[key].heard_s = time.monotonic()
            return Reply.of({"ok": True}) if known else _gone()
        return (
            self._failed(key, body, length) if what == "failed" else self._blocks(key, body, length)
        )

    def _take(self, worker: str) -> Reply:
        for queue in self._queues:
            lease = queue.take()
            if lease is None:
                continue
            try:
                files = self._games_of(lease.chunk)
            except RingriftError as error:
                lease.give_up(error)
                raise
            key = secrets.token_hex(16)
            with self._lock:
                self._held[key] = _Held(lease, worker[:100], time.monotonic())
            log.info("a chunk was taken", worker=worker[:100], chunk=lease.chunk.name)
            return Reply.of({"lease": key, "chunk": lease.chunk.as_dict(), "files": files})
        done = all(queue.finished() for queue in self._queues)
        return _gone() if done else Reply(HTTPStatus.NO_CONTENT)

    def _games_of(self, chunk: Chunk) -> dict[str, str]:
        """Write the games of a chunk as shards; return name and hash of each file."""
        folder = self._shards / chunk.name
        files: dict[str, str] = {}
        for place, store in enumerate(chunk.plan.stores):
            ids = [game.id for game in chunk.plan.games if game.store == place]
            if not ids:
                continue
            made = export_shards(store, folder, ids=ids)
            files.update((shard.path.name, shard.sha256) for shard in made.shards)
            if made.list_path is not None:
                files[made.list_path.name] = _sha256(made.list_path)
        return files

    def _failed(self, key: str, body: BinaryIO, length: int) -> Reply:
        told = _object(body, length)
        held = self._end(key)
        if held is None:
            return _gone()
        told = told or {}
        error = RingriftError(
            f"{held.worker}: {str(told.get('message'))[:1000]}",
            where=_text(told.get("where")),
            hint=_text(told.get("hint")),
        )
        code = told.get("code")
        error.exit_code = code if isinstance(code, int) and 0 < code < 256 else error.exit_code
        held.lease.give_up(error)
        return Reply.of({"ok": True})

    def _blocks(self, key: str, body: BinaryIO, length: int) -> Reply:
        with self._lock:
            held = self._held.get(key)
        if length > MOST_BYTES:
            return _bad(
                f"{length} bytes; at most {MOST_BYTES}", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            )
        if held is None:
            for _ in _parts(body, length):
                pass  # who is still sending reads no answer
            return _gone()
        lease = held.lease
        with lease.scratch.open("wb") as file:
            for data in _parts(body, length):
                file.write(data)
                held.heard_s = time.monotonic()
        if self._end(key) is None:
            return _gone()
        try:
            check_blocks(lease.scratch, lease.chunk)
        except DataError as error:
            lease.give_up(error)
            return _bad(error.message, HTTPStatus.UNPROCESSABLE_ENTITY)
        lease.deliver()
        log.info("a chunk came back", worker=held.worker, chunk=lease.chunk.name)
        return Reply.of({"ok": True})

    def _end(self, key: str) -> _Held | None:
        with self._lock:
            return self._held.pop(key, None)


def _parts(body: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield what a body holds, at most `length` bytes."""
    left = length
    while left and (data := body.read(min(left, _PART))):
        yield data
        left -= len(data)


def _object(body: BinaryIO, length: int) -> dict[str, Any] | None:
    if length > _MOST_JSON:
        return None
    try:
        tree = json.loads(body.read(length) or b"{}")
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:1000]


def _bad(message: str, code: int = HTTPStatus.BAD_REQUEST) -> Reply:
    return Reply.of({"error": message}, code)


def _gone() -> Reply:
    return Reply.of({"error": "gone"}, HTTPStatus.GONE)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
