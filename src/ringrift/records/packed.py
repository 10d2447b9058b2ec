"""Read files that may be packed with gzip or zstd; their first bytes say so."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, cast

import zstandard

from ringrift.records.record import VerificationError

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_WINDOW_BYTES = 8 * 1024 * 1024
_MOST_HEAD_BYTES = 18
_REPEATED = 1
"""Kind of a zstd block that holds one byte, whatever its length says (RFC 8878, 3.1.1.2)."""

UNPACK_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return a file that reads what `file` holds, unpacked as it is read.

    Raises one of `UNPACK_ERRORS` for damage, while opening or reading; see `complaint_of`.
    """
    start = file.read(4)
    file.seek(0)
    if start[:2] == _GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if start != _ZSTD:
        return file
    _check_end(file)
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    stream = unpacker.stream_reader(file, read_across_frames=True)
    return io.BufferedReader(cast("io.RawIOBase", stream))


def complaint_of(error: Exception) -> VerificationError:
    """Say what is wrong with a packed file."""
    reason = "truncated" if isinstance(error, EOFError) else "malformed"
    return VerificationError(reason, f"cannot be unpacked: {error}")


def _check_end(file: IO[bytes]) -> None:
    """Raise `EOFError` unless the last frame is whole, about which zstd's reader says nothing."""
    size, at = file.seek(0, io.SEEK_END), 0
    while at < size:
        file.seek(at)
        head = file.read(_MOST_HEAD_BYTES)
        parameters = zstandard.get_frame_parameters(head)
        at += zstandard.frame_header_size(head)
        last = False
        while not last:
            file.seek(at)
            block = int.from_bytes(file.read(3), "little")
            last, kind, length = bool(block & 1), block >> 1 & 3, block >> 3
            at += 3 + (1 if kind == _REPEATED else length)
            if at > size:
                raise EOFError("the file ends within a frame")
        at += 4 if parameters.has_checksum else 0
    if at > size:
        raise EOFError("the file ends within a frame")
    file.seek(0)
