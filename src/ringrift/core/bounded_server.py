"""HTTP servers with a bounded number of connections, in a thread of their own.

The base of each server of this program: what it answers is for the handler to say.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from ringrift.core.errors import BusyError
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from types import TracebackType

log = get_logger(__name__)

LOOPBACK = "127.0.0.1"
CLOSE_S = 2.0


class BoundedServer(ThreadingHTTPServer):
    """Gives each connection a thread, `most` at once, and refuses the others with 503."""

    daemon_threads = True
    block_on_close = False
    most: int

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, float] = {}
        self._changed = threading.Condition()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or refuse it where all are taken."""
        with self._changed:
            free = len(self._open) < self.most
            if free:
                self._open[request] = time.monotonic()
        if free:
            super().process_request(request, client_address)
            return
        request.settimeout(0.0)
        version = self.RequestHandlerClass.protocol_version  # type: ignore[attr-defined] # of HTTP handlers
        with contextlib.suppress(OSError):
            request.send(f"{version} 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n".encode())
        super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection and give its place away."""
        super().shutdown_request(request)
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify_all()

    def cut_older(self, age_s: float) -> None:
        """Cut off connections that were opened so long ago."""
        oldest = time.monotonic() - age_s
        with self._changed:
            for request in [request for request, began in self._open.items() if began < oldest]:
                _cut(request)

    def end_all(self, *, within_s: float) -> None:
        """Wait for open connections, then cut off those that remain."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, timeout=within_s)
            for request in self._open:
                _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection; clients that leave early are no news."""
        del request
        log.debug("a request ended early", client=str(client_address), error=str(sys.exc_info()[1]))


class Serving:
    """Runs a server in a thread until closed; a context manager."""

    def __init__(self, server: BoundedServer, host: str, *, name: str, poll_s: float) -> None:
        self._server = server
        self.host = host
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": poll_s}, name=name, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the server is, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Take no more connections, let running ones end for up to 2 s, and free the port."""
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


def port_taken(error: OSError, host: str, port: int, *, free: str) -> BusyError | None:
    """Return what to raise where a port is taken, naming its holder; `free` asks for another one."""
    if error.errno != errno.EADDRINUSE:
        return None
    return BusyError(
        f"port {port} is taken by {_port_holder(port) or 'another process'}",
        where=f"{host}:{port}",
        hint=f"{free} for a free one, or end that process",
    )


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed meanwhile
        request.shutdown(socket.SHUT_RDWR)


def _port_holder(port: int) -> str | None:
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
