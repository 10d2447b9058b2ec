r"""The journal of finished games: appended, checksummed, safe against `kill -9` (selfplay.md 6).

    file    magic "RRJRNL2\n", then frames
    frame   mark "RRG1", length (4 bytes), CRC-32C of length and payload (4 bytes), payload

Numbers are little-endian; a payload is the MessagePack array of a game and all its analyses, so that
none of them is there without the others. A frame cut by the writer's death is the file's end:
readers stop before it, the next writer cuts it off. Damage before a whole frame is no such tail, and
an error.

Files with the magic "RRJRNL1\n" have CRC-32 in its place (that of zlib), nil for no analysis and a
frame for each further one; they go on as they began.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO

import google_crc32c

from ringrift.core.errors import DataError
from ringrift.core.files import lock, sync_folder
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import analysis_from_bytes, analysis_to_bytes
from ringrift.records.envelope import MOST_RECORD_BYTES, decode, encode
from ringrift.records.game_bytes import from_bytes, to_bytes
from ringrift.records.record import GameRecord, VerificationError, refuse
from ringrift.records.refused import MOST_KEPT_BYTES, Refused

MAGIC = b"RRJRNL2\n"
OLD_MAGIC = b"RRJRNL1\n"
MARK = b"RRG1"
SYNC_GAMES = 16
SYNC_AFTER_S = 2.0

MOST_FRAME_BYTES = 8 * MOST_RECORD_BYTES
"""A game and its analyses; four agents that search make five records."""

Checksum = Callable[[bytes], int]
"""Computes what guards the length and the payload of a frame."""

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
            self.games, self._end, self._checksum = _start_writing(self.path)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._closing = stack.pop_all()

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self._end

    def append(self, record: GameRecord, *analyses: Analysis | None) -> None:
        """Add a game with its analyses, all or nothing; None stands for no analysis.

        It survives this process at once, the machine after the next `sync`.
        """
        found = [analysis_to_bytes(analysis) for analysis in analyses if analysis is not None]
        self.append_bytes(to_bytes(record), found)

    def append_bytes(self, game: bytes, analyses: Sequence[bytes]) -> None:
        """Add a game that is encoded, as `append` does."""
        payload = encode([game, *analyses])
        if len(payload) > MOST_FRAME_BYTES:
            raise refuse("game", f"{len(payload)} bytes", f"at most {MOST_FRAME_BYTES}")
        frame = frame_of(payload, self._checksum)
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
        """Yield the games of a journal, each once for every analysis, whoever is writing it.

        A torn tail is left out. Raises `DataError` naming the file and the byte for damage anywhere
        else.
        """
        for game, analyses in _decoded(Path(path)):
            if not analyses:
                yield game, None
            for analysis in analyses:
                yield game, analysis

    @staticmethod
    def read_groups(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
        """Yield each game with all its analyses; raises as `read`."""
        for _, group in groupby(_decoded(Path(path)), key=lambda found: found[0].id):
            frames_of_it = list(group)
            yield frames_of_it[0][0], [one for _, analyses in frames_of_it for one in analyses]

    @staticmethod
    def read_bytes(path: Path) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the games of a journal with their analyses as bytes, undecoded; raises as `read`."""
        for offset, payload in frames(Path(path)):
            try:
                yield _opened(payload)
            except VerificationError as error:
                raise error.at(f"{path} byte {offset}") from None

    @staticmethod
    def scan(path: Path) -> Iterator[tuple[bytes, bytes | None] | Refused]:
        """Yield what `GameStore.ingest` takes and go on after damage, which is one `Refused` each time.

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
                    game, analyses = _opened(payload)
                except VerificationError as error:
                    yield Refused(payload, error.at(where))
                    continue
                if not analyses:
                    yield game, None
                for analysis in analyses:
                    yield game, analysis
        except VerificationError as error:
            yield Refused(b"", error)


def lock_path(path: Path) -> Path:
    """Return the lock file beside a journal."""
    return path.with_name(f".{path.name}.lock")


def crc32c(payload: bytes) -> int:
    """Return the CRC-32C of a payload and its length."""
    return int(google_crc32c.extend(google_crc32c.value(_length(payload)), payload))


def old_crc32(payload: bytes) -> int:
    """Return the CRC-32 of a payload and its length, as files of the first version have it."""
    return zlib.crc32(payload, zlib.crc32(_length(payload)))


def frame_of(payload: bytes, checksum: Checksum = crc32c) -> bytes:
    """Return the frame that holds a payload."""
    return _HEAD.pack(MARK, len(payload), checksum(payload)) + payload


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


def _decoded(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    for offset, payload in frames(path):
        try:
            game, analyses = _opened(payload)
            yield from_bytes(game), [analysis_from_bytes(data) for data in analyses]
        except VerificationError as error:
            raise error.at(f"{path} byte {offset}") from None


def _opened(payload: bytes) -> tuple[bytes, list[bytes]]:
    """Take the bytes of a game and of its analyses apart."""
    found = decode(payload, list[bytes | None])
    if not found or found[0] is None:
        raise VerificationError("malformed", "no game", where="field game")
    return found[0], [data for data in found[1:] if data is not None]


def _stretches(path: Path) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Yield (offset, payload, b"") of each whole frame, (offset, None, beginning) of what is none.

    Holds one frame at a time. Raises `DataError` for a file that is no journal.
    """
    try:
        with path.open("rb") as file:
            checksum = _checksum_of(file, path)
            offset, size = len(MAGIC), file.seek(0, os.SEEK_END)
            while offset < size:
                payload = _frame_at(file, offset, checksum)
                if payload is not None:
                    yield offset, payload, b""
                    offset += _HEAD.size + len(payload)
                    continue
                following = _next_frame(file, offset + 1, size, checksum)
                if following is None:
                    detail = "too many beginnings of games and no whole one"
                    raise VerificationError("malformed", detail, where=f"{path} byte {offset}")
                file.seek(offset)
                yield offset, None, file.read(min(following - offset, MOST_KEPT_BYTES))
                offset = following
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def _checksum_of(file: IO[bytes], path: Path) -> Checksum:
    """Read the magic, which may be cut, and return the checksum of the file's version."""
    start = file.read(len(MAGIC))
    for magic, checksum in ((MAGIC, crc32c), (OLD_MAGIC, old_crc32)):
        if start == magic[: len(start)]:
            return checksum
    raise VerificationError("malformed", "not a journal of games", where=f"{path} byte 0")


