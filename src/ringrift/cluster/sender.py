"""Carry the games that a node has finished from its spool to the hub (`cluster.md` 7).

A row leaves the spool when collectors have committed its place in the stream, not when the hub has
taken it: a hub that lost its storage gets it again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from ringrift.cluster.bus import Bus
from ringrift.cluster.positions import (
    Position,
    confirmed_seq,
    games_incarnation,
    read_positions,
)
from ringrift.cluster.spool import Batch, Spool
from ringrift.cluster.streams import GAMES
from ringrift.core.errors import RingriftError
from ringrift.core.log import get_logger

log = get_logger(__name__)

POLL_S = 0.2
"""How often the spool is looked at, which costs a few microseconds."""
CONFIRM_EVERY_S = 2.0
PUBLISH_LIMIT_S = 4.0
ROUND_LIMIT_S = 30.0
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.25, 5.0
WARN_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderState:
    """What the sender has done since it began, and what keeps it; `full` is the spool's share."""

    sent: int = 0
    confirmed: int = 0
    full: float = 0.0
    error: str | None = None


class Sender:
    """Sends a spool's games in a thread of its own; a context manager.

    `min_replicas` is `cluster.min_replicas`.
    """

    def __init__(self, bus: Bus, spool: Spool, *, min_replicas: int) -> None:
        self._bus = bus
        self._spool = spool
        self._min_replicas = min_replicas
        self._incarnation: int | None = None
        self._confirm_at_s = 0.0
        self._hurry = False
        self._state = SenderState()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def __enter__(self) -> Sender:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def state(self) -> SenderState:
        """How it goes."""
        return self._state

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is in the spool stays there."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(ROUND_LIMIT_S)

    def drain(self, limit_s: float) -> bool:
        """Wait until every game of this node is in a store and none in the spool; False if not."""
        self._hurry = True
        deadline_s = time.monotonic() + limit_s
        try:
            while self._spool.holds_games():
                if time.monotonic() >= deadline_s or self._stopping.is_set():
                    return False
                time.sleep(POLL_S / 4)
            return True
        finally:
            self._hurry = False

    def _run(self) -> None:
        pause_s, backoff_s = 0.0, FIRST_BACKOFF_S
        while not self._stopping.wait(pause_s):
            if not self._bus.connected:
                self._failed("the hub cannot be reached")
                pause_s = FIRST_BACKOFF_S
                continue
            try:
                more = self._round()
            except (RingriftError, NatsError, sqlite3.Error) as error:
                self._failed(str(error))
                pause_s, backoff_s = backoff_s, min(2 * backoff_s, MOST_BACKOFF_S)
                self._incarnation = None
            else:
                if self._state.error is not None:
                    log.info("games are sent again")
                    self._note(error=None)
                pause_s, backoff_s = 0.0 if more else POLL_S, FIRST_BACKOFF_S

    def _round(self) -> bool:
        """Send what waits and forget what is confirmed; tell whether more waits."""
        games = self._spool.unsent()
        self._confirm_if_due()
        if games:
            incarnation = self._known_incarnation()
            taken = self._bus.run(_publish(self._bus.js, games), timeout_s=ROUND_LIMIT_S)
            done = [(sha256, seq) for sha256, seq in taken if isinstance(seq, int)]
            self._spool.sent(done, incarnation=incarnation)
            self._note(sent=self._state.sent + len(done))
            refused = [answer for _, answer in taken if isinstance(answer, Exception)]
            if refused:
                raise refused[0]
        return bool(games)

    def _known_incarnation(self) -> int:
        """Return the incarnation of the stream; what was sent to another one is sent again."""
        if self._incarnation is None:
            self._incarnation, _ = self._bus.run(games_incarnation(self._bus.js))
            again = self._spool.forget_places(self._incarnation)
            if again:
                log.warning("the hub has new storage: games are sent again", batches=again)
        return self._incarnation

    def _confirm_if_due(self) -> None:
        now_s = time.monotonic()
        if now_s < self._confirm_at_s and not self._hurry:
            return
        self._confirm_at_s = now_s + CONFIRM_EVERY_S
        self._warn_if_full()
        if not self._spool.waiting():
            return
        before, positions, after = self._bus.run(_look(self._bus.js))
        if before != after or before != self._incarnation:
            self._incarnation = None
            self._known_incarnation()
            return
        seq = confirmed_seq(
            positions, incarnation=before, min_replicas=self._min_replicas, now=time.time()
        )
        if seq:
            done = self._spool.confirmed(seq, incarnation=before)
            self._note(confirmed=self._state.confirmed + done)

    def _warn_if_full(self) -> None:
        full = self._spool.state().bytes / self._spool.most_bytes
        if full >= WARN_SHARE > self._state.full:
            log.warning("the spool fills up", full=round(full, 3), path=str(self._spool.path))
        self._note(full=full)

    def _failed(self, why: str) -> None:
        if self._state.error is None:
            log.warning("games wait in the spool", why=why)
        self._note(error=why)

    def _note(self, **changes: object) -> None:
        values = {name: getattr(self._state, name) for name in SenderState.__slots__}
        self._state = SenderState(**{**values, **changes})


async def _publish(
    js: JetStreamContext, batches: Sequence[Batch]
) -> list[tuple[str, int | Exception]]:
    """Publish batches at once; return the place of each, or why it has none."""

    async def one(batch: Batch) -> tuple[str, int | Exception]:
        try:
            ack = await js.publish(
                batch.subject,
                batch.body,
                timeout=PUBLISH_LIMIT_S,
                stream=GAMES,
                headers={"Nats-Msg-Id": batch.sha256},
            )
        except NatsError as error:
            return batch.sha256, error
        return batch.sha256, ack.seq

    return list(await asyncio.gather(*map(one, batches)))


async def _look(js: JetStreamContext) -> tuple[int, dict[str, Position], int]:
    """Return what collectors say, and the stream's incarnation before and after asking."""
    before, _ = await games_incarnation(js)
    positions = await read_positions(js)
    after, _ = await games_incarnation(js)
    return before, positions, after
