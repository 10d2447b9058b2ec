r"""The journal of finished games: appended, checksummed, safe against `kill -9` (selfplay.md 6).

    file    magic "RRJRNL1\n", then frames
    frame   mark "RRG1", length (4 bytes), CRC-32 of length and payload (4 bytes), payload

Numbers are little-endian; a payload is a game with its analysis. A frame cut by the writer's death
is the file's end: readers stop before it, the next writer cuts it off. Damage before a whole frame
is no such tail, and an error.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO

from ringrift.core.errors import DataError
from ringrift.core.files import lock, sync_folder
from ringrift.records.analysis_bytes import open_pair, pair_to_bytes
from ringrift.records.analysis_bytes import pair_from_bytes as decode_pair
from ringrift.records.envelope import MOST_RECORD_BYTES
from ringrift.records.record import Analysis, GameRecord, VerificationError
from ringrift.records.refused import MOST_KEPT_BYTES, Refused

MAGIC = b"RRJRNL1\n"
MARK = b"RRG1"
SYNC_GAMES = 16
SYNC_AFTER_S = 2.0

MOST_FRAME_BYTES = 2 * MOST_RECORD_BYTES + 64
"""A game, an analysis, and what holds them together."""

_HEAD = struct.Struct("<4sII")
_SEARCH_BYTES = 1024 * 1024
_MOST_TRIED_BYTES = 256 * 1024 * 1024
"""What is read behind marks in search of a whole frame, before the rest is given up."""


class Journal:
    """Appends games to one file; one writer at a time, readers any. A context manager.

    `games` is how many the file holds. Opening cuts a torn tail off. Raises `BusyError` with the
    holder's pid if another process writes it, `DataError` if it is damaged before its tail.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._unsynced = 0
        self._synced_at_s = time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(lock(lock_path(self.path), what="journal"))
            self.games, self._end = _start_writing(self.path)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._closing = stack.pop_all()

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self._end

    def append(self, record: GameRecord, analysis: Analysis | None = None) -> None:
        """Add a game. It survives this process at once, the machine after the next `sync`."""
        payload = pair_to_bytes(record, analysis)
        frame = frame_of(payload)
        try:
            left = memoryview(frame)
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, self._end)  # a full disk leaves no half frame behind
            raise
        self._end += len(frame)
        self.games += 1
        self._unsynced += 1
        late = time.monotonic() - self._synced_at_s >= SYNC_AFTER_S
        if self._unsynced >= SYNC_GAMES or late:
            self.sync()

    def sync(self) -> None:
        """Fsync what was appended; happens by itself every 16 games or 2 s."""
        if self._unsynced:
            os.fsync(self._file)
        self._unsynced = 0
        self._synced_at_s = time.monotonic()

    def close(self) -> None:
        """Sync, close and let the next writer in; a second call does nothing."""
        if self._file < 0:
            return
        try:
            self.sync()
        finally:
            os.close(self._file)
            self._file = -1
            self._closing.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def read(path: Path) -> Iterator[tuple[GameRecord, Analysis | None]]:
        """Yield the games of a journal, whoever is writing it; a torn tail is left out.

        Raises `DataError` naming the file and the byte for damage anywhere else.
        """
        for offset, payload in frames(Path(path)):
            try:
                yield decode_pair(payload)
            except VerificationError as error:
                raise error.at(f"{path} byte {offset}") from None

    @staticmethod
    def read_groups(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
        """Yield each game once with its analyses, which stand one after another; raises as `read`."""
        for _, group in groupby(Journal.read(path), key=lambda pair: pair[0].id):
            pairs = list(group)
            yield pairs[0][0], [analysis for _, analysis in pairs if analysis is not None]

    @staticmethod
    def read_bytes(path: Path) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the games of a journal as bytes, undecoded: what `GameStore.ingest` takes too."""
        for offset, payload in frames(Path(path)):
            try:
                yield open_pair(payload)
            except VerificationError as error:
                raise error.at(f"{path} byte {offset}") from None

    @staticmethod
    def scan(path: Path) -> Iterator[tuple[bytes, bytes | None] | Refused]:
        """Yield the games as bytes and go on after damage, which is one `Refused` each time.

        A torn tail is damage here: scan a journal that nobody writes.
        """
        path = Path(path)
        try:
            for offset, payload, gap in _stretches(path):
                where = f"{path} byte {offset}"
                if payload is None:
                    yield Refused(gap, VerificationError("truncated", "no whole game", where=where))
                    continue
                try:
                    yield open_pair(payload)
                except VerificationError as error:
                    yield Refused(payload, error.at(where))
        except VerificationError as error:
            yield Refused(b"", error)


def lock_path(path: Path) -> Path:
    """Return the lock file beside a journal."""
    return path.with_name(f".{path.name}.lock")


def frame_of(payload: bytes) -> bytes:
    """Return the frame that holds a payload."""
    return _HEAD.pack(MARK, len(payload), _checksum(payload)) + payload


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset, payload) of each whole frame; raises `DataError` for damage."""
    damage: int | None = None
    for offset, payload, _ in _stretches(path):
        if payload is None:
            damage = offset  # the torn tail, if nothing follows
        elif damage is not None:
            raise DataError(
                f"damaged: the games up to byte {offset} cannot be read",
                where=f"{path} byte {damage}",
                hint="a copy of the file from before",
            )
        else:
            yield offset, payload


def _stretches(path: Path) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Yield (offset, payload, b"") of each whole frame, (offset, None, beginning) of what is none.

    Holds one frame at a time. Raises `DataError` for a file that is no journal.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC[: len(start)]:  # it may be cut within its magic
                raise VerificationError(
                    "malformed", "not a journal of games", where=f"{path} byte 0"
                )
            offset, size = len(MAGIC), file.seek(0, os.SEEK_END)
            while offset < size:
                payload = _frame_at(file, offset)
                if payload is not None:
                    yield offset, payload, b""
                    offset += _HEAD.size + len(payload)
                    continue
                following = _next_frame(file, offset + 1, size)
                if following is None:
                    detail = "too many beginnings of games and no whole one"
                    raise VerificationError("malformed", detail, where=f"{path} byte {offset}")
                file.seek(offset)
                yield offset, None, file.read(min(following - offset, MOST_KEPT_BYTES))
                offset = following
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def _frame_at(file: IO[bytes], offset: int) -> bytes | None:
    """Return the payload of the frame at `offset`, None if no whole one is there."""
    file.seek(offset)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, length, checksum = _HEAD.unpack(head)
    if mark != MARK or length > MOST_FRAME_BYTES:
        return None
    payload = file.read(length)
    if len(payload) < length or _checksum(payload) != checksum:
        return None
    return payload


def _next_frame(file: IO[bytes], offset: int, size: int) -> int | None:
    """Return where the next whole frame begins from `offset` on, `size` if there is none.

    None if there are so many marks that finding out would take for ever.
    """
    tried = 0
    while offset < size:
        file.seek(offset)
        stretch = file.read(_SEARCH_BYTES)
        found = stretch.find(MARK)
        while found >= 0:
            if _frame_at(file, offset + found) is not None:
                return offset + found
            tried += file.tell() - offset - found
            if tried > _MOST_TRIED_BYTES:
                return None
            found = stretch.find(MARK, found + 1)
        offset += max(1, len(stretch) - len(MARK) + 1)
    return size


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))


def _start_writing(path: Path) -> tuple[int, int]:
    """Make the file, or cut its torn tail; return the games in it and where the next one goes."""
    if not path.exists():
        with path.open("xb") as file:
            file.write(MAGIC)
            os.fsync(file.fileno())
        sync_folder(path.parent)
        return 0, len(MAGIC)
    games, end = 0, len(MAGIC)
    for offset, payload in frames(path):
        games += 1
        end = offset + _HEAD.size + len(payload)
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) < len(MAGIC):
            file.seek(0)
            file.write(MAGIC)
        file.truncate(end)
        os.fsync(file.fileno())
    return games, end
