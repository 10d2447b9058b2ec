"""Take a shard apart and put it together again, with the right hash, whatever was done to it."""

import dataclasses
import hashlib
import json
import struct

import msgspec
import zstandard

MAGIC = b"RRSHARD1"


@dataclasses.dataclass
class Parts:
    header: dict
    frames: list[bytes]
    index: list


def disassemble(data):
    (length,) = struct.unpack("<I", data[8:12])
    header = json.loads(data[12 : 12 + length])
    (index_at,) = struct.unpack("<Q", data[-40:-32])
    index = msgspec.msgpack.decode(zstandard.decompress(data[index_at:-40]))
    frames, at = [], 12 + length
    for size, _ in index[0]:
        frames.append(data[at : at + size])
        at += size
    return Parts(header, frames, index)


def assemble(parts):
    header = json.dumps(parts.header, separators=(",", ":")).encode()
    compress = zstandard.ZstdCompressor(level=6, write_checksum=True).compress
    before = MAGIC + struct.pack("<I", len(header)) + header + b"".join(parts.frames)
    index = compress(msgspec.msgpack.encode(parts.index))
    return resealed(before + index + struct.pack("<Q", len(before)) + bytes(32))


def resealed(data):
    """Return the bytes with the footer's SHA-256 made right."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()
