"""A file from its mirrors by ranged HTTP, each piece checked as it comes (`data.md` 6)."""

from __future__ import annotations

import hashlib
import http.client
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import SplitResult, urlsplit

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from ringrift.data.distributed.metalink import Metalink

TIMEOUT_S = 30.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class BadMirror:
    """Name a mirror that failed, the first piece it failed with (None: all), and how.

    `wrong` means that it gave other bytes than it should have.
    """

    url: str
    piece: int | None
    reason: str
    wrong: bool = False

    def __str__(self) -> str:
        place = "" if self.piece is None else f" piece {self.piece}:"
        return f"{self.url}:{place} {self.reason}"


class MirrorError(Exception):
    """A mirror that did not give what was asked for."""


class Connection:
    """Ask one server again and again over one connection; a context manager."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S
    ) -> None:
        parts = _checked(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._http = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        self._headers = dict(headers)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int,
    ) -> tuple[int, bytes]:
        """Send a request and return status and body; raises `MirrorError` for a longer one.

        A connection that the server closed meanwhile is opened again, once.
        """
        for last in (False, True):
            try:
                self._http.request(method, path, body, {**self._headers, **(headers or {})})
                answer = self._http.getresponse()
                data = answer.read(most_bytes + 1)
            except (http.client.HTTPException, OSError) as error:
                self._http.close()
                stale = isinstance(error, http.client.RemoteDisconnected | BrokenPipeError)
                if last or not stale or body is not None:
                    raise MirrorError(_told(error)) from error
                continue
            if len(data) > most_bytes:
                self._http.close()
                raise MirrorError(f"answered with more than {most_bytes} bytes")
            return answer.status, data
        raise AssertionError

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Mirror:
    """Read spans of one file from one server."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        parts = urlsplit(url)
        self._path = parts.path or "/"
        self._connection = Connection(url, headers)

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes from `begin` up to `end`; raises `MirrorError` for any others."""
        wanted = {"Range": f"bytes={begin}-{end - 1}"}
        most = end - begin
        status, data = self._connection.ask("GET", self._path, headers=wanted, most_bytes=most)
        if status == HTTPStatus.OK and begin > 0:
            raise MirrorError("answers without ranges")
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise MirrorError(f"answered {status}")
        if len(data) != most:
            raise MirrorError(f"gave {len(data)} bytes; expected {most}")
        return data

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def fill(
    file: BinaryIO,
    link: Metalink,
    urls: Sequence[str],
    headers: Mapping[str, str],
    *,
    kept: frozenset[int] = frozenset(),
    on_bytes: Callable[[int], None] = lambda count: None,
) -> list[BadMirror]:
    """Write every piece that is not `kept` into `file`; return the mirrors that failed.

    A mirror that fails goes behind the others, and the piece is asked of the next. Raises
    `NoMirrorLeft` when all have failed with one piece three times over.
    """
    bad: dict[str, BadMirror] = {}
    mirrors = deque(Mirror(url, headers) for url in urls)
    try:
        for piece, digest in enumerate(link.pieces):
            if piece in kept:
                continue
            data = _piece(mirrors, link, piece, digest, bad)
            file.seek(link.span(piece)[0])
            file.write(data)
            on_bytes(len(data))
    finally:
        for mirror in mirrors:
            mirror.close()
    return list(bad.values())


class NoMirrorLeft(Exception):
    """No mirror gave a piece; `bad` says how each failed."""

    def __init__(self, bad: Sequence[BadMirror]) -> None:
        super().__init__("; ".join(map(str, bad)) or "no mirror")
        self.bad = tuple(bad)


def _piece(
    mirrors: deque[Mirror], link: Metalink, piece: int, digest: str, bad: dict[str, BadMirror]
) -> bytes:
    for _ in range(_TRIES * len(mirrors)):
        mirror = mirrors[0]
        try:
            data = mirror.read(*link.span(piece))
        except MirrorError as error:
            bad.setdefault(mirror.url, BadMirror(mirror.url, piece, str(error)))
        else:
            if hashlib.sha256(data).hexdigest() == digest:
                return data
            former = bad.get(mirror.url)
            if former is None or not former.wrong:
                bad[mirror.url] = BadMirror(mirror.url, piece, "wrong bytes", wrong=True)
        mirrors.rotate(-1)
    raise NoMirrorLeft(list(bad.values()))


def wrong_mirrors(
    link: Metalink, urls: Sequence[str], headers: Mapping[str, str]
) -> list[BadMirror]:
    """Read from each mirror until its first wrong piece; return those that have one."""
    found = []
    for url in urls:
        mirror = Mirror(url, headers)
        for piece, digest in enumerate(link.pieces):
            with suppress(MirrorError):
                if hashlib.sha256(mirror.read(*link.span(piece))).hexdigest() != digest:
                    found.append(BadMirror(url, piece, "wrong bytes", wrong=True))
                    break
        mirror.close()
    return found


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.username:
        raise UsageError(f"found {url!r}; expected http://HOST:PORT without user and password")
    return parts


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "silent for too long"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be reached: {text}"
