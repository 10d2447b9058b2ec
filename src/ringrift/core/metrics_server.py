"""Serve metrics, health and status of this process over HTTP on loopback (`core.md` 9).

Plain `http.server`: one request a connection, few threads, and a deadline for each connection, so
that slow or silent clients can neither hang the server nor use it up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from ringrift.core.bounded_server import LOOPBACK, BoundedServer, Serving, port_taken
from ringrift.core.log import get_logger
from ringrift.core.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ringrift.core.metrics import Metrics

log = get_logger(__name__)

MAX_THREADS = 8
SILENCE_S = 5.0
DEADLINE_S = 10.0
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


class MetricsServer(Serving):
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
        server = _bind(host, port, pages, silence_s, deadline_s)
        super().__init__(server, host, name="metrics-server", poll_s=min(0.25, deadline_s / 4))
        log.info("serving metrics", url=self.url)


class _Server(BoundedServer):
    most = MAX_THREADS
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], pages: Pages, silence_s: float, deadline_s: float
    ) -> None:
        self.pages = pages
        self.silence_s = silence_s
        self._deadline_s = deadline_s
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        """Cut off connections past their deadline; runs between requests."""
        self.cut_older(self._deadline_s)


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
        taken = port_taken(error, host, port, free="port 0")
        if taken is None:
            raise
        raise taken from error
