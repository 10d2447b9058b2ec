"""Read a shard: whole or refused, in order or by id, one frame in memory (selfplay.md 6)."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from ringrift.core.errors import DataError
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import ANALYSIS_FORMAT, analysis_from_bytes
from ringrift.records.envelope import sealed_head
from ringrift.records.game_bytes import GAME_FORMAT, check_identity, from_bytes
from ringrift.records.record import GameRecord, VerificationError, refuse
from ringrift.records.refused import MOST_KEPT_BYTES, Refused
from ringrift.records.shards.layout import (
    FOOTER,
    LENGTH,
    MAGIC,
    MIB,
    MOST_FILE_BYTES,
    Header,
    Places,
    Span,
    decompress,
    header_length,
    places,
    read_header,
    read_index,
)

_HEAD_BYTES = len(MAGIC) + LENGTH.size


class Shard:
    """A shard whose bytes are those that were written. A context manager.

    Opening reads it once to check its SHA-256. Raises `VerificationError` naming file and byte,
    `DataError` for a file that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._cached: tuple[int, bytes] | None = None
        try:
            self._file: IO[bytes] = self.path.open("rb")
        except OSError as error:
            raise _unreadable(self.path, error) from None
        try:
            self.size_bytes = self._file.seek(0, 2)
            self.sha256, whole = self._hashes()
            self.header, self._places = self._parse() if whole else self._find_damage()
        except OSError as error:
            self._file.close()
            raise _unreadable(self.path, error) from None
        except BaseException:
            self._file.close()
            raise
        self._games = [i for i, span in enumerate(self._places.spans) if span.is_game]

    def __enter__(self) -> Shard:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def ids(self) -> list[str]:
        """Return the ids of the games, in the order in which they were written."""
        return [self._places.spans[i].id.hex() for i in self._games]

    def __iter__(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the bytes of each game and of its analyses; what they hold is not checked."""
        for number in range(len(self._games)):
            yield self._game(number)

    def get(self, identity: str) -> tuple[GameRecord, list[Analysis]] | None:
        """Return a game and its analyses by id, None if it is not here."""
        spans = self._places.spans
        for number, i in enumerate(self._games):
            if spans[i].id.hex() == identity:
                game, analyses = self._game(number)
                with self._at(self._byte_of(spans[i])):
                    return from_bytes(game), [analysis_from_bytes(data) for data in analyses]
        return None

    def _game(self, number: int) -> tuple[bytes, list[bytes]]:
        spans = self._places.spans
        first = self._games[number]
        last = self._games[number + 1] if number + 1 < len(self._games) else len(spans)
        return self._record(spans[first]), [self._record(span) for span in spans[first + 1 : last]]

    def _record(self, span: Span) -> bytes:
        """Return the bytes of a record, which must claim the id and the kind of its entry."""
        data = self._raw(span.start, span.end)
        with self._at(self._byte_of(span)):
            kind, identity = sealed_head(data)
            expected = GAME_FORMAT if span.is_game else ANALYSIS_FORMAT
            if kind != expected:
                raise refuse("format", kind, expected)
            check_identity(span.id.hex(), identity)
        return data

    def _raw(self, start: int, end: int) -> bytes:
        frame = self._frame_of(start)
        parts = []
        while start < end:
            first = self._places.raw[frame]
            part = self._frame(frame)[start - first : end - first]
            parts.append(part)
            start += len(part)
            frame += 1
        return b"".join(parts)

    def _frame_of(self, raw_byte: int) -> int:
        return bisect_right(self._places.raw, raw_byte) - 1

    def _byte_of(self, span: Span) -> int:
        return self._places.at[self._frame_of(span.start)]

    def _frame(self, number: int) -> bytes:
        if self._cached is None or self._cached[0] != number:
            at, raw = self._places.at, self._places.raw
            with self._at(at[number]):
                data = decompress(
                    self._bytes(at[number], at[number + 1]), raw[number + 1] - raw[number]
                )
            self._cached = (number, data)
        return self._cached[1]

    # --- opening

    def _hashes(self) -> tuple[str, bool]:
        """Return the SHA-256 of the file, and whether the footer has that of all before it."""
        with self._at(self.size_bytes):
            if self.size_bytes > MOST_FILE_BYTES:
                raise refuse("size", self.size_bytes, f"at most {MOST_FILE_BYTES} bytes")
        whole = hashlib.sha256()
        self._file.seek(0)
        left = max(0, self.size_bytes - 32)
        while left > 0 and (part := self._file.read(min(MIB, left))):
            whole.update(part)
            left -= len(part)
        expected = whole.digest()
        rest = self._file.read()
        whole.update(rest)
        return whole.hexdigest(), rest == expected

    def _parse(self) -> tuple[Header, Places]:
        with self._at(0):
            start = self._bytes(0, min(self.size_bytes, len(MAGIC)))
            if start != MAGIC[: len(start)]:
                raise VerificationError("malformed", "not a shard of games")
        with self._at(self.size_bytes):
            if self.size_bytes < _HEAD_BYTES + FOOTER.size:
                raise VerificationError("truncated", "the shard is cut off")
        with self._at(len(MAGIC)):
            length = header_length(self._bytes(len(MAGIC), _HEAD_BYTES))
        first, footer = _HEAD_BYTES + length, self.size_bytes - FOOTER.size
        index_at = int(FOOTER.unpack(self._bytes(footer, self.size_bytes))[0])
        with self._at(self.size_bytes):
            if not first < index_at < footer:
                raise VerificationError("truncated", "no index where the footer says")
        with self._at(_HEAD_BYTES):
            header = read_header(self._bytes(_HEAD_BYTES, first))
        with self._at(index_at):
            index = read_index(self._bytes(index_at, footer))
            return header, places(index, header, first, index_at)

    def _find_damage(self) -> NoReturn:
        """Raise for the first part that does not hold, the footer if all others seem to."""
        try:
            _, self._places = self._parse()
            for number in range(len(self._places.at) - 1):
                self._frame(number)
        except VerificationError as error:
            reason = "truncated" if error.reason == "truncated" else "malformed"
            detail = f"the shard is damaged: {error.detail}"
            raise VerificationError(reason, detail, where=error.where) from None
        raise VerificationError(
            "malformed",
            "the shard is damaged: the SHA-256 is not that of the bytes before",
            where=f"{self.path} byte {self.size_bytes - 32}",
        )

    def _bytes(self, start: int, end: int) -> bytes:
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) < end - start:
            raise VerificationError("truncated", "the file ends here")
        return data

    @contextmanager
    def _at(self, byte: int) -> Iterator[None]:
        """Name the file and the byte in every complaint of the block."""
        try:
            yield
        except VerificationError as error:
            raise error.at(f"{self.path} byte {byte}") from None


def read_shard(path: Path) -> Iterator[tuple[GameRecord, list[Analysis]]]:
    """Yield the games of a shard with their analyses; raises `VerificationError` for damage."""
    with Shard(path) as shard:
        for game, analyses in shard:
            try:
                yield from_bytes(game), [analysis_from_bytes(data) for data in analyses]
            except VerificationError as error:
                raise error.at(str(path)) from None


def scan_shard(path: Path) -> Iterator[tuple[bytes, bytes | None] | Refused]:
    """Yield the bytes of each game with each of its analyses; a damaged shard is one `Refused`."""
    try:
        with Shard(path) as shard:
            for game, analyses in shard:
                if not analyses:
                    yield game, None
                for analysis in analyses:
                    yield game, analysis
    except VerificationError as error:
        yield Refused(_beginning(path), error)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_KEPT_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", where=str(path))
