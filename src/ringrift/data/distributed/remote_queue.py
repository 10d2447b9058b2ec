"""Chunks from a coordinator on another host: games come as shards, blocks go back (`data.md` 6)."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, NotRunningError, RefusedError, RingriftError
from ringrift.core.log import get_logger
from ringrift.data.distributed.authorization import Authorization
from ringrift.data.distributed.chunk_service import RENEW_S
from ringrift.data.distributed.chunks import Chunk
from ringrift.data.distributed.download import Mirrors, download
from ringrift.data.distributed.ranged import Connection, MirrorError
from ringrift.data.shards import import_shards
from ringrift.records.store import GameStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.data.dataset.plan import Plan

log = get_logger(__name__)

PATIENCE_S = 10.0
"""How long a coordinator may be out of reach."""

_MOST_ANSWER = 256 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class RemoteQueue:
    """Take chunks from the coordinator at `url` (`http://HOST:PORT`).

    `mirrors` are other servers that have its shards; they are asked first. `folder` gets a folder for each chunk, which
    goes with its lease. Raises `NotRunningError` when the coordinator is out of reach for 10 s, and
    `RefusedError` when it refuses the token.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        worker: str,
        authorization: Authorization | None = None,
        mirrors: Sequence[str] = (),
        aria2: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._authorization = authorization or Authorization()
        self._coordinator = _Coordinator(url.rstrip("/"), self._authorization, patience_s)
        self._folder = folder
        self._worker = worker
        self._mirrors = Mirrors(
            servers=(*(mirror.rstrip("/") for mirror in mirrors), url.rstrip("/")),
            authorization=self._authorization,
        )
        self._aria2 = aria2
        self._finished = False

    def take(self) -> RemoteLease | None:
        """Return the right to an open chunk, with its games here; None where there is none now."""
        status, answer = self._coordinator.ask("POST", "/chunks/take", {"worker": self._worker})
        if status == HTTPStatus.GONE:
            self._finished = True
        if status != HTTPStatus.OK:
            return None
        where = f"{self._coordinator.url}/chunks/take"
        try:
            key, files = str(answer["lease"]), dict(answer["files"])
            chunk = Chunk.from_dict(answer["chunk"], where=where)
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"not a chunk: {error}", where=where) from None
        folder = Path(tempfile.mkdtemp(prefix="chunk-", dir=self._folder))
        lease = RemoteLease(self._coordinator, key, chunk, folder)
        try:
            lease.plan = self._bring(chunk, files, folder)
        except RingriftError as error:
            lease.give_up(error)
            log.warning("the games of a chunk did not come", chunk=chunk.name, error=str(error))
            return None
        except BaseException:
            lease.release()
            raise
        return lease

    def finished(self) -> bool:
        """Tell whether the coordinator has said that nothing is left."""
        return self._finished

    def _bring(self, chunk: Chunk, files: dict[Any, Any], folder: Path) -> Plan:
        """Fetch the shards of a chunk, verify their games, and return its plan over them."""
        shards = folder / "shards"
        shards.mkdir()
        for name, sha256 in files.items():
            if not (_NAME.fullmatch(str(name)) and re.fullmatch(r"[0-9a-f]{64}", str(sha256))):
                raise DataError(f"found file {str(name)[:80]!r}", where=self._coordinator.url)
            download(str(sha256), self._mirrors, shards / str(name), aria2=self._aria2)
        store = folder / "games.db"
        import_shards([shards], store)
        with GameStore.open(store) as opened:
            places = {identity: seq for seq, identity in opened.ids()}
        missing = [identity for identity in chunk.plan.ids if identity not in places]
        if missing:
            raise RefusedError(
                f"{len(missing)} games of a chunk do not hold here, the first {missing[0]}",
                where=self._coordinator.url,
            )
        games = (replace(game, store=0, seq=places[game.id]) for game in chunk.plan.games)
        return replace(chunk.plan, stores=(store,), games=tuple(games))


