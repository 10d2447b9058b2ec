"""Finished games on their way to a store: batches that go through a spool and the hub (`cluster.md` 7).

    batch    a zstd frame of the MessagePack array [ format, plans, games ]
    plan     the canonical JSON of a match, as bytes
    game     the array of the sealed bytes of a game and of its analyses

The sealed bytes are those that the store keeps, so a record arrives as it was made. (As JSON lines
a batch takes 20 times as long to make: the text of a move or of an entry needs its position.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated

import zstandard
from msgspec import Meta

from ringrift.cluster.hub_config import MAX_PAYLOAD_BYTES
from ringrift.cluster.spool import Spool
from ringrift.core.errors import BusyError, DataError
from ringrift.core.log import get_logger
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_to_bytes
from ringrift.records.envelope import Fields, decode, encode
from ringrift.records.game_bytes import to_bytes
from ringrift.records.record import GameRecord, VerificationError, refuse

log = get_logger(__name__)

BATCH_FORMAT = "ringrift.batch/1"
MOST_RECORDS = 500
CLOSE_AT_BYTES = 256 * 1024
CLOSE_AFTER_S = 1.5
"""So a game is in a store 2 s after its end; the transport takes under 0.5 s."""
MOST_BODY_BYTES = MAX_PAYLOAD_BYTES - 64 * 1024
"""What the hub takes in one message, with room for the headers."""
MOST_RAW_BYTES = 64 * 1024 * 1024
"""A game with the analyses of four agents, each of the greatest size, and what was before it."""
LEVEL = 3
TRY_AGAIN_S = 0.5

Group = tuple[bytes, tuple[bytes, ...]]
"""A game and its analyses, all sealed."""


class _Batch(Fields):
    format: str
    plans: Annotated[list[bytes], Meta(max_length=MOST_RECORDS)]
    games: Annotated[
        list[Annotated[list[bytes], Meta(min_length=1, max_length=16)]],
        Meta(max_length=MOST_RECORDS),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class GameBatch:
    """What one batch holds: plans of matches as canonical JSON, and games with their analyses."""

    plans: tuple[bytes, ...] = ()
    games: tuple[Group, ...] = ()

    def __len__(self) -> int:
        return len(self.plans) + len(self.games)


def write_batch(batch: GameBatch) -> bytes:
    """Encode a batch; raises `DataError` for one that is empty or longer than the hub takes."""
    if not 1 <= len(batch) <= MOST_RECORDS:
        raise DataError(f"a batch of {len(batch)} records; expected 1 to {MOST_RECORDS}")
    raw = encode((BATCH_FORMAT, batch.plans, [[game, *analyses] for game, analyses in batch.games]))
    body = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(raw)
    if len(raw) > MOST_RAW_BYTES or len(body) > MOST_BODY_BYTES:
        raise DataError(
            f"a batch of {len(raw):,} bytes, {len(body):,} packed; expected at most "
            f"{MOST_BODY_BYTES:,} packed"
        )
    return body


def read_batch(body: bytes) -> GameBatch:
    """Decode a batch; raises `VerificationError` for what `write_batch` did not write.

    The games in it are not looked at: that is the store's gate.
    """
    try:
        size = zstandard.frame_content_size(body)
        if not 0 < size <= MOST_RAW_BYTES:
            raise VerificationError("malformed", f"a batch of {size} bytes")
        raw = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise VerificationError("malformed", f"not a whole batch: {error}") from None
    found = decode(raw, _Batch)
    if found.format != BATCH_FORMAT:
        raise refuse("format", found.format, BATCH_FORMAT)
    batch = GameBatch(
        plans=tuple(found.plans), games=tuple((game[0], tuple(game[1:])) for game in found.games)
    )
    if not 1 <= len(batch) <= MOST_RECORDS:
        raise refuse("games", f"{len(batch)} records", f"1 to {MOST_RECORDS}")
    return batch


class BatchWriter:
    """Collects finished games and puts them into the spool, batch by batch; a context manager.

    A batch is closed at 256 KiB of records, at 500 of them, and once its first is 1.5 s old, which
    `flush_due` looks at: call it between steps. What is closed survives this process and a power
    cut. While the spool is full nothing is lost: `flush` waits, until `stop` says true.
    """

    def __init__(
        self, spool: Spool, subject: str, *, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.subject = subject
        self.games = 0
        """How many are in the spool, of those given."""
        self._spool = spool
        self._stop = stop
        self._plans: list[bytes] = []
        self._groups: list[Group] = []
        self._bytes = 0
        self._began_s = 0.0

    def game(self, record: GameRecord, *analyses: Analysis | None) -> None:
        """Add a game with its analyses; None stands for no analysis."""
        found = tuple(analysis_to_bytes(one) for one in analyses if one is not None)
        data = to_bytes(record)
        self._make_room(len(data) + sum(map(len, found)))
        self._groups.append((data, found))
        self._close_if_full()

    def plan(self, text: bytes) -> None:
        """Add the plan of a match, canonical JSON; it arrives before the games after it."""
        if text in self._plans:
            return
        self._make_room(len(text))
        self._plans.append(text)
        self._close_if_full()

    def flush_due(self) -> None:
        """Close the batch if its first record is 1.5 s old."""
        if self._count and time.monotonic() - self._began_s >= CLOSE_AFTER_S:
            self.flush()

    def flush(self) -> None:
        """Put what was given into the spool; raises `BusyError` when told to stop while it is full."""
        if not self._count:
            return
        body = write_batch(GameBatch(plans=tuple(self._plans), games=tuple(self._groups)))
        self._add(body)
        self.games += len(self._groups)
        self._plans.clear()
        self._groups.clear()
        self._bytes = 0

    def __enter__(self) -> BatchWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()

    @property
    def _count(self) -> int:
        return len(self._plans) + len(self._groups)

    def _make_room(self, size: int) -> None:
        """Close what is there before a record that would make it too long to send."""
        if self._bytes + size > MOST_BODY_BYTES:
            self.flush()
        if not self._count:
            self._began_s = time.monotonic()
        self._bytes += size

    def _close_if_full(self) -> None:
        if self._bytes >= CLOSE_AT_BYTES or self._count >= MOST_RECORDS:
            self.flush()
        else:
            self.flush_due()

    def _add(self, body: bytes) -> None:
        told = False
        while True:
            try:
                self._spool.add(self.subject, body)
            except BusyError as error:
                if self._stop():
                    raise
                if not told:
                    log.warning("production waits", reason=error.message)
                    told = True
                time.sleep(TRY_AGAIN_S)
            else:
                return
