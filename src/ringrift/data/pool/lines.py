"""Read lines of a file that may be packed and may still grow, from where it was left (data.md 2, 3).

Bytes are counted unpacked. What is before a place is known again by its SHA-256, so a file that was
written anew is read from its start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from ringrift.core.errors import DataError
from ringrift.records.inputs import START, Mark
from ringrift.records.jsonl import MOST_LINE_BYTES
from ringrift.records.packed import UNPACK_ERRORS, complaint_of, unpacked
from ringrift.records.record import VerificationError
from ringrift.records.refused import MOST_KEPT_BYTES

_PART = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line without its end, and where it begins.

    `torn` lines stand at the end of the file, without an end of their own, and are no whole JSON.
    `fault` says what is wrong with a file that cannot be unpacked, or a line that has no end in sight.
    """

    number: int
    start: int
    data: bytes
    torn: bool = False
    fault: VerificationError | None = None


class LineFile:
    """Reads a file of lines, going on at a mark. A context manager.

    `offset` and `digest` are those of all that was read; `context` is the line at the mark's `second`
    place, which has been read before. Raises `DataError` for a file that cannot be read.
    """

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path = path
        self._closing = ExitStack()
        try:
            self._raw = self._closing.enter_context(path.open("rb"))
        except OSError as error:
            raise _unreadable(path, error) from None
        self._file: IO[bytes] | None = None
        self.mark = mark
        self.context: Line | None = None
        if not self._at(mark):
            self.mark = START
            self._at(START)

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes before `offset`."""
        return self._hash.hexdigest()

    def _at(self, mark: Mark) -> bool:
        """Go to a mark; tell whether what is before it is what was there."""
        self._hash = hashlib.sha256()
        self._number = 0
        self.offset = 0
        self._fault: VerificationError | None = None
        self._file = None
        self.context = None
        try:
            self._raw.seek(0)
            self._file = unpacked(self._raw)
            self._skip(mark.second)
            number, context = self._number, self._skip(mark.offset, keep=True)
        except UNPACK_ERRORS as error:
            self._fault = complaint_of(error)
            return mark.offset == 0
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if context:
            data = context.partition(b"\n")[0]
            self.context = Line(number=number + 1, start=mark.second, data=data)
        return mark.offset == 0 or (self.offset == mark.offset and self.digest == mark.digest)

    def _skip(self, offset: int, *, keep: bool = False) -> bytes:
        """Read on to a place; with `keep` return what stands before it, as far as a line may go."""
        assert self._file is not None
        kept = bytearray()
        while self.offset < offset and (part := self._file.read(min(_PART, offset - self.offset))):
            self._took(part)
            if keep and len(kept) <= MOST_LINE_BYTES and b"\n" not in kept:
                kept += part
        return bytes(kept)

    def _took(self, part: bytes) -> None:
        self._hash.update(part)
        self.offset += len(part)
        self._number += part.count(b"\n")

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines that follow, without empty ones; a torn one is the last."""
        try:
            while self._fault is None and (line := self._next()) is not None:
                if line.data.strip():
                    yield line
                if line.torn:
                    return
        except UNPACK_ERRORS as error:
            self._fault = complaint_of(error)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if self._fault is not None:
            number = self._number + 1
            yield Line(number=number, start=self.offset, data=b"", torn=True, fault=self._fault)

    def _next(self) -> Line | None:
        assert self._file is not None
        start, number = self.offset, self._number + 1
        data = self._file.readline(MOST_LINE_BYTES + 1)
        if not data:
            return None
        if len(data) > MOST_LINE_BYTES and not data.endswith(b"\n"):
            return self._too_long(data, number, start)
        if not data.endswith(b"\n") and not is_json(data):
            return Line(number=number, start=start, data=data, torn=True)
        self._took(data)
        if not data.endswith(b"\n"):
            self._number += 1
        return Line(number=number, start=start, data=data.rstrip(b"\r\n"))

    def _too_long(self, data: bytes, number: int, start: int) -> Line:
        """Read a line of any length and keep its beginning."""
        assert self._file is not None
        kept = data[:MOST_KEPT_BYTES]
        self._took(data)
        while not data.endswith(b"\n") and (data := self._file.readline(_PART)):
            self._took(data)
        detail = f"found a line of more than {MOST_LINE_BYTES} bytes"
        fault = VerificationError("malformed", detail)
        return Line(number=number, start=start, data=kept, fault=fault)


def is_json(data: bytes) -> bool:
    """Tell whether bytes are one whole JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", where=str(path))
