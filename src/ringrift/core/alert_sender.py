"""Deliver queued alerts from a background thread; one process of a data root at a time.

    with alerting(paths, settings.alerting):
        ...  # alerts.alert and alerts.resolve work, messages go out

Delivery is at least once: what a sink accepted is deleted after its answer, so a process killed
between the two sends the message again, with the same `id`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ringrift.core import alert_outbox as outbox
from ringrift.core import alerts
from ringrift.core.alert_sinks import TIMEOUT_S, DeliveryFailed, Sink, configured_sinks, post
from ringrift.core.errors import BusyError
from ringrift.core.files import lock, transaction
from ringrift.core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ringrift.core.paths import Paths
    from ringrift.core.settings.control import Alerting

log = get_logger(__name__)

LOCK = "alerts.lock"
POLL_S = 2.0
FLUSH_S = 5.0


class AlertSender:
    """Send what an `AlertBook` owes to `sinks`, beginning with the oldest message.

    The lock is held during one pass, not for life: a process that has another sink configured gets
    its turn. A sink that fails rests 1 to 60 s; the others do not wait for it.
    """

    def __init__(
        self,
        book: alerts.AlertBook,
        sinks: Sequence[Sink],
        *,
        timeout_s: float = TIMEOUT_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._book = book
        self._sinks = tuple(sinks)
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._lock_path = book.path.with_name(LOCK)
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver in a background thread; nothing if it runs already."""
        if self._thread is not None:
            return
        self._stopping.clear()
        self._given_up.clear()
        self._thread = threading.Thread(target=self._run, name="alert-sender", daemon=True)
        self._thread.start()

    def stop(self, *, flush_s: float = FLUSH_S) -> None:
        """End the thread after one last pass, at the latest after `flush_s`.

        What was not delivered stays on disk for the next process.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        self._book.news.set()
        thread.join(flush_s)
        self._given_up.set()

    def deliver(self) -> int:
        """Send all that is due now; return how many messages were accepted.

        Sends nothing while another process delivers. Repeats and the digest are queued in any case.
        """
        self._book.refresh()
        if not self._sinks or not self._has_work():
            return 0
        try:
            with lock(self._lock_path, what="alert delivery"):
                return self._pass()
        except BusyError:
            return 0

    def _has_work(self) -> bool:
        connection, now_s = self._book.connection(), self._book.clock()
        return outbox.has_unrouted(connection) or any(
            outbox.next_due(connection, sink.name, now_s) for sink in self._sinks
        )

    def _pass(self) -> int:
        connection = self._book.connection()
        count, active = 0, list(self._sinks)
        # One message a turn: a slow sink delays another by one request at most.
        while active and not self._given_up.is_set():
            if outbox.has_unrouted(connection):
                with transaction(connection):
                    outbox.route(connection, [sink.name for sink in self._sinks])
            for sink in list(active):
                due = outbox.next_due(connection, sink.name, self._book.clock())
                if due is None:
                    active.remove(sink)
                else:
                    count += self._send(sink, due)
        return count

    def _send(self, sink: Sink, due: outbox.Due) -> bool:
        connection, identity = self._book.connection(), due.body["id"]
        try:
            post(sink, due.body, timeout_s=self._timeout_s)
        except DeliveryFailed as error:
            with transaction(connection):
                wait_s = outbox.failed(
                    connection,
                    due,
                    self._book.clock(),
                    error.reason,
                    this_message=error.this_message,
                    retry_after_s=error.retry_after_s,
                )
            log.warning(
                "alert not accepted",
                sink=sink.name,
                id=identity,
                attempts=due.attempts + 1,
                reason=error.reason,
                next_attempt_in_s=round(wait_s, 1),
            )
            return False
        with transaction(connection):
            outbox.accepted(connection, due)
        log.debug("alert accepted", sink=sink.name, id=identity, attempts=due.attempts + 1)
        return True

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._pass_safely()
                self._book.news.wait(self._poll_s)
                self._book.news.clear()
            self._pass_safely()
        finally:
            self._book.close()

    def _pass_safely(self) -> None:
        try:
            self.deliver()
        except Exception:  # the thread outlives a full disk and a defect
            log.exception("alerts could not be delivered")
            self._stopping.wait(self._poll_s)


@contextmanager
def alerting(
    paths: Paths, settings: Alerting, *, environ: Mapping[str, str] | None = None
) -> Iterator[alerts.AlertBook]:
    """Make `alerts.alert` and `alerts.resolve` work for this process while the block runs.

    The book is `data/coordination/alerts.db`. Raises `SettingsError` for a bad sink address.
    """
    sinks = configured_sinks(settings, root=paths.root, environ=environ)
    book = alerts.AlertBook(
        paths.coordination / alerts.DATABASE,
        sinks=[sink.name for sink in sinks],
        repeat_s=settings.repeat_hours * outbox.HOUR_S,
    )
    sender = AlertSender(book, sinks)
    sender.start()
    alerts.use_book(book)
    try:
        yield book
    finally:
        alerts.use_book(None)
        sender.stop()
        book.close()
