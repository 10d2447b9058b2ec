"""Serve the files of an inventory over HTTP: by their SHA-256, with ranges (`data.md` 6).

    GET /status                   what the server is doing
    GET /inventory.json           name, bytes and SHA-256 of every file
    GET /files/<sha256>           its bytes; `Range: bytes=` as in RFC 9110
    GET /files/<sha256>.meta4     its metalink, with this server and the other mirrors

A coordinator also serves `/chunks` (`chunk_service`); otherwise nothing can be changed.
"""

from __future__ import annotations

import errno
import json
import re
import socket
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from ringrift.core.bounded_server import LOOPBACK, BoundedServer, Serving, port_taken
from ringrift.core.errors import UsageError
from ringrift.core.log import get_logger
from ringrift.data.distributed.authorization import Authorization, require_token
from ringrift.data.distributed.metalink import MEDIA_TYPE, SUFFIX, write_metalink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ringrift.data.distributed.inventory import Inventory, Served

log = get_logger(__name__)

PORT = 8780
MAX_CONNECTIONS = 128
SILENCE_S = 30.0
JSON_TYPE = "application/json; charset=utf-8"
BYTES_TYPE = "application/octet-stream"

_FILE = re.compile(rf"/files/([0-9a-f]{{64}})({re.escape(SUFFIX)})?")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a request that is not about a file."""

    code: int
    body: bytes = b""
    kind: str = JSON_TYPE

    @classmethod
    def of(cls, fields: Mapping[str, Any], code: int = HTTPStatus.OK) -> Reply:
        """Answer with a JSON object."""
        return cls(code, json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n")


class Service(Protocol):
    """Answer the requests that change something."""

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: BinaryIO, length: int
    ) -> Reply | None:
        """Answer a request whose body has `length` bytes; None for a path that is not its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a server offers; `status` runs in its threads and must be quick."""

    inventory: Inventory
    authorization: Authorization
    mirrors: Sequence[str]
    status: Callable[[], Mapping[str, Any]]
    service: Service | None


class ExportServer(Serving):
    """Serve until closed; a context manager.

    `port` 0 takes a free one. Other mirrors of the same files (`http://HOST:PORT`) are named in
    the metalinks. Raises `BusyError` naming the process that holds a taken port, `UsageError` for
    a host that others reach without a token.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        port: int = PORT,
        host: str = LOOPBACK,
        authorization: Authorization | None = None,
        mirrors: Sequence[str] = (),
        status: Callable[[], Mapping[str, Any]] = dict,
        service: Service | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        authorization = authorization or Authorization()
        require_token(authorization, host)
        offer = Offer(
            inventory=inventory,
            authorization=authorization,
            mirrors=tuple(mirror.rstrip("/") for mirror in mirrors),
            status=status,
            service=service,
        )
        server = _bind(host, port, offer, silence_s)
        super().__init__(server, host, name="export-server", poll_s=0.1)
        log.info("serving files", url=self.url)


