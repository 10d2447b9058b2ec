"""The bytes of a shard, and what all of them must satisfy (selfplay.md 6).

    magic    8 bytes "RRSHARD1"
    length   4 bytes, of the header
    header   JSON: format, configuration, rules and specification, counts, run
    frames   zstd frames of at most 1 MiB raw: the sealed records, each game before its analyses
    index    a zstd frame of MessagePack: sizes of the frames; (id, frame, offset) of each record
    footer   8 bytes, where the index begins, and the SHA-256 of all before

Numbers are little-endian. A record that does not fit into what is left of a frame begins the next
one; a longer one goes on in those that follow.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

import msgspec
import zstandard
from msgspec import Meta

from ringrift.records.envelope import MOST_RECORD_BYTES, Fields, complaint, decode
from ringrift.records.record import VerificationError, refuse
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash

MAGIC = b"RRSHARD1"
SUFFIX = ".rrshard"
SHARD_FORMAT = "ringrift.shard/1"

MIB = 1024 * 1024
FRAME_BYTES = MIB
MOST_BYTES = 64 * MIB
MOST_GAMES = 10_000
MOST_AGE_S = 600.0
LEVEL = 6

MOST_FILE_BYTES = 2 * MOST_BYTES
"""What a reader accepts: one game with very many analyses may exceed what a shard is closed at."""
MOST_RECORDS = 50_000
MOST_FRAMES = 8_192
_MOST_HEADER_BYTES = 64 * 1024
_MOST_INDEX_BYTES = 4 * MIB

LENGTH = struct.Struct("<I")
FOOTER = struct.Struct("<Q32s")
_NAME = re.compile(r"[a-z0-9]+_[234]p")

Entry = tuple[bytes, int, int]
"""Id of a record, the frame where it begins, and the offset in the raw frame."""


class Header(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a shard says of itself; `run` is None where its games come from several."""

    format: str
    config: str
    rules_version: str
    rules_hash: str
    spec_hash: str
    games: int
    analyses: int
    run: str | None


class Index(Fields):
    """Where everything is: (compressed, raw) bytes of each frame, and the records in order."""

    frames: Annotated[list[tuple[int, int]], Meta(max_length=MOST_FRAMES)]
    games: Annotated[list[Entry], Meta(max_length=MOST_RECORDS)]
    analyses: Annotated[list[Entry], Meta(max_length=MOST_RECORDS)]


def read_header(data: bytes) -> Header:
    """Decode the JSON of a header; raises `VerificationError` naming the field."""
    try:
        header = msgspec.json.decode(data, type=Header)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise complaint(error) from None
    for name, expected, reason in (
        ("format", SHARD_FORMAT, "malformed"),
        ("rules_version", RULES_VERSION, "rules_version"),
        ("rules_hash", layout_hash, "rules_version"),
    ):
        if getattr(header, name) != expected:
            raise refuse(name, getattr(header, name), repr(expected), reason=reason)
    if not _NAME.fullmatch(header.config):
        raise refuse("config", header.config, "a configuration as square8_2p")
    if not 1 <= header.games <= MOST_RECORDS:
        raise refuse("games", header.games, f"1 to {MOST_RECORDS}")
    return header


def header_length(data: bytes) -> int:
    """Decode the length of a header."""
    length = int(LENGTH.unpack(data)[0])
    if length > _MOST_HEADER_BYTES:
        raise refuse("length", length, f"at most {_MOST_HEADER_BYTES}")
    return length


def decompress(data: bytes, raw_bytes: int) -> bytes:
    """Decompress one frame that must hold so many bytes; allocates no more, whatever it says."""
    try:
        if zstandard.frame_content_size(data) != raw_bytes:
            raise VerificationError("malformed", f"not a frame of {raw_bytes} bytes")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise VerificationError("malformed", f"not a whole frame: {error}") from None


def read_index(data: bytes) -> Index:
    """Decode a compressed index; raises `VerificationError`."""
    try:
        size = zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        raise VerificationError("malformed", f"no index: {error}") from None
    if not 0 < size <= _MOST_INDEX_BYTES:
        raise VerificationError("malformed", f"an index of {size} bytes")
    return decode(decompress(data, size), Index)


def compressed_bound(raw_bytes: int) -> int:
    """Return what a frame of so many bytes takes at most."""
    return raw_bytes + raw_bytes // 256 + 128


def index_bound(frames: int, records: int) -> int:
    """Return what an index takes at most."""
    return 64 + 12 * frames + 48 * records


@dataclass(frozen=True, slots=True)
class Span:
    """A record: its id, whether it is a game, and its first and last raw byte + 1."""

    id: bytes
    is_game: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Places:
    """The records in order, and per frame where it begins, in the file and in the raw stream."""

    spans: Sequence[Span]
    at: Sequence[int]
    raw: Sequence[int]


def places(index: Index, header: Header, first_byte: int, last_byte: int) -> Places:
    """Check an index against the header and the bytes of the frames; return what is where."""
    for compressed, raw in index.frames:
        if not (0 < raw <= FRAME_BYTES and 0 < compressed <= compressed_bound(FRAME_BYTES)):
            raise refuse("frames", (compressed, raw), f"sizes of at most {FRAME_BYTES} raw bytes")
    at = list(accumulate((compressed for compressed, _ in index.frames), initial=first_byte))
    raw_starts = list(accumulate((raw for _, raw in index.frames), initial=0))
    if at[-1] != last_byte:
        raise refuse("frames", f"an end at byte {at[-1]}", f"byte {last_byte}, where the index is")
    counts = (len(index.games), len(index.analyses))
    if counts != (header.games, header.analyses):
        expected = f"{header.games} and {header.analyses}, as the header says"
        raise refuse("index", f"{counts[0]} games and {counts[1]} analyses", expected)
    starts: list[tuple[int, bool, bytes]] = []
    for is_game, entries in ((True, index.games), (False, index.analyses)):
        for identity, frame, offset in entries:
            fits = 0 <= frame < len(index.frames) and 0 <= offset < index.frames[frame][1]
            if not fits or len(identity) != 32:
                raise refuse("index", (identity, frame, offset), "an id of 32 bytes in a frame")
            starts.append((raw_starts[frame] + offset, is_game, identity))
    if len({identity for _, _, identity in starts}) != len(starts):
        raise refuse("index", "an id that comes twice", "each id once")
    starts.sort()
    if not starts or starts[0][:2] != (0, True):
        raise refuse("index", "another beginning", "a game at the first byte")
    ends = [*(start for start, _, _ in starts[1:]), raw_starts[-1]]
    spans = [Span(i, game, a, b) for (a, game, i), b in zip(starts, ends, strict=True)]
    for span in spans:
        if not 0 < span.end - span.start <= MOST_RECORD_BYTES:
            found = f"a record of {span.end - span.start} bytes"
            raise refuse("index", found, f"1 to {MOST_RECORD_BYTES}")
    return Places(spans=spans, at=at, raw=raw_starts)
