"""What one game gives to a dataset, as bytes: the unit of cache, checkpoint and parallel work.

    magic    4 bytes "RRB1"
    length   4 bytes little-endian, of the header
    header   JSON: `BlockHeader`
    arrays   those of `ARRAYS`, one behind the other, little-endian

Equal games, searches and options give equal bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import DataError
from ringrift.core.ids import canonical_json

MAGIC = b"RRB1"
_LENGTH = struct.Struct("<I")

ARRAYS: tuple[tuple[str, str, str], ...] = (
    ("policy_moves", "<u8", "k"),
    ("policy_probs", "<f4", "k"),
    ("policy_weight", "<f4", "n"),
    ("base_weight", "<f4", "n"),
    ("prior_kl", "<f4", "n"),
    ("q", "<f4", "n4"),
    ("policy_count", "<i4", "n"),
    ("ply", "<i4", "n"),
    ("legal_count", "<i4", "n"),
    ("sims", "<i4", "n"),
    ("sym_mask", "<u2", "n"),
    ("mover", "|i1", "n"),
    ("phase", "|i1", "n"),
    ("policy_source", "|u1", "n"),
    ("q_mask", "|b1", "n"),
    ("states", "|u1", "nS"),
    ("final_owner", "|i1", "c"),
)
"""Name, type and extent of each array: n samples, k target moves, S bytes a state, c cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """What a block says of its game.

    `samples` = n, `entries` = k, `state_bytes` = S, `cells` = c of `ARRAYS`; `recorded` counts the
    samples for whose ply a distribution is recorded that the export was asked for. `elim`, `terr`,
    `hand` and `ranks` are those of the result.
    """

    game: str
    play: str
    split: str
    spec: str
    searches: tuple[str, ...]
    agents: tuple[str, ...]
    plies: int
    end: str
    reason: str
    ranks: tuple[int, ...]
    elim: tuple[int, ...]
    terr: tuple[int, ...]
    hand: tuple[int, ...]
    samples: int
    entries: int
    state_bytes: int
    cells: int
    decisions: int
    recorded: int

    @property
    def finished(self) -> bool:
        """Tell whether the game has a result to learn from."""
        return bool(self.ranks)


_TUPLES = frozenset(("searches", "agents", "ranks", "elim", "terr", "hand"))
_NAMES = frozenset(field.name for field in fields(BlockHeader))


def write_block(header: BlockHeader, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the bytes of a block."""
    head = canonical_json({name: getattr(header, name) for name in _NAMES})
    parts = [MAGIC, _LENGTH.pack(len(head)), head]
    for name, kind, extent in ARRAYS:
        array = np.ascontiguousarray(arrays[name], kind)
        if array.shape != _shape(header, extent):
            raise ValueError(f"{name} is {array.shape}; expected {_shape(header, extent)}")
        parts.append(array.tobytes())
    return b"".join(parts)


def read_header(data: bytes, *, where: str = "block") -> BlockHeader:
    """Return the header of a block; raises `DataError` for other bytes."""
    return _header(data, where)[0]


def read_block(data: bytes, *, where: str = "block") -> tuple[BlockHeader, dict[str, NDArray[Any]]]:
    """Return header and arrays (views of `data`); raises `DataError` for other bytes."""
    header, at = _header(data, where)
    arrays: dict[str, NDArray[Any]] = {}
    for name, kind, extent in ARRAYS:
        shape = _shape(header, extent)
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        if at + count * dtype.itemsize > len(data):
            raise DataError("a block cut short", where=where)
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += count * dtype.itemsize
    if at != len(data):
        raise DataError(f"a block of {len(data)} bytes; expected {at}", where=where)
    return header, arrays


def _header(data: bytes, where: str) -> tuple[BlockHeader, int]:
    begin = len(MAGIC) + _LENGTH.size
    if data[: len(MAGIC)] != MAGIC or len(data) < begin:
        raise DataError(f"found {data[:4]!r}; expected a block", where=where)
    end = begin + _LENGTH.unpack_from(data, len(MAGIC))[0]
    try:
        tree = json.loads(data[begin:end])
        given: dict[str, Any] = {k: tuple(v) if k in _TUPLES else v for k, v in tree.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"a block with a damaged header: {error}", where=where) from None
    if given.keys() != _NAMES:
        wrong = min(given.keys() ^ _NAMES)
        raise DataError(f"a block whose header has another field {wrong}", where=where)
    return BlockHeader(**given), end


def _shape(header: BlockHeader, extent: str) -> tuple[int, ...]:
    n = header.samples
    return {
        "n": (n,),
        "k": (header.entries,),
        "n4": (n, 4),
        "nS": (n, header.state_bytes),
        "c": (header.cells,),
    }[extent]
