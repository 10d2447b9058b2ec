"""How far collectors have come in the stream of games, as they tell each other (`cluster.md` 3, 7).

A position is a sequence number of the stream up to which a collector's store holds everything. It
means something only with the incarnation of that stream: the instant at which it was made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from ringrift.cluster.reading import ReadFailed, stream_incarnation
from ringrift.cluster.streams import COMMITTED, GAMES
from ringrift.core.errors import DataError, NotRunningError

SEEN_WITHIN_S = 3600.0
"""A collector that has said nothing for so long is not waited for."""
KEPT_S = 600.0
"""What was committed stays in the stream for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one collector says: everything up to `seq` is in its store, which has `games` games.

    `time` is Unix seconds.
    """

    incarnation: int
    seq: int
    games: int
    time: float


class Contiguous:
    """Follows the highest sequence number below which nothing is missing."""

    def __init__(self, floor: int) -> None:
        self.position = floor
        self._above: set[int] = set()

    def add(self, seqs: Iterable[int]) -> None:
        """Take that these are done."""
        self._above.update(seq for seq in seqs if seq > self.position)
        while self.position + 1 in self._above:
            self.position += 1
            self._above.remove(self.position)

    def rise(self, floor: int) -> None:
        """Take that the stream holds nothing up to `floor` any more."""
        if floor > self.position:
            self.position = floor
            left, self._above = self._above, set()
            self.add(left)


async def games_incarnation(js: JetStreamContext) -> tuple[int, int]:
    """Return the incarnation of the stream of games, Unix microseconds, and its first number.

    Raises `NotRunningError` while there is no such stream.
    """
    try:
        return await stream_incarnation(js, GAMES)
    except ReadFailed as error:
        raise NotRunningError(str(error)) from error


async def tell_position(js: JetStreamContext, node: str, position: Position) -> None:
    """Tell how far this node's collector has come."""
    await js.publish(f"$KV.{COMMITTED}.{node}", json.dumps(asdict(position)).encode())


async def read_positions(js: JetStreamContext) -> dict[str, Position]:
    """Return what collectors have told, by node."""
    prefix = f"$KV.{COMMITTED}."
    try:
        info = await js.stream_info(f"KV_{COMMITTED}", subjects_filter=f"{prefix}>")
    except NotFoundError:
        return {}
    found = {}
    for subject in info.state.subjects or {}:
        try:
            message = await js.get_last_msg(f"KV_{COMMITTED}", subject)
        except NotFoundError:
            continue
        if message.data:
            found[subject.removeprefix(prefix)] = _position(message.data, subject)
    return found


def confirmed_seq(
    positions: Mapping[str, Position], *, incarnation: int, min_replicas: int, now: float
) -> int:
    """Return the position that enough collectors have reached: what is below may be forgotten.

    Enough are the lesser of `min_replicas` and those seen in the last hour, at least one.
    """
    seen = sum(1 for one in positions.values() if now - one.time <= SEEN_WITHIN_S)
    enough = max(1, min(min_replicas, seen))
    reached = sorted(
        (one.seq for one in positions.values() if one.incarnation == incarnation), reverse=True
    )
    return reached[enough - 1] if len(reached) >= enough else 0


class Purge:
    """Keeps the stream of games short; the leader calls `run` every minute or so.

    What goes are games that every collector of the last hour had committed 10 min ago.
    """

    def __init__(self) -> None:
        self._lowest: list[tuple[float, int, int]] = []

    async def run(self, js: JetStreamContext, now: float | None = None) -> int:
        """Purge what may go; return the number below which the stream is empty now."""
        now = time.time() if now is None else now
        incarnation, first = await games_incarnation(js)
        positions = await read_positions(js)
        recent = [one for one in positions.values() if now - one.time <= SEEN_WITHIN_S]
        if recent and all(one.incarnation == incarnation for one in recent):
            self._lowest.append((now, incarnation, min(one.seq for one in recent)))
        old = [
            seq
            for at, of, seq in self._lowest
            if of == incarnation and now - at >= KEPT_S and seq >= first
        ]
        if not old:
            return first
        upto = max(old)
        await js.purge_stream(GAMES, seq=upto + 1)
        self._lowest = [
            known for known in self._lowest if known[1] == incarnation and known[2] > upto
        ]
        return upto + 1


def _position(data: bytes, where: str) -> Position:
    try:
        tree = json.loads(data)
        return Position(
            incarnation=int(tree["incarnation"]),
            seq=int(tree["seq"]),
            games=int(tree["games"]),
            time=float(tree["time"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"no position of a collector: {error!r}", where=where) from None
