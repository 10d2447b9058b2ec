"""Read a stream from a place on, in a few requests and without a consumer (`cluster.md` 3).

Nothing is kept in the hub for a reader, so a hub that was restarted or a reader that was killed
changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

MOST_AT_ONCE = 512
ANSWER_S = 5.0
NOT_FOUND, END, NO_RESPONDERS = "404", "204", "503"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One message of a stream."""

    seq: int
    subject: str
    data: bytes


class ReadFailed(NatsError):
    """The hub did not give what it holds."""


class Follower:
    """Reads on in a stream from where it was; a stream that was made anew is read from its start.

    `subject` may hold wildcards.
    """

    def __init__(self, stream: str, subject: str) -> None:
        self._stream = stream
        self._subject = subject
        self._incarnation: int | None = None
        self._next = 1

    async def read(
        self, js: JetStreamContext, *, since: str | None = None
    ) -> tuple[list[Stored], bool]:
        """Return what is new, in order, and whether the stream is another than the last time.

        A stream that was not read before is read from `since` on, as `read_since`, or from its
        start. Two requests where nothing is new; raises as `read_from`.
        """
        incarnation, _ = await stream_incarnation(js, self._stream)
        anew = incarnation != self._incarnation
        if anew and since is not None:
            found = await read_since(js, self._stream, self._subject, since=since)
        else:
            start = 1 if anew else self._next
            found = await read_from(js, self._stream, self._subject, seq=start)
        first = self._incarnation is None
        self._incarnation = incarnation
        if found:
            self._next = found[-1].seq + 1
        elif anew:
            self._next = 1
        return found, anew and not first


async def stream_incarnation(js: JetStreamContext, stream: str) -> tuple[int, int]:
    """Return when a stream was made, Unix microseconds, and the first place in it.

    Raises `ReadFailed` while there is no such stream.
    """
    try:
        info = await js.stream_info(stream)
    except NotFoundError as error:
        raise ReadFailed(f"the hub has no stream {stream} yet") from error
    if info.created is None:
        raise ReadFailed(f"the hub does not say when its stream {stream} was made")
    return int(info.created.timestamp() * 1e6), info.state.first_seq


async def read_from(
    js: JetStreamContext, stream: str, subject: str, *, seq: int = 1
) -> list[Stored]:
    """Return the messages of a subject (may hold wildcards) from place `seq` on, in order.

    The stream needs `allow_direct`. Raises `ReadFailed`, or an error of the connection.
    """
    found: list[Stored] = []
    while True:
        got, more = await _page(js, stream, {"seq": seq, "next_by_subj": subject})
        found += got
        if not more or not got:
            return found
        seq = got[-1].seq + 1


async def read_since(
    js: JetStreamContext, stream: str, subject: str, *, since: str
) -> list[Stored]:
    """Return the messages stored at or after a time, RFC 3339 in UTC; raises as `read_from`."""
    got, more = await _page(js, stream, {"start_time": since, "next_by_subj": subject})
    if not more or not got:
        return got
    return got + await read_from(js, stream, subject, seq=got[-1].seq + 1)


async def _page(
    js: JetStreamContext, stream: str, asked: dict[str, Any]
) -> tuple[list[Stored], bool]:
    """Return some messages and whether more are there."""
    found: list[Stored] = []
    client = js._nc  # noqa: SLF001 - the library has no other name for its connection
    answers = await client.subscribe(client.new_inbox())
    try:
        question = json.dumps({**asked, "batch": MOST_AT_ONCE}).encode()
        await client.publish(f"$JS.API.DIRECT.GET.{stream}", question, answers.subject)
        while True:
            message = await answers.next_msg(timeout=ANSWER_S)
            headers = message.headers or {}
            status = headers.get("Status")
            if status == END:
                return found, int(headers.get("Nats-Num-Pending", "0")) > 0
            if status == NOT_FOUND:
                return found, False
            if status is not None:
                raise ReadFailed(f"stream {stream}: the hub answers {status}")
            found.append(
                Stored(
                    seq=int(headers["Nats-Sequence"]),
                    subject=headers["Nats-Subject"],
                    data=message.data,
                )
            )
    finally:
        await answers.unsubscribe()
