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
from pathlib import Path
from types import TracebackType

from ringrift.core.errors import DataError
from ringrift.core.files import lock, sync_folder
from ringrift.records.analysis_bytes import open_pair, pair_to_bytes
from ringrift.records.analysis_bytes import pair_from_bytes as decode_pair
from ringrift.records.record import Analysis, GameRecord, VerificationError

MAGIC = b"RRJRNL1\n"
MARK = b"RRG1"
SYNC_GAMES = 16
SYNC_AFTER_S = 2.0

_HEAD = struct.Struct("<4sII")


class Journal:
    """Appends games to one file; one writer at a time, readers any. A context manager.

    Opening cuts a torn tail off. Raises `BusyError` with the holder's pid if another process
    writes it, `DataError` if the file is damaged before its tail.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._unsynced = 0
        self._synced_at_s = time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(lock(lock_path(self.path), what="journal"))
            self._end = _start_writing(self.path)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._closing = stack.pop_all()

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
    def read_bytes(path: Path) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the games of a journal as bytes, undecoded: what `GameStore.ingest` takes too."""
        for offset, payload in frames(Path(path)):
            try:
                yield open_pair(payload)
            except VerificationError as error:
                raise error.at(f"{path} byte {offset}") from None


def lock_path(path: Path) -> Path:
    """Return the lock file beside a journal."""
    return path.with_name(f".{path.name}.lock")


def frame_of(payload: bytes) -> bytes:
    """Return the frame that holds a payload."""
    return _HEAD.pack(MARK, len(payload), _checksum(payload)) + payload


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset, payload) of each whole frame; raises `DataError` for damage."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    offset = _first_frame(data, path)
    while offset < len(data):
        payload = _frame_at(data, offset)
        if payload is None:
            _check_tail(data, offset, path)
            return
        yield offset, payload
        offset += _HEAD.size + len(payload)


def _first_frame(data: bytes, path: Path) -> int:
    if data[: len(MAGIC)] == MAGIC[: len(data)]:  # also a file cut within its magic
        return len(MAGIC)
    raise DataError("not a journal of games", where=f"{path} byte 0")


def _frame_at(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the frame at `offset`, None if no whole one is there."""
    if len(data) - offset < _HEAD.size:
        return None
    mark, length, checksum = _HEAD.unpack_from(data, offset)
    first = offset + _HEAD.size
    payload = data[first : first + length]
    if mark != MARK or len(payload) < length or _checksum(payload) != checksum:
        return None
    return payload


def _check_tail(data: bytes, offset: int, path: Path) -> None:
    """Raise `DataError` if a whole frame follows: then `offset` is damage, not a torn tail."""
    found = data.find(MARK, offset + 1)
    while found >= 0:
        if _frame_at(data, found) is not None:
            raise DataError(
                f"damaged: the games up to byte {found} cannot be read",
                where=f"{path} byte {offset}",
                hint="a copy of the file from before",
            )
        found = data.find(MARK, found + 1)


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))


def _start_writing(path: Path) -> int:
    """Make the file, or cut its torn tail; return where the next frame goes."""
    if not path.exists():
        with path.open("xb") as file:
            file.write(MAGIC)
            os.fsync(file.fileno())
        sync_folder(path.parent)
        return len(MAGIC)
    end = len(MAGIC)
    for offset, payload in frames(path):
        end = offset + _HEAD.size + len(payload)
    with path.open("r+b") as file:
        if file.seek(0, os.SEEK_END) < len(MAGIC):
            file.seek(0)
            file.write(MAGIC)
        file.truncate(end)
        os.fsync(file.fileno())
    return end
