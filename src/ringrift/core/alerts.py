"""Alert once per change: a book of what fires, in SQLite, and the messages it owes (`core.md` 10).

    book = AlertBook(paths.coordination / "alerts.db", repeat_s=6 * 3600)
    use_book(book)
    alert("elo_drop", "square8_2p", "critical", "fell by 120 Elo", {"model": ..., "drop": 120})
    resolve("elo_drop", "square8_2p")

Conditions are levels: call `alert` as long as one holds and `resolve` as long as it does not, as
often as you look. Each change is logged and, once, queued for the sinks; `alert_sender` delivers.
The caller waits for the disk at most, never for a sink.
"""

from __future__ import annotations

import math
import os
import secrets
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from ringrift.core import alert_outbox as outbox
from ringrift.core.alert_messages import (
    Alert,
    alert_from_row,
    log_message,
    message_of,
    node_name,
    one_line,
    values_json,
)
from ringrift.core.alert_rules import ENDS, SEVERITIES, Severity, find_kind
from ringrift.core.errors import BusyError, DataError, RingriftError, UsageError
from ringrift.core.files import BUSY_TIMEOUT_S, open_sqlite, transaction
from ringrift.core.ids import resolve_prefix
from ringrift.core.log import get_logger
from ringrift.core.metrics import process_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

log = get_logger(__name__)