class _Server(BoundedServer):
    most = request_queue_size = MAX_CONNECTIONS

    def __init__(
        self, address: tuple[str, int], family: socket.AddressFamily, offer: Offer, silence_s: float
    ) -> None:
        self.address_family = family
        self.offer = offer
        self.silence_s = silence_s
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ringrift"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.silence_s)

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_HEAD(self) -> None:
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._change)

    def do_PUT(self) -> None:
        self._guarded(self._change)

    def _guarded(self, answer: Callable[[str], None]) -> None:
        offer = self.server.offer
        if not offer.authorization.allows(self.headers.get("Authorization"), self._host):
            self.close_connection = True  # the body of the request is left unread
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", "Bearer")
            self._end(Reply.of({"error": "not authorized"}))
            return
        try:
            answer(self.path.partition("?")[0])
        except OSError:  # the client has gone
            raise
        except Exception as error:
            log.exception("a request failed", path=self.path)
            self.close_connection = True
            self._send(Reply.of({"error": f"{type(error).__name__}: {error}"}, 500))

    @property
    def _host(self) -> str:
        return str(self.headers.get("Host") or "")

    def _get(self, path: str) -> None:
        offer = self.server.offer
        if path == "/status":
            self._send(Reply.of({"ok": True, **offer.status()}))
        elif path == "/inventory.json":
            self._send(Reply.of({"files": [_entry(file) for file in offer.inventory.scan()]}))
        elif match := _FILE.fullmatch(path):
            self._file(match.group(1), metalink=match.group(2) is not None)
        else:
            self._other("GET", path, 0)

    def _change(self, path: str) -> None:
        length = self.headers.get("Content-Length") or ""
        if not re.fullmatch(r"[0-9]{1,15}", length):
            self.close_connection = True
            self._send(Reply.of({"error": "no Content-Length"}, HTTPStatus.LENGTH_REQUIRED))
            return
        self.close_connection = True  # what is left of the body belongs to no other request
        self._other(self.command, path, int(length))

    def _other(self, method: str, path: str, length: int) -> None:
        service = self.server.offer.service
        reply = None
        if service is not None:
            body: BinaryIO = self.rfile  # type: ignore[assignment] # a buffered reader
            reply = service.answer(method, path, dict(self.headers.items()), body, length)
        elif method != "GET":
            reply = Reply.of({"error": "this server is read-only"}, HTTPStatus.METHOD_NOT_ALLOWED)
        self._send(reply or Reply.of({"error": f"no page {path}"}, HTTPStatus.NOT_FOUND))

    def _file(self, sha256: str, *, metalink: bool) -> None:
        offer = self.server.offer
        file = offer.inventory.find(sha256)
        if file is None:
            self._send(Reply.of({"error": f"no file {sha256}"}, HTTPStatus.NOT_FOUND))
        elif metalink:
            own = self._host if _HOST.fullmatch(self._host) else self.server.server_name
            places = (f"http://{own}", *offer.mirrors)
            urls = tuple(dict.fromkeys(f"{place}/files/{sha256}" for place in places))
            self._send(Reply(200, write_metalink(replace(file.link, urls=urls)), MEDIA_TYPE))
        else:
            self._bytes(file)

    def _bytes(self, file: Served) -> None:
        size = file.link.size_bytes
        span = _span(self.headers.get("Range"), size)
        if span is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self._end(Reply(200))
            return
        begin, end, part = span
        with file.path.open("rb") as stream:
            self.send_response(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
            if part:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.send_header("Content-Type", BYTES_TYPE)
            self.send_header("Content-Length", str(end - begin))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{file.link.sha256}"')
            self.end_headers()
            if self.command != "HEAD" and end > begin:
                sent = self.connection.sendfile(stream, begin, end - begin)
                if sent != end - begin:  # it was cut meanwhile: the client must not wait for more
                    self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.code)
        self._end(reply)

    def _end(self, reply: Reply) -> None:
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        log.debug("request", client=self.client_address[0], line=format % args)


def _entry(file: Served) -> dict[str, Any]:
    return {"name": file.name, "bytes": file.link.size_bytes, "sha256": file.link.sha256}


def _span(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """Return what of a file is asked for, and whether it is a part; None where nothing of it is.

    Several ranges, and what is no range of bytes, mean all of it (RFC 9110 14.2).
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or match.group(1) == match.group(2) == "":
        return 0, size, False
    if match.group(1) == "":
        begin, end = max(0, size - int(match.group(2))), size
    else:
        begin = int(match.group(1))
        end = min(size, int(match.group(2)) + 1) if match.group(2) else size
        if match.group(2) and int(match.group(2)) < begin:
            return 0, size, False
    return (begin, end, True) if begin < end else None


def _bind(host: str, port: int, offer: Offer, silence_s: float) -> _Server:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return _Server((host, port), family, offer, silence_s)
    except socket.gaierror as error:
        raise UsageError(f"no address of this machine: {error}", where=f"--host {host}") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError("no address of this machine", where=f"--host {host}") from None
        taken = port_taken(error, host, port, free="--port 0")
        if taken is None:
            raise
        raise taken from error