def _frame_at(file: IO[bytes], offset: int, checksum: Checksum) -> bytes | None:
    """Return the payload of the frame at `offset`, None if no whole one is there."""
    file.seek(offset)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, length, expected = _HEAD.unpack(head)
    if mark != MARK or length > MOST_FRAME_BYTES:
        return None
    payload = file.read(length)
    if len(payload) < length or checksum(payload) != expected:
        return None
    return payload


def _next_frame(file: IO[bytes], offset: int, size: int, checksum: Checksum) -> int | None:
    """Return where the next whole frame begins from `offset` on, `size` if there is none.

    None if there are so many marks that finding out would take for ever.
    """
    tried = 0
    while offset < size:
        file.seek(offset)
        stretch = file.read(_SEARCH_BYTES)
        found = stretch.find(MARK)
        while found >= 0:
            if _frame_at(file, offset + found, checksum) is not None:
                return offset + found
            tried += file.tell() - offset - found
            if tried > _MOST_TRIED_BYTES:
                return None
            found = stretch.find(MARK, found + 1)
        offset += max(1, len(stretch) - len(MARK) + 1)
    return size


def _length(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "little")


def _start_writing(path: Path) -> tuple[int, int, Checksum]:
    """Make the file, or cut its torn tail; return its games, where the next one goes, the checksum."""
    if not path.exists():
        with path.open("xb") as file:
            file.write(MAGIC)
            os.fsync(file.fileno())
        sync_folder(path.parent)
        return 0, len(MAGIC), crc32c
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
        file.seek(0)
        return games, end, _checksum_of(file, path)
