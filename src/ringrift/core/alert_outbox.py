"""Keep messages on disk until each sink accepted them: limit, digest, delivery, backoff.

Functions over the connection of `alerts.AlertBook`; those that write run inside its transactions.
A message lives in `messages`, what is still owed to each sink in `deliveries`, and how a sink fares
in `sinks`. Sinks stand there by name only: their addresses are secrets.
"""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ringrift.core.alert_messages import utc
from ringrift.core.alert_rules import SEVERITIES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

HOUR_S = 3600.0
MESSAGES_AN_HOUR = 30
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0
# Longer than any wait that is given: what lies further off was written before a clock went back.
LONGEST_WAIT_S = 1000.0
# A message that nobody with a sink has seen for a day is history; one that a sink was to get and
# never accepted is kept for a month, because sinks come back, but variables are also removed.
UNCLAIMED_KEEP_S = 86_400.0
UNACCEPTED_KEEP_S = 30 * 86_400.0
DIGEST = "digest"
_DIGEST_TEXT = 200

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS messages (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        created_at REAL NOT NULL,
        held INTEGER NOT NULL,
        routed INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS deliveries (
        message INTEGER NOT NULL REFERENCES messages(number) ON DELETE CASCADE,
        sink TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        retry_at REAL NOT NULL DEFAULT 0,
        last_error TEXT,
        PRIMARY KEY (message, sink)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS sinks (
        name TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        retry_at REAL NOT NULL,
        last_error TEXT
    ) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Hold one message that is to be sent to one sink now."""

    number: int
    sink: str
    attempts: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Describe one message that a sink has not accepted yet; times in seconds since 1970."""

    id: str
    sink: str
    kind: str
    subject: str
    state: str
    created_at_s: float
    attempts: int
    retry_at_s: float
    last_error: str | None


def admit(
    connection: sqlite3.Connection, message: Mapping[str, Any], now_s: float, sinks: Iterable[str]
) -> None:
    """Queue one message, or hold it for the digest once 30 went out within the hour."""
    held = not _free_slots(connection, now_s) or count_held(connection) > 0
    _insert(connection, message, now_s, sinks, held=held)


def release(
    connection: sqlite3.Connection, node: str, now_s: float, sinks: Iterable[str]
) -> dict[str, Any] | None:
    """Turn what was held into one digest as soon as the hour has room; return the digest."""
    if not count_held(connection) or not _free_slots(connection, now_s):
        return None
    rows = connection.execute("SELECT body FROM messages WHERE held = 1 ORDER BY number")
    bodies = [json.loads(body) for (body,) in rows]
    connection.execute("DELETE FROM messages WHERE held = 1")
    message = _digest(bodies, node, now_s)
    _insert(connection, message, now_s, sinks, held=False)
    return message


def route(connection: sqlite3.Connection, sinks: Iterable[str]) -> None:
    """Owe each message to the sinks of the process that sends, besides those of its author."""
    for sink in sinks:
        connection.execute(
            "INSERT OR IGNORE INTO deliveries (message, sink) "
            "SELECT number, ? FROM messages WHERE held = 0 AND routed = 0",
            (sink,),
        )
    connection.execute("UPDATE messages SET routed = 1 WHERE held = 0 AND routed = 0")


def has_unrouted(connection: sqlite3.Connection) -> bool:
    """Return whether `route` has something to do."""
    query = "SELECT 1 FROM messages WHERE held = 0 AND routed = 0 LIMIT 1"
    return connection.execute(query).fetchone() is not None


def next_due(connection: sqlite3.Connection, sink: str, now_s: float) -> Due | None:
    """Return the oldest message that `sink` should get now; `None` while it is given a rest.

    Only routed messages: one that were delivered first would be owed again by `route`.
    """
    latest_s = now_s + LONGEST_WAIT_S
    row = connection.execute(
        "SELECT number, attempts, body FROM deliveries JOIN messages ON number = message "
        "WHERE sink = ?1 AND routed = 1 AND (retry_at <= ?2 OR retry_at > ?3) AND NOT EXISTS "
        "(SELECT 1 FROM sinks WHERE name = ?1 AND retry_at > ?2 AND retry_at <= ?3) "
        "ORDER BY number LIMIT 1",
        (sink, now_s, latest_s),
    ).fetchone()
    if row is None:
        return None
    return Due(number=row[0], sink=sink, attempts=row[1], body=json.loads(row[2]))


def accepted(connection: sqlite3.Connection, due: Due) -> None:
    """Forget what a sink accepted, and that it ever failed."""
    connection.execute(
        "DELETE FROM deliveries WHERE message = ? AND sink = ?", (due.number, due.sink)
    )
    connection.execute("DELETE FROM sinks WHERE name = ?", (due.sink,))


def failed(
    connection: sqlite3.Connection,
    due: Due,
    now_s: float,
    reason: str,
    *,
    this_message: bool,
    retry_after_s: float | None,
) -> float:
    """Note a failed attempt and return the seconds until the next one.

    Only `this_message` waits when the sink itself works, else everything for that sink.
    """
    row = connection.execute("SELECT failures FROM sinks WHERE name = ?", (due.sink,)).fetchone()
    failures = due.attempts + 1 if this_message else (row[0] if row else 0) + 1
    wait_s = max(backoff_s(failures), retry_after_s or 0.0)
    connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, retry_at = ?, last_error = ? "
        "WHERE message = ? AND sink = ?",
        (now_s + wait_s if this_message else 0.0, reason, due.number, due.sink),
    )
    if not this_message:
        connection.execute(
            "INSERT INTO sinks VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE "
            "SET failures = ?2, retry_at = ?3, last_error = ?4",
            (due.sink, failures, now_s + wait_s, reason),
        )
    return wait_s


def backoff_s(failures: int) -> float:
    """Return the wait after `failures` in a row: doubling from 1 s to 60 s, plus up to 1 s."""
    doubled = FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16)
    return min(doubled + random.uniform(0, 1), LONGEST_BACKOFF_S)


