"""Other nodes behind one seam: a models folder that is mounted here, or a server over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ringrift.core.errors import DataError, NotRunningError, RefusedError, UsageError
from ringrift.core.files import sync_folder, write_atomic
from ringrift.data.distributed.authorization import Authorization
from ringrift.data.distributed.metalink import PIECE_BYTES
from ringrift.data.distributed.ranged import Connection, MirrorError
from ringrift.models.synchronisation.admission import sha256_of
from ringrift.models.synchronisation.listing import (
    Listing,
    inventory,
    local_listing,
    parsed,
    place_of,
)

if TYPE_CHECKING:
    from ringrift.models.synchronisation.listing import Shared

OnBytes = Callable[[int], None]
MOST_INVENTORY = 64 * 1024 * 1024
MOST_SMALL = 16 * 1024 * 1024


class Node(Protocol):
    """Another place that has models.

    Methods raise `NotRunningError` where it cannot be reached, `RefusedError` for a wrong token,
    `DataError` for what is not as told.
    """

    name: str
    transport: str

    def listing(self) -> Listing:
        """Return what it has."""
        ...

    def read(self, file: Shared) -> bytes:
        """Return a small file, whose hash is checked."""
        ...

    def send(self, file: Shared, source: Path, on_bytes: OnBytes) -> None:
        """Give it a file; what it has of it already is not sent again."""
        ...


class FolderNode:
    """A models folder, or a data root with one, of another node, mounted on this one."""

    transport = "folder"

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self.folder = folder / "models" if (folder / "models").is_dir() else folder
        self._inventory = inventory(self.folder)

    def listing(self) -> Listing:
        """Return what it has."""
        if not self.folder.is_dir():
            raise NotRunningError("no such folder", where=self.name)
        return local_listing(self._inventory)

    def read(self, file: Shared) -> bytes:
        """Return a small file, whose hash is checked."""
        path = self._path(file)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise NotRunningError(f"{file.name}: {error.strerror}", where=self.name) from None
        return _checked(data, file, self.name)

    def copy(self, file: Shared, target: Path, on_bytes: OnBytes) -> None:
        """Copy a file to `target`, beginning where an interrupted copy of it ended."""
        _copy(self._path(file), file, target, on_bytes, self.name)

    def send(self, file: Shared, source: Path, on_bytes: OnBytes) -> None:
        """Copy a file into the folder, where it appears whole."""
        path = self._path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{file.sha256[:12]}.partial")
        _copy(source, file, beside, on_bytes, str(source))
        if file.name.endswith(".safetensors"):
            beside.chmod(0o444)
        beside.replace(path)
        sync_folder(path.parent)

    def _path(self, file: Shared) -> Path:
        path = place_of(self.folder, file.name)
        assert path is not None
        return path


class HttpNode:
    """A server of files over HTTP (`serving`)."""

    transport = "http"

    def __init__(self, url: str, authorization: Authorization) -> None:
        self.name = self.url = url.rstrip("/")
        self._authorization = authorization

    def listing(self) -> Listing:
        """Return what it has."""
        status, data = self._ask("GET", "/inventory.json", most_bytes=MOST_INVENTORY)
        try:
            tree: Any = json.loads(data) if status == HTTPStatus.OK else None
            return parsed(tree)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"answered {status} without an inventory: {error}", where=self.name
            ) from None

    def read(self, file: Shared) -> bytes:
        """Return a small file, whose hash is checked."""
        status, data = self._ask("GET", f"/files/{file.sha256}", most_bytes=MOST_SMALL)
        if status != HTTPStatus.OK:
            raise DataError(f"answered {status} for {file.name}", where=self.name)
        return _checked(data, file, self.name)

    def send(self, file: Shared, source: Path, on_bytes: OnBytes) -> None:
        """Send the pieces of a file that the node does not have, then have it check and place them."""
        place = f"/models/{file.sha256}"
        status, data = self._ask("GET", f"{place}/pieces", most_bytes=MOST_SMALL)
        self._require(status, data, file)
        have = set(json.loads(data)["pieces"])
        with source.open("rb") as stream:
            for piece in range(-(-file.size_bytes // PIECE_BYTES)):
                if piece in have:
                    continue
                stream.seek(piece * PIECE_BYTES)
                body = stream.read(PIECE_BYTES)
                status, data = self._ask("PUT", f"{place}/pieces/{piece}", body=body)
                self._require(status, data, file)
                on_bytes(len(body))
        told = json.dumps({"name": file.name, "bytes": file.size_bytes}).encode()
        status, data = self._ask("POST", f"{place}/done", body=told)
        self._require(status, data, file)

    def _ask(
        self, method: str, path: str, *, body: bytes | None = None, most_bytes: int = 1 << 20
    ) -> tuple[int, bytes]:
        try:
            with Connection(self.url, self._authorization.headers) as connection:
                status, data = connection.ask(method, path, body=body, most_bytes=most_bytes)
        except MirrorError as error:
            raise NotRunningError(f"the node {error}", where=self.name) from None
        if status == HTTPStatus.UNAUTHORIZED:
            hint = "--token env:NAME or file:PATH"
            raise RefusedError("the node refuses the token", where=self.name, hint=hint)
        return status, data

    def _require(self, status: int, data: bytes, file: Shared) -> None:
        if status == HTTPStatus.OK:
            return
        try:
            told = json.loads(data)["error"]
        except (ValueError, KeyError, TypeError):
            told = f"answered {status}"
        raise DataError(f"{file.name} was not taken: {told}", where=self.name)


def open_node(text: str, authorization: Authorization) -> FolderNode | HttpNode:
    """Return the node that a text names: `http://HOST:PORT`, or a folder."""
    if text.startswith(("http://", "https://")):
        return HttpNode(text, authorization)
    if "://" in text:
        raise UsageError(f"found {text!r}; expected http://HOST:PORT or a folder", where="--host")
    return FolderNode(Path(text))


def _checked(data: bytes, file: Shared, where: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DataError(f"{file.name} has other bytes than listed", where=where)
    return data


def _copy(source: Path, file: Shared, target: Path, on_bytes: OnBytes, where: str) -> None:
    """Copy `source`, going on where a copy in `target` ended; the whole is checked by its hash."""
    try:
        with source.open("rb") as stream, target.open("ab") as out:
            begin = min(out.tell(), file.size_bytes)
            out.truncate(begin)
            stream.seek(begin)
            while part := stream.read(PIECE_BYTES):
                out.write(part)
                on_bytes(len(part))
    except OSError as error:
        raise NotRunningError(f"{file.name}: {error.strerror}", where=where) from None
    if sha256_of(target) != file.sha256:
        target.unlink()
        raise DataError(f"{file.name} has other bytes than listed", where=where)


def keep_small(path: Path, data: bytes) -> None:
    """Write a small file whole, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
