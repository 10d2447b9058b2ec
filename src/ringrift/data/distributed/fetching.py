"""Fetch chunks and their blocks from servers of files (`data.md` 6)."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, NotRunningError, RefusedError
from ringrift.data.dataset.pack import SUFFIX as PACK
from ringrift.data.distributed.chunks import SUFFIX
from ringrift.data.distributed.download import Downloaded, Mirrors, download
from ringrift.data.distributed.ranged import Connection, MirrorError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ringrift.data.distributed.authorization import Authorization

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_INVENTORY = 64 * 1024 * 1024


def fetch_chunks(
    servers: Sequence[str],
    folder: Path,
    authorization: Authorization,
    *,
    aria2: str | None = None,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> list[Downloaded]:
    """Fetch every chunk and its blocks that the servers (`http://HOST:PORT`) list into `folder`.

    What several servers have is fetched once, and from each if one fails. Raises `DataError` if they
    list no chunk, or different files under one name; `NotRunningError` and `RefusedError` for a
    server that does not answer or refuses the token.
    """
    places: dict[str, tuple[str, list[str]]] = {}
    for server in servers:
        for name, sha256 in _listed(server.rstrip("/"), authorization):
            known, having = places.setdefault(name, (sha256, []))
            if known != sha256:
                raise DataError(f"different files are named {name}", where=f"{having[0]}, {server}")
            having.append(server.rstrip("/"))
    if not places:
        raise DataError(f"no chunk (*{SUFFIX}) is listed", where=", ".join(servers))
    return [
        download(
            sha256,
            Mirrors(servers=tuple(having), authorization=authorization),
            folder / name,
            aria2=aria2,
            on_bytes=on_bytes,
        )
        for name, (sha256, having) in sorted(places.items())
    ]


def _listed(server: str, authorization: Authorization) -> list[tuple[str, str]]:
    """Return name and SHA-256 of the chunks and blocks that a server lists."""
    try:
        with Connection(server, authorization.headers) as connection:
            status, data = connection.ask("GET", "/inventory.json", most_bytes=_MOST_INVENTORY)
    except MirrorError as error:
        raise NotRunningError(f"the server {error}", where=server) from None
    if status == HTTPStatus.UNAUTHORIZED:
        raise RefusedError(
            "the server refuses the token", where=server, hint="--token env:NAME or file:PATH"
        )
    try:
        files: Any = json.loads(data)["files"] if status == HTTPStatus.OK else None
        listed = [(str(file["name"]).rpartition("/")[2], str(file["sha256"])) for file in files]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise DataError(f"answered {status} without an inventory", where=server) from None
    return [
        (name, sha256)
        for name, sha256 in listed
        if name.endswith((SUFFIX, PACK)) and _SHA256.fullmatch(sha256)
    ]
