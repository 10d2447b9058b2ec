"""Hold one alert and say it: the object that sinks get and the line in the log (`core.md` 10)."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.alert_rules import Severity, find_kind
from ringrift.core.log import get_logger, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = get_logger("ringrift.core.alerts")

TEXT_LIMIT = 2000

State = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Hold the latest episode of one (kind, subject); times in seconds since 1970.

    `announced_at_s` is when the last message was queued, `messages` how many were.
    """

    id: str
    kind: str
    subject: str
    state: State
    severity: Severity
    text: str
    values: dict[str, Any]
    node: str
    fired_at_s: float
    seen_at_s: float
    resolved_at_s: float | None
    acked_at_s: float | None
    announced_at_s: float | None
    messages: int


_FIELDS = tuple(field.name for field in dataclasses.fields(Alert))


def alert_from_row(row: Sequence[Any]) -> Alert:
    """Return the alert of one database row, whose columns stand in the order of the fields."""
    fields = dict(zip(_FIELDS, row, strict=True))
    return Alert(**{**fields, "values": json.loads(fields["values"])})


def message_of(alert: Alert, now_s: float, *, number: int) -> dict[str, Any]:
    """Return the object that sinks get; its id is the alert's with the message's number."""
    kind = find_kind(alert.kind)
    ended_as = kind.resolved_as if alert.state == "resolved" else None
    return {
        "kind": ended_as or alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "text": alert.text,
        "values": alert.values,
        "node": alert.node,
        "time": utc(now_s),
        "state": alert.state,
        "id": f"{alert.id}-{number}",
    }


def log_message(message: Mapping[str, Any], *, muted: bool = False) -> None:
    """Log a change: the sink that always works, for muted kinds too."""
    quiet = message["state"] == "resolved" or message["severity"] == "info"
    emit = log.info if quiet else log.error if message["severity"] == "critical" else log.warning
    fields = {name: message[name] for name in ("kind", "subject", "text", "values")}
    emit(f"alert {message['state']}", **fields, id=message.get("id"), muted=muted or None)


def one_line(text: str) -> str:
    """Return text as it is kept: on one line, of bounded length, without secrets."""
    return " ".join(str(without_secrets(text)).split())[:TEXT_LIMIT]


def values_json(values: Mapping[str, Any]) -> str:
    """Return values as JSON without secrets; what is no number in JSON becomes null."""
    return json.dumps(_finite(without_secrets(dict(values))), ensure_ascii=False, allow_nan=False)


def node_name() -> str:
    """Return the name of this machine in messages: `RINGRIFT_NODE_ID`, else the host's."""
    return os.environ.get("RINGRIFT_NODE_ID") or socket.gethostname()


def utc(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value
