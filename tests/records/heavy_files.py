"""Files that cost little to send and would cost much to read by whoever believes them."""

import gzip
import itertools
import struct

import msgspec
import zstandard

from ringrift.records.analysis_bytes import seal_pair
from ringrift.records.envelope import seal, unseal
from ringrift.records.game_bytes import GAME_FORMAT
from ringrift.records.journal import MAGIC, MARK, MOST_FRAME_BYTES, frame_of
from ringrift.records.shards import write_shards

from .hostile import LINES, PAIRS, RAW_PAIRS
from .shard_parts import assemble, disassemble

MIB = 1 << 20
MOVES = 7
"""Place of the moves in the body of a game."""


def bomb(raw_bytes, *, window_log=None):
    """A zstd frame of a few hundred bytes that unpacks to very many and does not say so."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window_log or 0, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    zeros = bytes(MIB)
    return b"".join([packer.compress(zeros) for _ in range(raw_bytes // MIB)] + [packer.flush()])


def heavy_files(folder):
    """Write each and return their paths; all are named `heavy-*`."""
    line, mib = LINES[0], b"a" * MIB
    files = {
        "deep.jsonl": [b"[" * (5 * MIB)],
        "deeper.jsonl": [b'{"type":', b'{"a":' * (3 * MIB)],
        "long-line.jsonl": [b'{"type":"game","id":"', *[mib] * 40],
        "digits.jsonl": [line.replace(b'"seed":1', b'"seed":' + b"9" * MIB)],
        "moves.jsonl": [line.replace(b'"moves":"', b'"moves":"' + b"NL;" * (5 * MIB))],
        "plies.jsonl": [line.replace(b'"max_plies":30', b'"max_plies":1000000000000')],
        "zeros.jsonl.gz": [gzip.compress(bytes(100 * MIB), 1)] * 2,
        "zeros.jsonl.zst": [bomb(512 * MIB)],
        "window.jsonl.zst": [bomb(400 * MIB, window_log=27)],
        "length.journal": [MAGIC, struct.pack("<4sII", MARK, 0xFFFFFFF0, 1), bytes(100)],
        "marks.journal": [
            MAGIC,
            *itertools.repeat(struct.pack("<4sII", MARK, MOST_FRAME_BYTES, 1) * 1000, 2000),
        ],
        "moves.journal": [MAGIC, frame_of(seal_pair(_many_moves(), None))],
        "array.journal": [MAGIC, frame_of(seal_pair(_wild_array(), None))],
        "frame.rrshard": [_forged(folder, bomb(1024 * MIB))],
        "long.rrshard": [b"RRSHARD1"],
    }
    paths = []
    for name, parts in files.items():
        paths.append(folder / f"heavy-{name}")
        with paths[-1].open("wb") as file:
            file.writelines(parts)
            if name == "long.rrshard":
                file.truncate(1 << 40)
    return paths


def _many_moves():
    identity, body = unseal(RAW_PAIRS[0][0], GAME_FORMAT)
    tree = msgspec.msgpack.decode(body)
    tree[MOVES] = b"\x01" * (7 * MIB)
    return seal(GAME_FORMAT, identity, msgspec.msgpack.encode(tree))


def _wild_array():
    identity, _ = unseal(RAW_PAIRS[0][0], GAME_FORMAT)
    return seal(GAME_FORMAT, identity, b"\xdd\xff\xff\xff\xff" * 3)


def _forged(folder, frame):
    (made,) = write_shards(folder / "real", [(PAIRS[0][0], [PAIRS[0][1]])])
    parts = disassemble(made.path.read_bytes())
    raw = parts.index[0][0][1]
    parts.frames = [frame]
    parts.index[0] = [[len(frame), raw]]
    return assemble(parts)