class RemoteLease:
    """The right to work on a chunk of a coordinator, renewed every 5 s until it ends."""

    plan: Plan

    def __init__(self, coordinator: _Coordinator, key: str, chunk: Chunk, folder: Path) -> None:
        self.chunk = chunk
        self.scratch = folder / "blocks"
        self._folder = folder
        self._key = key
        self._coordinator = coordinator
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()

    def deliver(self) -> None:
        """Send the file of blocks and end the lease; for nothing if the chunk went to another."""
        try:
            with self.scratch.open("rb") as file:
                status, answer = self._coordinator.send(f"/leases/{self._key}/blocks", file)
        finally:
            self.release()
        if status not in {HTTPStatus.OK, HTTPStatus.GONE}:
            raise DataError(
                f"the coordinator refused the blocks: {answer.get('error', status)}",
                where=self.chunk.name,
            )

    def give_up(self, error: RingriftError) -> None:
        """Tell the coordinator why and end the lease."""
        told = {
            "message": error.message,
            "where": error.where,
            "hint": error.hint,
            "code": error.exit_code,
        }
        self.release()
        self._coordinator.ask("POST", f"/leases/{self._key}/failed", told)

    def release(self) -> None:
        """End the lease and delete its folder."""
        self._ended.set()
        self._renewing.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self._coordinator.ask("POST", f"/leases/{self._key}/renew", {})
            except RingriftError as error:
                log.debug("a lease was not renewed", error=str(error))


class _Coordinator:
    """Ask the coordinator, with patience."""

    def __init__(self, url: str, authorization: Authorization, patience_s: float) -> None:
        self.url = url
        self._authorization = authorization
        self._patience_s = patience_s
        self._connect().close()  # refuses a URL that is none

    def ask(self, method: str, path: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a JSON object; return status and answer."""
        body = json.dumps(fields).encode()
        deadline_s = time.monotonic() + self._patience_s
        while True:
            try:
                with self._connect() as connection:
                    status, data = connection.ask(method, path, body=body, most_bytes=_MOST_ANSWER)
            except MirrorError as error:
                if time.monotonic() >= deadline_s:
                    raise self._away(error) from None
                time.sleep(0.5)
                continue
            return self._read(status, data)

    def send(self, path: str, file: Any) -> tuple[int, dict[str, Any]]:
        """Send a file; return status and answer."""
        size = file.seek(0, 2)
        deadline_s = time.monotonic() + self._patience_s
        while True:
            file.seek(0)
            try:
                with self._connect() as connection:
                    status, data = connection.ask(
                        "PUT",
                        path,
                        body=file,
                        headers={"Content-Length": str(size)},
                        most_bytes=_MOST_ANSWER,
                    )
            except MirrorError as error:
                if time.monotonic() >= deadline_s:
                    raise self._away(error) from None
                time.sleep(0.5)
                continue
            return self._read(status, data)

    def _connect(self) -> Connection:
        return Connection(self.url, self._authorization.headers)

    def _away(self, error: MirrorError) -> NotRunningError:
        return NotRunningError(
            f"the coordinator {error}",
            where=self.url,
            hint="ringrift data export-distributed --coordinator --serve there",
        )

    def _read(self, status: int, data: bytes) -> tuple[int, dict[str, Any]]:
        if status == HTTPStatus.UNAUTHORIZED:
            raise RefusedError(
                "the coordinator refuses the token",
                where=self.url,
                hint="--token env:NAME or file:PATH",
            )
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            raise NotRunningError("a server, but no coordinator", where=self.url)
        try:
            tree = json.loads(data or b"{}")
        except (ValueError, RecursionError):
            tree = None
        if not isinstance(tree, dict):
            raise DataError("answered without a JSON object", where=self.url)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise DataError(f"the coordinator failed: {tree.get('error', status)}", where=self.url)
        return status, tree