DATABASE = "alerts.db"
SCHEMA_VERSION = 1
# What goes on is written this often at most: looking every 2 s must not write every 2 s.
SEEN_EVERY_S = 60.0
PURGE_EVERY_S = 600.0
KEEP_RESOLVED_S = 14 * 86_400.0

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS alerts (
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('firing', 'resolved')),
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
        text TEXT NOT NULL,
        "values" TEXT NOT NULL,
        node TEXT NOT NULL,
        fired_at REAL NOT NULL,
        seen_at REAL NOT NULL,
        resolved_at REAL,
        acked_at REAL,
        announced_at REAL,
        messages INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (kind, subject)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS mutes (
        kind TEXT PRIMARY KEY,
        until REAL NOT NULL
    ) STRICT, WITHOUT ROWID""",
    *outbox.SCHEMA,
)
_COLUMNS = (
    'id, kind, subject, state, severity, text, "values", node, fired_at, seen_at, resolved_at, '
    "acked_at, announced_at, messages"
)

# SQLite forbids to use, even to close, a connection in a forked child: it is kept there unused.
_inherited: list[Any] = []


class AlertBook:
    """Remember what fires and queue one message per change; any number of processes share it.

    `sinks` are the names of this process's sinks, `repeat_s` is the time after which a firing alert
    is told again, `node` the name in messages. Methods may be called from any thread; they raise
    `BusyError` or `DataError` when the database cannot be used, which `alert` and `resolve` of this
    module log instead.
    """

    def __init__(
        self,
        path: Path,
        *,
        sinks: Iterable[str] = (),
        repeat_s: float = 6 * outbox.HOUR_S,
        node: str | None = None,
        clock: Callable[[], float] = time.time,
        readonly: bool = False,
    ) -> None:
        self.path = path
        self.sinks = tuple(sinks)
        self.node = node or node_name()
        self.clock = clock
        self.news = threading.Event()
        self._repeat_s = repeat_s
        self._readonly = readonly
        self._purged_at_s = -math.inf
        self._local = threading.local()

    def alert(
        self,
        kind: str,
        subject: str,
        severity: Severity | None = None,
        text: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Note that a condition holds; return whether it began just now.

        `severity` is the kind's own unless given; `values` are plain data for whoever reads the
        message. A kind that only ends another resolves that one.
        """
        rule = find_kind(kind)
        if kind in ENDS:
            return self.resolve(ENDS[kind], subject, text=text, values=values)
        severity = severity or rule.severity
        if severity not in SEVERITIES:
            raise UsageError(f"severity: found {severity!r}; expected {', '.join(SEVERITIES)}")
        told = (severity, one_line(text or rule.sentence), values_json(values or {}))
        subject, now_s = one_line(subject), self.clock()
        known = self._find(kind, subject)
        if (
            known is not None
            and known.state == "firing"
            and known.severity == severity
            and 0 <= now_s - known.seen_at_s < SEEN_EVERY_S
        ):
            return False
        message = None
        with transaction(self.connection()) as connection:
            known = self._find(kind, subject)
            if known is not None and known.state == "firing":
                connection.execute(
                    'UPDATE alerts SET severity = ?, text = ?, "values" = ?, seen_at = ? '
                    "WHERE kind = ? AND subject = ?",
                    (*told, now_s, kind, subject),
                )
                return False
            connection.execute(
                f"INSERT OR REPLACE INTO alerts ({_COLUMNS}) "  # noqa: S608 - our own column names
                "VALUES (?, ?, ?, 'firing', ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, 0)",
                (secrets.token_hex(6), kind, subject, *told, self.node, now_s, now_s),
            )
            fresh = self._get(kind, subject)
            if not self._muted(kind, now_s):
                message = self._announce(fresh, now_s)
        self._tell(message or message_of(fresh, now_s, number=0), muted=message is None)
        return True

    def resolve(
        self,
        kind: str,
        subject: str,
        *,
        text: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """Note that a condition is over; return whether it was firing until now.

        The message is sent although the kind is muted if its beginning was: no receiver keeps an
        alert open that is over.
        """
        find_kind(kind)
        subject, now_s = one_line(subject), self.clock()
        known = self._find(kind, subject)
        if known is None or known.state == "resolved":
            return False
        message = None
        with transaction(self.connection()) as connection:
            known = self._find(kind, subject)
            if known is None or known.state == "resolved":
                return False
            connection.execute(
                "UPDATE alerts SET state = 'resolved', resolved_at = ?1, seen_at = ?1, text = ?2, "
                '"values" = ?3 WHERE kind = ?4 AND subject = ?5',
                (
                    now_s,
                    one_line(text) if text else f"over: {known.text}",
                    values_json({**known.values, **(values or {})}),
                    kind,
                    subject,
                ),
            )
            over = self._get(kind, subject)
            if over.messages:
                message = self._announce(over, now_s)
        self._tell(message or message_of(over, now_s, number=0), muted=message is None)
        return True

    def ack(self, identity: str) -> Alert:
        """Stop the repeats of one firing alert; `identity` is its id, a message's, or a prefix.

        Raises `UsageError` with the nearest ids for one that no alert has.
        """
        known = {alert.id: alert for alert in self.alerts()}
        found = known[resolve_prefix(identity.partition("-")[0], known, what="alert")]
        if found.state == "firing" and found.acked_at_s is None:
            with transaction(self.connection()) as connection:
                connection.execute(
                    "UPDATE alerts SET acked_at = ? WHERE id = ? AND state = 'firing'",
                    (self.clock(), found.id),
                )
            log.info("alert acknowledged", id=found.id, kind=found.kind, subject=found.subject)
        return self._get(found.kind, found.subject)

    def mute(self, kind: str, for_s: float) -> float | None:
        """Send nothing new of a kind for `for_s` seconds; 0 ends it. Return until when."""
        find_kind(kind)
        until_s = self.clock() + for_s if for_s > 0 else None
        with transaction(self.connection()) as connection:
            connection.execute("DELETE FROM mutes WHERE kind = ?", (kind,))
            if until_s is not None:
                connection.execute("INSERT INTO mutes VALUES (?, ?)", (kind, until_s))
        log.info("alerts muted", kind=kind, seconds=for_s)
        return until_s

    def refresh(self) -> None:
        """Queue repeats that are due and the digest, delete what is done; cheap without work."""
        connection, now_s = self.connection(), self.clock()
        told = []
        if self._due_repeats(now_s):
            with transaction(connection):
                told += [self._announce(alert, now_s) for alert in self._due_repeats(now_s)]
        if outbox.count_held(connection):
            with transaction(connection):
                digest = outbox.release(connection, self.node, now_s, self.sinks)
            told += [digest] if digest is not None else []
        for message in told:
            self._tell(message)
        if not 0 <= now_s - self._purged_at_s < PURGE_EVERY_S:
            self._purged_at_s = now_s
            self._purge(now_s)

    def alerts(self) -> list[Alert]:
        """Return every alert of the last 14 days: firing ones first, newest first."""
        rows = self.connection().execute(
            f"SELECT {_COLUMNS} FROM alerts ORDER BY state, fired_at DESC, id"  # noqa: S608 - as above
        )
        return [alert_from_row(row) for row in rows]

    def mutes(self) -> dict[str, float]:
        """Return until when each muted kind is muted, in seconds since 1970."""
        rows = self.connection().execute(
            "SELECT kind, until FROM mutes WHERE until > ? ORDER BY kind", (self.clock(),)
        )
        return dict(rows.fetchall())

    def pending(self) -> list[outbox.Pending]:
        """Return the messages that a sink has not accepted yet."""
        return outbox.pending(self.connection())

    def held(self) -> int:
        """Return how many changes wait for the next digest."""
        return outbox.count_held(self.connection())

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection; a forked child opens its own."""
        held = getattr(self._local, "held", None)
        if held is not None and held[0] != os.getpid():
            _inherited.append(held)
            held = None
        if held is None:
            self._local.held = held = (os.getpid(), self._open())
        return cast("sqlite3.Connection", held[1])

    def close(self) -> None:
        """Close this thread's connection; the next call opens it again."""
        held = getattr(self._local, "held", None)
        self._local.held = None
        if held is not None and held[0] == os.getpid():
            held[1].close()

    def _open(self) -> sqlite3.Connection:
        if not self._readonly:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self._readonly:
            with transaction(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            connection.close()
            raise DataError(
                f"alerts: found schema {version}; expected {SCHEMA_VERSION}",
                where=str(self.path),
                hint="the version of ringrift that wrote it",
            )
        return connection

    def _connect(self) -> sqlite3.Connection:
        """Open the database; two processes that create it at once get busy without a wait."""
        deadline_s = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return open_sqlite(self.path, readonly=self._readonly)
            except BusyError:
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(0.02)

    def _find(self, kind: str, subject: str) -> Alert | None:
        row = (
            self.connection()
            .execute(
                f"SELECT {_COLUMNS} FROM alerts WHERE kind = ? AND subject = ?",  # noqa: S608 - as above
                (kind, subject),
            )
            .fetchone()
        )
        return None if row is None else alert_from_row(row)

    def _get(self, kind: str, subject: str) -> Alert:
        found = self._find(kind, subject)
        if found is None:
            raise DataError(f"alert {kind} {subject} has gone", where=str(self.path))
        return found

    def _muted(self, kind: str, now_s: float) -> bool:
        query = "SELECT 1 FROM mutes WHERE kind = ? AND until > ?"
        return self.connection().execute(query, (kind, now_s)).fetchone() is not None

    def _due_repeats(self, now_s: float) -> list[Alert]:
        rows = self.connection().execute(
            f"SELECT {_COLUMNS} FROM alerts WHERE state = 'firing' AND acked_at IS NULL "  # noqa: S608 - as above
            "AND coalesce(announced_at, ?1 - ?2) <= ?1 - ?2 "
            "AND kind NOT IN (SELECT kind FROM mutes WHERE until > ?1) ORDER BY fired_at",
            (now_s, self._repeat_s),
        )
        return [alert_from_row(row) for row in rows]

    def _announce(self, alert: Alert, now_s: float) -> dict[str, Any]:
        """Queue the next message of an alert; inside a transaction."""
        connection = self.connection()
        message = message_of(alert, now_s, number=alert.messages + 1)
        outbox.admit(connection, message, now_s, self.sinks)
        connection.execute(
            "UPDATE alerts SET announced_at = ?, messages = messages + 1 WHERE id = ?",
            (now_s, alert.id),
        )
        return message

    def _tell(self, message: Mapping[str, Any], *, muted: bool = False) -> None:
        """Log a change, which is the sink that always works, wake the sender and count it."""
        log_message(message, muted=muted)
        self.news.set()
        if not muted:
            labels = {"kind": message["kind"], "status": message["state"]}
            process_metrics().inc("ringrift_alerts_total", **labels)

    def _purge(self, now_s: float) -> None:
        connection = self.connection()
        with transaction(connection):
            connection.execute(
                "DELETE FROM alerts WHERE state = 'resolved' AND resolved_at < ?",
                (now_s - KEEP_RESOLVED_S,),
            )
            connection.execute("DELETE FROM mutes WHERE until <= ?", (now_s,))
            lost = outbox.purge(connection, now_s)
        if lost:
            log.error("alerts never accepted in 30 days were given up", ids=lost)


_book: AlertBook | None = None


def use_book(book: AlertBook | None) -> None:
    """Make `book` the one of this process; without one, alerts are logged only."""
    global _book  # noqa: PLW0603 - one book per process, as with the log
    _book = book


def alert(
    kind: str,
    subject: str,
    severity: Severity | None = None,
    text: str = "",
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Note in this process's book that a condition holds; return whether it began just now.

    Never stops its caller: a book that cannot be written is an error in the log.
    """
    rule = find_kind(kind)
    if _book is None:
        fields = {"kind": kind, "subject": subject, "values": dict(values or {})}
        log_message(
            {**fields, "severity": severity or rule.severity, "text": text, "state": "firing"}
        )
        return True
    try:
        return _book.alert(kind, subject, severity, text, values)
    except (sqlite3.Error, RingriftError, OSError) as error:
        log.error(  # noqa: TRY400 - a full disk needs no traceback at every look
            "alert not kept", kind=kind, subject=subject, text=text, error=str(error)
        )
        return False


def resolve(
    kind: str,
    subject: str,
    *,
    text: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Note in this process's book that a condition is over; return whether it was firing."""
    find_kind(kind)
    if _book is None:
        return False
    try:
        return _book.resolve(kind, subject, text=text, values=values)
    except (sqlite3.Error, RingriftError, OSError) as error:
        log.error(  # noqa: TRY400 - as above
            "end of an alert not kept", kind=kind, subject=subject, error=str(error)
        )
        return False
