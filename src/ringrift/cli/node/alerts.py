"""`ringrift node alerts`: list, test, acknowledge and mute alerts (`core.md` 10)."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.core.alert_messages import Alert
    from ringrift.core.alert_outbox import Pending
    from ringrift.core.alert_sinks import Sink
    from ringrift.core.alerts import AlertBook

LONGEST_MUTE_S = 30 * 86_400
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_UNIT_S = (86_400, 3600, 60, 1)
NO_SINK = "no sink is configured: set RINGRIFT_WEBHOOK_URL or RINGRIFT_SLACK_WEBHOOK_URL"


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    group = typer.Typer(add_completion=False, no_args_is_help=True)
    group.command("list")(show)
    group.command("test")(send_test)
    group.command("ack")(ack)
    group.command("mute")(mute)
    app.add_typer(group, name="alerts", help="List, test, acknowledge and mute alerts.")


def show(
    firing: Annotated[
        bool, typer.Option("--firing", help="Only what fires now [default: the last 14 days].")
    ] = False,
) -> None:
    """List alerts, mutes and messages that a sink has not accepted.

    Reads data/coordination/alerts.db and changes nothing. Sinks are shown by name; their addresses
    are secrets.

    Examples: ringrift node alerts list | ringrift node alerts list --firing --json
    """
    run = current()
    book = _existing_book()
    sinks = _sinks()
    if book is None:
        empty: dict[str, Any] = {"alerts": [], "mutes": [], "pending": [], "held": 0}
        run.out.result({**empty, "sinks": [sink.name for sink in sinks]}, human="no alerts so far")
        return
    mutes = book.mutes()
    alerts = [alert for alert in book.alerts() if alert.state == "firing" or not firing]
    pending, held = book.pending(), book.held()
    run.out.result(
        {
            "alerts": [_alert_fields(alert, mutes) for alert in alerts],
            "mutes": [{"kind": kind, "until": _utc(until)} for kind, until in mutes.items()],
            "pending": [_pending_fields(message) for message in pending],
            "held": held,
            "sinks": [sink.name for sink in sinks],
        },
        human=lambda console: _print(console, alerts, mutes, pending, held),
    )


def send_test(dry_run: DryRun = False) -> None:
    """Send one test alert to each configured sink and say who accepted it.

    Sends at once and keeps nothing. Exit code 1 when a sink did not accept it; without a sink there
    is nothing to do, which is 0.

    Examples: ringrift node alerts test | ringrift node alerts test --dry-run
    """
    from ringrift.core.alert_sinks import DeliveryFailed, post

    run = current()
    sinks = _sinks()
    message = _test_message()
    answers: list[dict[str, Any]] = []
    for sink in sinks:
        started_s = time.monotonic()
        reason = None
        try:
            if not dry_run:
                post(sink, message)
        except DeliveryFailed as error:
            reason = error.reason
        answers.append(
            {
                "sink": sink.name,
                "accepted": None if dry_run else reason is None,
                "reason": reason,
                "seconds": round(time.monotonic() - started_s, 3),
            }
        )
    if not sinks:
        run.out.note(NO_SINK)
    ok = all(answer["reason"] is None for answer in answers)
    rows = [[answer["sink"], _verdict(answer), answer["seconds"]] for answer in answers]
    columns = [Column("sink"), Column("answer"), Column("time s", number=True)]
    run.out.result(
        {"id": message["id"], "sinks": answers, "dry_run": dry_run},
        human=run.out.table(columns, rows) if rows else None,
        ok=ok,
    )
    if not ok:
        raise typer.Exit(1)


def ack(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of an alert or message, its first digits, or a kind for all."
        ),
    ],
    dry_run: DryRun = False,
) -> None:
    """Acknowledge what fires, so that it is not repeated.

    Writes data/coordination/alerts.db. The message that it is over is still sent. Exit code 2 for
    an id that no alert has.

    Examples: ringrift node alerts ack spool_age | ringrift node alerts ack elo_drop --dry-run
    """
    run = current()
    found = [alert for alert in _named(identity) if alert.state == "firing"]
    if not dry_run:
        book = _book() if found else None
        found = [book.ack(alert.id) for alert in found if book is not None]
    words = "would be acknowledged" if dry_run else "acknowledged"
    lines = [f"{alert.id} {alert.kind} {alert.subject} {words}" for alert in found]
    run.out.result(
        {"alerts": [_alert_fields(alert, {}) for alert in found], "dry_run": dry_run},
        human="\n".join(lines) or f"nothing of {identity} fires now",
    )


def mute(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of alert, as elo_drop.")],
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="As 90s, 30m, 2h, 1d12h; 0 ends the mute.")
    ],
    dry_run: DryRun = False,
) -> None:
    """Send nothing new of one kind for a while.

    Writes data/coordination/alerts.db. Muted alerts are still logged and listed; one that still
    fires at the end of the mute is sent then. Exit code 2 for an unknown kind.

    Examples: ringrift node alerts mute spool_age --for 2h | ringrift node alerts mute spool_age --for 0
    """
    from ringrift.core.alert_rules import find_kind

    run = current()
    find_kind(kind)
    for_s = duration_s(for_)
    until_s = (time.time() + for_s if for_s else None) if dry_run else _book().mute(kind, for_s)
    until = None if until_s is None else _utc(until_s)
    verb = "would be " if dry_run else ""
    run.out.result(
        {"kind": kind, "until": until, "dry_run": dry_run},
        human=f"{kind} {verb}muted until {until}" if until else f"{kind} {verb}not muted any more",
    )


def duration_s(text: str, *, where: str = "--for") -> int:
    """Return the seconds of a duration such as 90s, 30m, 2h or 1d12h; raises `UsageError`."""
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = 0
    if match and match[0]:
        seconds = sum(
            int(count or 0) * unit for count, unit in zip(match.groups(), _UNIT_S, strict=True)
        )
    elif text.strip() != "0":
        raise UsageError(f"found {text!r}; expected a time as 90s, 30m, 2h, 1d12h", where=where)
    if seconds > LONGEST_MUTE_S:
        raise UsageError(f"found {text!r}; expected at most 30d", where=where)
    return seconds


def _book() -> AlertBook:
    from ringrift.core.alerts import DATABASE, AlertBook

    return AlertBook(current().paths().coordination / DATABASE)


def _existing_book() -> AlertBook | None:
    """Return the book for reading only; `None` where nothing has been alerted yet."""
    from ringrift.core.alerts import DATABASE, AlertBook

    path = current().paths(create=False).coordination / DATABASE
    return AlertBook(path, readonly=True) if path.is_file() else None


def _named(identity: str) -> list[Alert]:
    """Return the alerts of a kind, or the one of an id; raises `UsageError` for neither."""
    from ringrift.core.alert_rules import KINDS, find_kind
    from ringrift.core.ids import resolve_prefix

    digits = identity.partition("-")[0]
    if _HEX.fullmatch(digits) is None:
        find_kind(identity)

    book = _existing_book()
    known = {alert.id: alert for alert in (book.alerts() if book is not None else [])}
    if identity in KINDS:
        return [alert for alert in known.values() if alert.kind == identity]
    return [known[resolve_prefix(digits, known, what="alert")]]


def _sinks() -> tuple[Sink, ...]:
    from ringrift.core.alert_sinks import configured_sinks

    run = current()
    return configured_sinks(run.settings().values.alerting, root=run.known_root())


def _test_message() -> dict[str, Any]:
    from ringrift.core.alert_messages import node_name

    node = node_name()
    return {
        "kind": "test",
        "subject": node,
        "severity": "info",
        "text": "a test by `ringrift node alerts test`; nothing is wrong",
        "values": {},
        "node": node,
        "time": _utc(time.time()),
        "state": "firing",
        "id": f"{secrets.token_hex(6)}-1",
    }


def _verdict(answer: dict[str, Any]) -> str:
    if answer["accepted"] is None:
        return "would be asked"
    return "accepted" if answer["accepted"] else f"failed: {answer['reason']}"


def _utc(seconds: float) -> str:
    from ringrift.core.alert_messages import utc

    return utc(seconds)


def _shown_state(alert: Alert, mutes: dict[str, float]) -> str:
    words: list[str] = [alert.state]
    if alert.state == "firing":
        words += ["acked"] if alert.acked_at_s is not None else []
        words += ["muted"] if alert.kind in mutes else []
    return ", ".join(words)


def _alert_fields(alert: Alert, mutes: dict[str, float]) -> dict[str, Any]:
    def moment(seconds: float | None) -> str | None:
        return None if seconds is None else _utc(seconds)

    return {
        "id": alert.id,
        "kind": alert.kind,
        "subject": alert.subject,
        "state": alert.state,
        "severity": alert.severity,
        "text": alert.text,
        "values": alert.values,
        "node": alert.node,
        "fired_at": moment(alert.fired_at_s),
        "seen_at": moment(alert.seen_at_s),
        "resolved_at": moment(alert.resolved_at_s),
        "acked_at": moment(alert.acked_at_s),
        "announced_at": moment(alert.announced_at_s),
        "muted_until": moment(mutes.get(alert.kind)),
        "messages": alert.messages,
    }


def _pending_fields(message: Pending) -> dict[str, Any]:
    return {
        "id": message.id,
        "sink": message.sink,
        "kind": message.kind,
        "subject": message.subject,
        "state": message.state,
        "created_at": _utc(message.created_at_s),
        "attempts": message.attempts,
        "next_attempt_at": _utc(message.retry_at_s) if message.retry_at_s else None,
        "last_error": message.last_error,
    }


def _print(
    console: Console,
    alerts: Sequence[Alert],
    mutes: dict[str, float],
    pending: Sequence[Pending],
    held: int,
) -> None:
    out = current().out
    columns = [Column(head) for head in ("id", "kind", "subject", "state", "since", "text")]
    rows = [
        [
            alert.id,
            alert.kind,
            alert.subject,
            _shown_state(alert, mutes),
            _utc(alert.resolved_at_s or alert.fired_at_s),
            f"{alert.severity}: {alert.text}",
        ]
        for alert in alerts
    ]
    console.print(out.table(columns, rows) if rows else "no alerts")
    for kind, until_s in mutes.items():
        console.print(f"{kind} is muted until {_utc(until_s)}")
    if pending:
        heads = [Column("message"), Column("sink"), Column("attempts", number=True)]
        waiting = [
            [message.id, message.sink, message.attempts, message.last_error or "not tried yet"]
            for message in pending
        ]
        console.print(out.table([*heads, Column("last answer")], waiting, title="not accepted yet"))
    if held:
        console.print(f"{held} more changes wait for the digest")
