"""Post one alert to one sink over HTTP; its address is a secret and is named nowhere.

`alerting.webhook_url` (`RINGRIFT_WEBHOOK_URL`) gets the JSON object of `core.md` 10,
`alerting.slack_webhook_url` (`RINGRIFT_SLACK_WEBHOOK_URL`) a text.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from ringrift.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.core.settings.control import Alerting

TIMEOUT_S = 10.0
LONGEST_RETRY_AFTER_S = 900.0
_ANSWER_BYTES = 65_536
# These answers are about the sink or the moment; any other 4xx is about this message.
_SINK_STATUSES = frozenset({401, 403, 404, 405, 407, 408, 410, 425, 429})


class DeliveryFailed(Exception):
    """A sink did not accept a message; the text names no address.

    `this_message` says that the sink itself works; `retry_after_s` is its wish.
    """

    def __init__(
        self, reason: str, *, this_message: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.this_message = this_message
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Name where messages go; `url` is shown in no text of this object."""

    name: str
    url: str = field(repr=False)
    as_text: bool = False

    def body(self, message: Mapping[str, Any]) -> bytes:
        """Return the bytes that this sink gets for a message."""
        content = {"text": as_text(message)} if self.as_text else dict(message)
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


def configured_sinks(
    settings: Alerting, *, root: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Sink, ...]:
    """Return the sinks that the settings refer to; raises `SettingsError` for a bad address.

    `root` is the data root, to which files with an address are relative. The addresses are hidden
    from logs and records from now on.
    """
    sinks = []
    for name, key, text in (
        ("webhook", "webhook_url", False),
        ("slack", "slack_webhook_url", True),
    ):
        url = getattr(settings, key).read(root=root, environ=environ)
        if url is not None:
            sinks.append(Sink(name=name, url=_checked(key, url), as_text=text))
    return tuple(sinks)


def as_text(message: Mapping[str, Any]) -> str:
    """Return one message as a line for people, with Slack's three signs escaped."""
    head = f"[{message['state']}] {message['severity']} {message['kind']} {message['subject']}"
    text = f"{head}: {message['text']} ({message['node']}, {message['time']}, {message['id']})"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(sink: Sink, message: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> None:
    """Send one message and return once the sink accepted it with a 2xx answer.

    Raises `DeliveryFailed` for every other answer (redirects are not followed) and when there is
    none within `timeout_s`, connecting included. Whether a request without an answer was accepted
    cannot be known: it is sent again with the same `id`.
    """
    parts = urlsplit(sink.url)
    connection = _connection(parts, timeout_s)
    expired = threading.Event()
    # A socket's own timeout starts again with each byte; a slow drip needs one for the whole.
    watchdog = threading.Timer(timeout_s, _cut, (connection, expired))
    watchdog.daemon = True
    watchdog.start()
    reason = None
    try:
        connection.request("POST", _target(parts), sink.body(message), _headers(parts))
        answer = connection.getresponse()
        with contextlib.suppress(OSError, http.client.HTTPException):  # the status has decided
            answer.read(_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = f"no answer within {timeout_s:g} s" if expired.is_set() else _reason(error)
    finally:
        watchdog.cancel()
        connection.close()
    if reason is not None:  # raised here: a chained exception would name the address
        raise DeliveryFailed(reason)
    _judge(answer)


def _judge(answer: http.client.HTTPResponse) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryFailed(f"answered {status}; redirects are not followed")
    raise DeliveryFailed(
        f"answered {status}",
        this_message=400 <= status < 500 and status not in _SINK_STATUSES,
        retry_after_s=_retry_after(answer.getheader("Retry-After")),
    )


def _retry_after(text: str | None) -> float | None:
    if text is None or not text.strip().isdecimal():  # a date is rare, our own backoff will do
        return None
    return min(float(text), LONGEST_RETRY_AFTER_S)


def _checked(key: str, url: str) -> str:
    problem = _problem(url)
    if problem is None:
        return url
    raise SettingsError(
        f"alerting.{key}: its address {problem}; expected http:// or https:// with a host (the "
        "address is a secret and not shown)",
        where=f"alerting.{key} or RINGRIFT_{key.upper()}",
    )


def _problem(url: str) -> str | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return "has spaces or signs that a URL cannot have"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text quotes the address
        return "is no URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is no address of the web"
    return None


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            host, parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "ringrift-alerts",
        "Connection": "close",
    }
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return headers


def _cut(connection: http.client.HTTPConnection, expired: threading.Event) -> None:
    expired.set()
    held: socket.socket | None = connection.sock
    if held is not None:
        with contextlib.suppress(OSError):  # it ended by itself meanwhile
            socket.socket.shutdown(held, socket.SHUT_RDWR)


def _reason(error: BaseException) -> str:
    """Say what went wrong in our own words: the libraries' words may quote the address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate is refused"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, socket.gaierror):
        return "its host name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.HTTPException | ConnectionError):
        return "hung up without an answer"
    if isinstance(error, OSError) and error.errno is not None:
        return f"not reachable: {os.strerror(error.errno)}"
    return f"not reachable: {type(error).__name__}"
