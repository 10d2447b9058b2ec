"""Fetch a file by its SHA-256 from several mirrors; what is wrong is fetched again elsewhere (`data.md` 6)."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ringrift.core.errors import DataError, NotRunningError, RefusedError, UsageError
from ringrift.core.files import PARTIAL_SUFFIX, sync_folder
from ringrift.core.log import get_logger
from ringrift.data.distributed.aria2 import fetch_by_aria2
from ringrift.data.distributed.authorization import Authorization
from ringrift.data.distributed.metalink import MOST_BYTES, SUFFIX, Metalink, read_metalink
from ringrift.data.distributed.ranged import (
    BadMirror,
    Connection,
    MirrorError,
    NoMirrorLeft,
    fill,
    wrong_mirrors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = get_logger(__name__)

_FILE_URL = re.compile(rf"(?P<server>https?://[^/?#]+)/files/(?P<sha256>[0-9a-f]{{64}})({SUFFIX})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """A file that arrived whole, by `aria2` or `http`, and the mirrors that failed meanwhile."""

    path: Path
    link: Metalink
    how: str
    bad: tuple[BadMirror, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Name the servers of some files, as `http://HOST:PORT`, and what they want to see.

    With a token only these servers are asked: it is sent to nobody that merely a metalink names.
    """

    servers: tuple[str, ...]
    authorization: Authorization = field(default_factory=Authorization)

    def urls_of(self, link: Metalink) -> tuple[str, ...]:
        """Return where a file is: with these servers first, then with those of its metalink."""
        own = [f"{server}/files/{link.sha256}" for server in self.servers]
        others = [] if self.authorization.token is not None else link.urls
        return tuple(dict.fromkeys((*own, *others)))


def file_url(url: str) -> tuple[str, str]:
    """Split the URL of a file or of its metalink into (server, SHA-256); raises `UsageError`."""
    match = _FILE_URL.fullmatch(url)
    if match is None:
        raise UsageError(
            f"found {url!r}; expected http://HOST:PORT/files/<sha256>, with or without {SUFFIX}"
        )
    return match["server"], match["sha256"]


def download(
    sha256: str,
    mirrors: Mirrors,
    target: Path,
    *,
    aria2: str | None = None,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Downloaded:
    """Fetch the file of a hash into `target`, which appears whole or not at all.

    `aria2` is the path of `aria2c`; without it, and where it fails, one mirror after the other is
    asked for ranges. Pieces that an interrupted download left beside `target` are kept. Raises
    `NotRunningError` if no mirror answers, `RefusedError` if they refuse, `DataError` if none has
    the right bytes; each names the mirrors.
    """
    partial = target.with_name(f".{target.name}.{sha256[:12]}{PARTIAL_SUFFIX}")
    bad: list[BadMirror] = []
    for server in mirrors.servers:
        try:
            link = _metalink(sha256, server, mirrors.authorization)
        except MirrorError as error:
            bad.append(BadMirror(server, None, str(error)))
            continue
        urls = mirrors.urls_of(link)
        link = replace(link, urls=urls)
        how, failed = _fetch(link, mirrors.authorization, partial, aria2, on_bytes)
        bad += [mirror for mirror in failed if mirror not in bad]
        if how is None:
            continue
        if _sha256(partial) != sha256:
            partial.unlink()
            bad.append(BadMirror(server, None, "a metalink that does not fit", wrong=True))
            continue
        partial.replace(target)
        sync_folder(target.parent)
        for mirror in bad:
            log.warning("a mirror failed", mirror=mirror.url, reason=str(mirror))
        return Downloaded(path=target, link=link, how=how, bad=tuple(bad))
    raise _failure(sha256, bad)


def _fetch(
    link: Metalink,
    authorization: Authorization,
    partial: Path,
    aria2: str | None,
    on_bytes: Callable[[int], None],
) -> tuple[str | None, list[BadMirror]]:
    """Bring a file's pieces into `partial`; return how, None for not, and who failed."""
    headers = authorization.headers
    bad: list[BadMirror] = []
    if aria2 is not None and not partial.exists():
        run = fetch_by_aria2(aria2, link, partial, headers)
        partial.with_name(f"{partial.name}.aria2").unlink(missing_ok=True)
        if run.distrust:
            bad = wrong_mirrors(link, link.urls, headers)
        if run.ok:
            on_bytes(link.size_bytes)
            return "aria2", bad
        log.warning("aria2c failed; asking the mirrors singly", output=run.output[-500:])
    kept = _whole_pieces(partial, link)
    on_bytes(sum(end - begin for begin, end in map(link.span, kept)))
    try:
        with partial.open("r+b" if partial.exists() else "x+b") as file:
            file.truncate(link.size_bytes)
            found = fill(file, link, link.urls, headers, kept=kept, on_bytes=on_bytes)
            file.flush()
            os.fsync(file.fileno())
    except NoMirrorLeft as error:
        return None, [*bad, *(mirror for mirror in error.bad if mirror not in bad)]
    return "http", [*bad, *(mirror for mirror in found if mirror not in bad)]


def _whole_pieces(partial: Path, link: Metalink) -> frozenset[int]:
    if not partial.exists():
        return frozenset()
    kept = set()
    with partial.open("rb") as file:
        for piece, digest in enumerate(link.pieces):
            begin, end = link.span(piece)
            file.seek(begin)
            if hashlib.sha256(file.read(end - begin)).hexdigest() == digest:
                kept.add(piece)
    return frozenset(kept)


def _metalink(sha256: str, server: str, authorization: Authorization) -> Metalink:
    path = f"{urlsplit(server).path.rstrip('/')}/files/{sha256}{SUFFIX}"
    with Connection(server, authorization.headers) as connection:
        status, data = connection.ask("GET", path, most_bytes=MOST_BYTES)
    if status != HTTPStatus.OK:
        raise MirrorError(f"answered {status}")
    try:
        link = read_metalink(data, where=f"{server}{path}")
    except DataError as error:
        raise MirrorError(error.message) from None
    if link.sha256 != sha256:
        raise MirrorError(f"described {link.sha256[:12]}; expected {sha256[:12]}")
    return link


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failure(
    sha256: str, bad: Sequence[BadMirror]
) -> DataError | NotRunningError | RefusedError | UsageError:
    told = "; ".join(map(str, bad))
    if not bad:
        return UsageError(f"no mirror of {sha256[:12]}", hint="--mirror http://HOST:PORT")
    if any(mirror.wrong for mirror in bad):
        return DataError(f"no mirror has the right bytes: {told}", where=sha256)
    if any(f"answered {HTTPStatus.UNAUTHORIZED}" in mirror.reason for mirror in bad):
        return RefusedError(f"refused: {told}", where=sha256, hint="--token env:NAME or file:PATH")
    if all("cannot be reached" in mirror.reason for mirror in bad):
        return NotRunningError(f"no mirror answers: {told}", where=sha256)
    return DataError(f"no mirror has the file: {told}", where=sha256)
