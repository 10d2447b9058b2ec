"""Serve metrics, health and status of this process over HTTP on loopback (`core.md` 9).

Plain `http.server`: one request a connection, few threads, and a deadline for each connection, so
that slow or silent clients can neither hang the server nor use it up.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from ringrift.core.errors import BusyError
from ringrift.core.log import get_logger
from ringrift.core.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ringrift.core.metrics import Metrics

log = get_logger(__name__)

LOOPBACK = "127.0.0.1"
MAX_THREADS = 8
SILENCE_S = 5.0
DEADLINE_S = 10.0
CLOSE_S = 2.0
JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a question about this process: 200 if `ok`, else 503, with `fields` as JSON."""

    ok: bool
    fields: Mapping[str, Any] = field(default_factory=dict)


def _alive() -> Answer:
    return Answer(ok=True, fields={"status": "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Say what the server answers; the callables run in its threads and must be quick."""

    metrics: Metrics
    health: Callable[[], Answer] = _alive
    ready: Callable[[], Answer] = _alive
    status: Callable[[], Mapping[str, Any] | None] = dict


class MetricsServer:
    """Serve `Pages` until closed; a context manager.

    `port` 0 takes a free one; `port` and `url` tell which. Raises `BusyError` naming the process
    that holds a taken port.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        port: int,
        host: str = LOOPBACK,
        silence_s: float = SILENCE_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._server = _bind(host, port, pages, silence_s, deadline_s)
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": min(0.25, deadline_s / 4)},
            name="metrics-server",
            daemon=True,
        )
        self._thread.start()
        log.info("serving metrics", url=self.url)

    @property
    def url(self) -> str:
        """Where the pages are, without a path."""
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        """Take no more requests, let running ones end for up to 2 s, and free the port."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.end_all(within_s=CLOSE_S)
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], pages: Pages, silence_s: float, deadline_s: float
    ) -> None:
        self.pages = pages
        self.silence_s = silence_s
        self._deadline_s = deadline_s
        self._open: dict[socket.socket, float] = {}
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the request a thread, or refuse it where all are taken."""
        with self._changed:
            free = len(self._open) < MAX_THREADS
            if free:
                self._open[request] = time.monotonic()
        if free:
            super().process_request(request, client_address)
            return
        request.settimeout(0.0)
        with contextlib.suppress(OSError):
            request.send(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")
        super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection and give its place away."""
        super().shutdown_request(request)
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify_all()

    def service_actions(self) -> None:
        """Cut off connections past their deadline; runs between requests."""
        oldest = time.monotonic() - self._deadline_s
        with self._changed:
            late = [request for request, began in self._open.items() if began < oldest]
            for request in late:
                _cut(request)

    def end_all(self, *, within_s: float) -> None:
        """Wait for running requests, then cut off those that remain."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout=within_s)
            for request in self._open:
                _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection; clients that leave early are no news."""
        del request
        log.debug("a request ended early", client=str(client_address), error=str(sys.exc_info()[1]))


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ringrift"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.silence_s)

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        page = _PAGES.get(path)
        if page is None:
            self._send(404, JSON_TYPE, _json({"error": f"no page {path}", "pages": [*_PAGES]}))
            return
        try:
            code, kind, body = page(self.server.pages)
        except Exception as error:
            log.exception("a page failed", path=path)
            code, kind, body = 500, JSON_TYPE, _json({"error": f"{type(error).__name__}: {error}"})
        self._send(code, kind, body)

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        log.debug("request", client=self.client_address[0], line=format % args)


def _metrics(pages: Pages) -> tuple[int, str, bytes]:
    return 200, CONTENT_TYPE, pages.metrics.text()


def _judged(answer: Answer) -> tuple[int, str, bytes]:
    return 200 if answer.ok else 503, JSON_TYPE, _json({"ok": answer.ok, **answer.fields})


def _status(pages: Pages) -> tuple[int, str, bytes]:
    fields = pages.status()
    if fields is None:
        return 503, JSON_TYPE, _json({"error": "no status yet"})
    return 200, JSON_TYPE, _json(fields)


_PAGES: dict[str, Callable[[Pages], tuple[int, str, bytes]]] = {
    "/metrics": _metrics,
    "/health": lambda pages: _judged(pages.health()),
    "/ready": lambda pages: _judged(pages.ready()),
    "/status.json": _status,
}


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _bind(host: str, port: int, pages: Pages, silence_s: float, deadline_s: float) -> _Server:
    try:
        return _Server((host, port), pages, silence_s, deadline_s)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise BusyError(
            f"port {port} is taken by {port_holder(port) or 'another process'}",
            where=f"{host}:{port}",
            hint="port 0 for a free one, or end that process",
        ) from error


def port_holder(port: int) -> str | None:
    """Return who listens on a TCP port of this host, as `process 123 (name)`.

    `None` where nobody does, or where the system does not tell (a process of another user).
    """
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr.port == port
                and connection.pid is not None
            ):
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return None
