"""The pages of the shadow service over HTTP, on loopback alone (`evaluation.md` 10).

`GET /health`, `/status`, `/results?config=&limit=50`, `/trends`; `POST /trigger` with the JSON object
`{"config": ..., "type": "shadow" | "full" | "quick"}`. Only this machine is answered, so no token is
asked for; a page of a browser is kept out by asking for JSON and for a name of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ringrift.core.bounded_server import LOOPBACK, BoundedServer, Serving, port_taken
from ringrift.core.errors import UsageError
from ringrift.core.log import get_logger
from ringrift.evaluation.shadow.service import KNOWN_ROUNDS

if TYPE_CHECKING:
    from ringrift.evaluation.shadow.service import ShadowService

log = get_logger(__name__)

MAX_THREADS = 8
SILENCE_S = 5.0
DEADLINE_S = 10.0
MOST_BYTES = 4096
MOST_RESULTS = 1000
PAGES = ("/health", "/status", "/results", "/trends", "/trigger")
NAMES = frozenset({LOOPBACK, "localhost", "[::1]"})


class ShadowServer(Serving):
    """Serves the pages of a service until closed; a context manager.

    Raises `BusyError` naming the process that holds a taken port.
    """

    def __init__(self, service: ShadowService, *, port: int) -> None:
        try:
            server = _Server((LOOPBACK, port), service)
        except OSError as error:
            taken = port_taken(error, LOOPBACK, port, free="--http-port 0")
            if taken is None:
                raise
            raise taken from error
        super().__init__(server, LOOPBACK, name="shadow-server", poll_s=0.25)
        log.info("serving the shadow service", url=self.url)


class _Server(BoundedServer):
    most = MAX_THREADS

    def __init__(self, address: tuple[str, int], service: ShadowService) -> None:
        self.service = service
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        """Cut off connections past their deadline; runs between requests."""
        self.cut_older(DEADLINE_S)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ringrift"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(SILENCE_S)

    def do_GET(self) -> None:
        self._answer(self._page)

    def do_POST(self) -> None:
        self._answer(self._trigger)

    def _answer(self, page: Any) -> None:
        host = (self.headers.get("Host") or LOOPBACK).rpartition(":")[0] or self.headers["Host"]
        if host not in NAMES:
            self._send(403, {"error": f"host {host!r}; expected {LOOPBACK}"})
            return
        try:
            code, fields = page(urlsplit(self.path))
        except UsageError as error:
            code, fields = 400, {"error": str(error)}
        except Exception as error:
            log.exception("a page failed", path=self.path)
            code, fields = 500, {"error": f"{type(error).__name__}: {error}"}
        self._send(code, fields)

    def _page(self, url: Any) -> tuple[int, Mapping[str, Any]]:
        service = self.server.service
        match url.path:
            case "/health":
                return 200, {"ok": True, "state": service.status()["state"]}
            case "/status":
                return 200, service.status()
            case "/results":
                config, limit = _asked(url.query)
                return 200, {"results": [r.as_tree() for r in service.results(config, limit)]}
            case "/trends":
                return 200, {"trends": service.trends()}
            case "/trigger":
                return 405, {"error": "POST asks for a round"}
        return 404, {"error": f"no page {url.path}", "pages": PAGES}

    def _trigger(self, url: Any) -> tuple[int, Mapping[str, Any]]:
        if url.path != "/trigger":
            return 404, {"error": f"no page {url.path} to post to", "pages": PAGES}
        if self.headers.get_content_type() != "application/json":
            return 415, {"error": "expected Content-Type: application/json"}
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MOST_BYTES:
            return 413, {"error": f"expected a body of at most {MOST_BYTES} bytes"}
        try:
            asked = json.loads(self.rfile.read(int(size)))
            config, kind = asked["config"], asked["type"]
        except (ValueError, KeyError, TypeError):
            return 400, {"error": 'expected {"config": ..., "type": ...}'}
        self.server.service.trigger(str(config), str(kind))
        return 202, {"accepted": {"config": config, "type": kind}}

    def _send(self, code: int, fields: Mapping[str, Any]) -> None:
        body = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        log.debug("request", client=self.client_address[0], line=format % args)


def _asked(query: str) -> tuple[str | None, int]:
    """Return the configuration and the number of results that a query asks for."""
    found = parse_qs(query)
    text = found.get("limit", [str(KNOWN_ROUNDS)])[-1]
    if not text.isdecimal() or not 1 <= int(text) <= MOST_RESULTS:
        raise UsageError(f"found {text!r}; expected 1 to {MOST_RESULTS}", where="limit")
    return found.get("config", [None])[-1], int(text)
