"""A connection to the hub that plain code can use: its event loop runs in a thread of its own.

Everything the hub is asked for has a time limit; what was refused is said with the server's own
words (`cluster-notes.md` 5).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from ringrift.cluster.keys import NodeKey
from ringrift.core.errors import NotRunningError, RefusedError, RingriftError
from ringrift.core.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")

CLOSE_LIMIT_S = 1.0
CONNECT_LIMIT_S = 3.0
CALL_LIMIT_S = 10.0
RECONNECT_S = 0.25
REFUSED = "authorization violation"


class Bus:
    """One connection to a hub; a context manager. Its methods may be called from any thread."""

    def __init__(self, url: str, key: NodeKey, *, node: str, ping_s: float = 5.0) -> None:
        self.url = url
        self.node = node
        self._key = key
        self._ping_s = ping_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bus", daemon=True)
        self._client: Client | None = None
        self.last_error: str | None = None

    def __enter__(self) -> Bus:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether the hub answers now."""
        return self._client is not None and bool(self._client.is_connected)

    @property
    def client(self) -> Client:
        """The connection, for coroutines that run in this bus; raises `NotRunningError`."""
        if self._client is None:
            raise NotRunningError("not connected to a hub")
        return self._client

    @property
    def js(self) -> JetStreamContext:
        """JetStream of the connection."""
        return self.client.jetstream(timeout=CALL_LIMIT_S)

    def connect(self) -> None:
        """Connect; from then on a lost connection is made again for ever.

        Raises `NotRunningError` where nobody answers, `RefusedError` for an unknown key.
        """
        _bound_closing()
        self._thread.start()
        try:
            self._client = self.run(self._connect(), timeout_s=2 * CONNECT_LIMIT_S)
        except RingriftError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection and end its thread."""
        if not self._thread.is_alive():
            return
        if self._client is not None:
            client, self._client = self._client, None
            try:
                self.run(client.close(), timeout_s=2 * CLOSE_LIMIT_S)
            except NotRunningError as error:
                log.debug("bus closed late", error=error.message)
        with suppress(NotRunningError):
            self.run(_end_tasks(), timeout_s=2 * CLOSE_LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_LIMIT_S)

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float = CALL_LIMIT_S) -> T:
        """Run a coroutine in the bus and return what it returns.

        Raises `NotRunningError` for whatever the hub refuses and after `timeout_s`.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise NotRunningError(self._complaint(f"no answer in {timeout_s:g} s")) from None
        except (NatsError, OSError) as error:
            raise NotRunningError(self._complaint(str(error) or type(error).__name__)) from error

    def start(self, work: Coroutine[Any, Any, Any]) -> Callable[[], None]:
        """Run a coroutine beside; the function that is returned cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)

        def cancel() -> None:
            future.cancel()

        return cancel

    async def _connect(self) -> Client:
        refused = asyncio.Event()

        async def failed(error: Exception) -> None:
            self.last_error = f"{error}" or type(error).__name__
            log.debug("bus", error=self.last_error)
            if REFUSED in self.last_error.lower():
                refused.set()

        async def gone() -> None:
            if self._client is not None:
                log.warning("hub not reachable", hub=self.url)

        async def back() -> None:
            log.info("hub reachable again", hub=self.url)

        connecting = nats.connect(
            servers=[self.url],
            nkeys_seed_str=self._key.seed,
            name=self.node,
            inbox_prefix=f"_INBOX_{self.node}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_S,
            ping_interval=self._ping_s,
            max_outstanding_pings=2,
            connect_timeout=CONNECT_LIMIT_S,
            allow_reconnect=True,
            error_cb=failed,
            disconnected_cb=gone,
            reconnected_cb=back,
        )
        return await _unless(refused, asyncio.ensure_future(connecting))

    def _complaint(self, what: str) -> str:
        said = f" ({self.last_error})" if self.last_error else ""
        return f"hub {self.url}: {what}{said}"


async def _end_tasks() -> None:
    """Cancel what still runs in this event loop: nothing may wake up after it has stopped."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _unless(refused: asyncio.Event, connecting: asyncio.Future[Client]) -> Client:
    """Wait for a connection, but not once the hub has refused the key: it would for ever."""
    waiting = asyncio.ensure_future(refused.wait())
    await asyncio.wait((connecting, waiting), return_when=asyncio.FIRST_COMPLETED)
    if connecting.done():
        waiting.cancel()
        return connecting.result()
    connecting.cancel()
    raise RefusedError("the hub does not know this node's key", hint="ringrift cluster invite")


def _bound_closing() -> None:
    """Bound how long the client waits for a dead connection to close, which is 30 s otherwise."""
    if getattr(TcpTransport.wait_closed, "bounded", False):
        return
    original = TcpTransport.wait_closed

    async def wait_closed(self: Any) -> None:
        try:
            waiting = asyncio.ensure_future(original(self))
            await asyncio.wait_for(asyncio.shield(waiting), CLOSE_LIMIT_S)
        except TimeoutError:
            if self._io_writer is not None:
                self._io_writer.transport.abort()
        except (OSError, NatsError) as error:
            log.debug("close failed", error=repr(error))

    wait_closed.bounded = True  # type: ignore[attr-defined]
    TcpTransport.wait_closed = wait_closed  # type: ignore[method-assign]
