"""Hold the lease of a role, or wait for it: an `Election` over one key of the hub (`cluster.md` 4).

The key is written by publishing on its subject with a time to live, and only over the revision that
was seen; a renewal through the bucket would drop the time to live (`cluster-notes.md` 4).
"""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from ringrift.cluster.bus import Bus
from ringrift.cluster.election import LOOK, Election, Put, Term
from ringrift.cluster.streams import LEASE
from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger

log = get_logger(__name__)

LEADER = "leader"
"""The lease of whoever files the jobs."""
TICK_S = 0.1
LOST = (10071, 10164)
"""The hub's answers to a write over another revision than the last."""
_MARKS = ("Nats-Marker-Reason", "KV-Operation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What the key says: which node holds it, and the name of that node's process.

    `revision` is the key's; `free` where it was given up.
    """

    node: str
    process: str
    revision: int
    free: bool


class Lease:
    """One node's part in the lease `key`, in a thread of its own; a context manager.

    `ttl_s` is `cluster.lease_ttl_seconds`; `incarnation` returns that of the hub, which changes with
    its storage. `alone` says that no other process of this node lives, as a lock proves: what it held
    is taken over at once.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        key: str,
        ttl_s: float,
        incarnation: Callable[[], int],
        node: str,
        alone: bool = False,
    ) -> None:
        self._bus = bus
        self._key = key
        self._subject = f"$KV.{LEASE}.{key}"
        self._ttl_s = max(1, math.ceil(ttl_s))
        self._node = node
        self._process = secrets.token_hex(8)
        self._alone = alone
        self._incarnation = incarnation
        self._guard = threading.Lock()
        self._election = Election(ttl_s=self._ttl_s, incarnation=incarnation())
        self._leader: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{key}", daemon=True)

    def __enter__(self) -> Lease:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def acting(self) -> bool:
        """Whether this node may act now; ask right before every write that only the leader does."""
        with self._guard:
            return self._election.acting(time.monotonic(), time.time())

    @property
    def term(self) -> Term | None:
        """The tenure of this node, None while it does not act."""
        with self._guard:
            acting = self._election.acting(time.monotonic(), time.time())
            return self._election.term if acting else None

    @property
    def leader(self) -> str | None:
        """The node that held the lease when it was last looked at, None if none did."""
        return self._node if self.acting else self._leader

    def start(self) -> None:
        """Begin to follow, and to lead as soon as the lease is free."""
        self._thread.start()

    def wait(self, limit_s: float) -> bool:
        """Wait until this node acts; False if it does not within `limit_s`."""
        deadline_s = time.monotonic() + limit_s
        while not self.acting:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(TICK_S / 5)
        return True

    def stop(self) -> None:
        """Stop acting and give the lease up, so that another need not wait for its end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._guard:
            revision = self._election.held
            self._election.resign(time.monotonic())
        if revision is None:
            return
        try:
            self._bus.run(self._write(b"", revision, {_MARKS[1]: "DEL"}), timeout_s=self._ttl_s)
        except (RingriftError, NatsError) as error:
            log.debug("the lease ends by itself", error=str(error))

    def _run(self) -> None:
        acted = False
        while not self._stopping.wait(TICK_S):
            with self._guard:
                if self._election.state == "follower":
                    self._election.incarnation = self._incarnation()
                action = self._election.tick(time.monotonic(), time.time())
            put = self._look() if action == LOOK else action
            if isinstance(put, Put):
                self._put(put)
            if acted != self.acting:
                acted = not acted
                log.info("leading" if acted else "no longer leading", term=str(self.term or ""))

    def _look(self) -> Put | None:
        """Ask what the key holds."""
        try:
            found = self._bus.run(holder_of(self._bus.js, self._key), timeout_s=self._ttl_s / 4)
        except (RingriftError, NatsError) as error:
            log.debug("the lease cannot be seen", error=str(error))
            with self._guard:
                self._election.timed_out(time.monotonic())
            return None
        ours = found.node == self._node and found.process != self._process and self._alone
        free = found.free or ours
        self._leader = None if free else found.node
        with self._guard:
            action = self._election.seen(time.monotonic(), revision=found.revision, free=free)
        return action if isinstance(action, Put) else None

    def _put(self, action: Put) -> None:
        """Write the key over the revision that was seen."""
        asked_s = time.monotonic()
        with self._guard:
            term = self._election.term
        # The creating write cannot say its own revision; every renewal says the term.
        tree = {"node": self._node, "process": self._process, "term": str(term or "")}
        body = json.dumps(tree).encode()
        try:
            revision = self._bus.run(self._write(body, action.last, {}), timeout_s=self._ttl_s / 4)
        except (RingriftError, NatsError) as error:
            cause = error.__cause__
            lost = isinstance(cause, APIError) and cause.err_code in LOST
            with self._guard:
                if lost:
                    self._election.refused(time.monotonic())
                else:
                    self._election.timed_out(time.monotonic())
            log.debug("the lease was not written", lost=lost, error=str(error))
        else:
            with self._guard:
                self._election.renewed(time.monotonic(), revision=revision, asked_s=asked_s)

    async def _write(self, body: bytes, last: int, headers: dict[str, str]) -> int:
        expected = {"Nats-Expected-Last-Subject-Sequence": str(last), **headers}
        ttl_s = self._ttl_s if body else None
        ack = await self._bus.js.publish(self._subject, body, msg_ttl=ttl_s, headers=expected)
        return ack.seq


async def holder_of(js: JetStreamContext, key: str) -> Holder:
    """Return what the lease `key` says."""
    try:
        message = await js.get_last_msg(f"KV_{LEASE}", f"$KV.{LEASE}.{key}", direct=False)
    except NotFoundError:
        return Holder(node="", process="", revision=0, free=True)
    revision = message.seq or 0
    if any(mark in (message.headers or {}) for mark in _MARKS):
        return Holder(node="", process="", revision=revision, free=True)
    try:
        tree = json.loads(message.data or b"")
        return Holder(node=tree["node"], process=tree["process"], revision=revision, free=False)
    except (ValueError, KeyError, TypeError):  # of another program: wait for its end
        return Holder(node="?", process="", revision=revision, free=False)