def pending(connection: sqlite3.Connection) -> list[Pending]:
    """Return what is still owed, oldest first."""
    rows = connection.execute(
        "SELECT d.sink, d.attempts, max(d.retry_at, coalesce(s.retry_at, 0)), "
        "coalesce(d.last_error, s.last_error), m.body, m.created_at "
        "FROM deliveries d JOIN messages m ON m.number = d.message "
        "LEFT JOIN sinks s ON s.name = d.sink ORDER BY m.number, d.sink"
    )
    found = []
    for sink, attempts, retry_at_s, last_error, text, created_at_s in rows:
        body = json.loads(text)
        found.append(
            Pending(
                id=body["id"],
                sink=sink,
                kind=body["kind"],
                subject=body["subject"],
                state=body["state"],
                created_at_s=created_at_s,
                attempts=attempts,
                retry_at_s=retry_at_s,
                last_error=last_error,
            )
        )
    return found


def count_held(connection: sqlite3.Connection) -> int:
    """Return how many messages wait for the next digest."""
    query = "SELECT count(*) FROM messages WHERE held = 1"
    return cast("int", connection.execute(query).fetchone()[0])


def purge(connection: sqlite3.Connection, now_s: float) -> list[str]:
    """Delete what is done or hopeless; return the ids that a sink never accepted."""
    rows = connection.execute(
        "SELECT DISTINCT id FROM messages JOIN deliveries ON message = number WHERE created_at < ?",
        (now_s - UNACCEPTED_KEEP_S,),
    )
    hopeless = [identity for (identity,) in rows]
    connection.execute("DELETE FROM messages WHERE created_at < ?", (now_s - UNACCEPTED_KEEP_S,))
    connection.execute(
        "DELETE FROM messages WHERE held = 0 AND created_at < iif(routed, ?, ?) AND number NOT IN "
        "(SELECT message FROM deliveries)",
        (now_s - HOUR_S, now_s - UNCLAIMED_KEEP_S),
    )
    return hopeless


def _insert(
    connection: sqlite3.Connection,
    message: Mapping[str, Any],
    now_s: float,
    sinks: Iterable[str],
    *,
    held: bool,
) -> None:
    body = json.dumps(message, ensure_ascii=False, allow_nan=False)
    row = connection.execute(
        "INSERT INTO messages (id, body, created_at, held) VALUES (?, ?, ?, ?) RETURNING number",
        (message["id"], body, now_s, held),
    ).fetchone()
    if held:
        return
    for sink in sinks:
        connection.execute("INSERT INTO deliveries (message, sink) VALUES (?, ?)", (row[0], sink))


def _free_slots(connection: sqlite3.Connection, now_s: float) -> int:
    # Rows from the future were written before the clock was set back: they must not block.
    query = "SELECT count(*) FROM messages WHERE held = 0 AND created_at > ? AND created_at <= ?"
    sent = cast("int", connection.execute(query, (now_s - HOUR_S, now_s + 60.0)).fetchone()[0])
    return max(0, MESSAGES_AN_HOUR - sent)


def _digest(bodies: list[dict[str, Any]], node: str, now_s: float) -> dict[str, Any]:
    worst = max((body["severity"] for body in bodies), key=SEVERITIES.index)
    changes = [
        {
            **{key: body[key] for key in ("id", "kind", "subject", "severity", "state", "time")},
            "text": body["text"][:_DIGEST_TEXT],
        }
        for body in bodies
    ]
    first = "; ".join(f"{body['kind']} {body['subject']} {body['state']}" for body in bodies[:5])
    more = f"; and {len(bodies) - 5} more" if len(bodies) > 5 else ""
    return {
        "kind": DIGEST,
        "subject": node,
        "severity": worst,
        "text": f"{len(bodies)} changes beyond {MESSAGES_AN_HOUR} an hour: {first}{more}",
        "values": {"count": len(changes), "changes": changes},
        "node": node,
        "time": utc(now_s),
        "state": "firing",
        "id": secrets.token_hex(6),
    }
