"""Many blocks in one file, found by game (checkpoints, cache).

    magic    8 bytes "RRPACK01"
    blocks   one behind the other
    index    JSON: [[game id, key, offset, length, CRC-32], ...]
    footer   length of the index, 8 bytes; CRC-32 of the index, 4 bytes

The key of a block says from which searches it was made (`block_key`). A file appears whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple

from ringrift.core.errors import DataError
from ringrift.core.files import write_atomic
from ringrift.data.dataset.plan import Plan, PlannedGame

MAGIC = b"RRPACK01"
SUFFIX = ".pack"
_FOOTER = struct.Struct("<QI")
_MOST_OPEN = 64


class _Place(NamedTuple):
    path: Path
    key: str
    offset: int
    length: int
    crc: int


def block_key(game: PlannedGame) -> str:
    """Name the content of a game's block within its block options: 32 hex digits."""
    text = f"{game.id} {game.split} {' '.join(game.analyses)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_pack(path: Path, blocks: Iterable[tuple[str, str, bytes]]) -> int:
    """Write blocks, given as (game id, key, bytes), to a file; return how many."""
    rows: list[tuple[str, str, int, int, int]] = []

    def write(file: IO[bytes]) -> None:
        file.write(MAGIC)
        at = len(MAGIC)
        for identity, key, data in blocks:
            file.write(data)
            rows.append((identity, key, at, len(data), zlib.crc32(data)))
            at += len(data)
        index = json.dumps(rows, separators=(",", ":")).encode()
        file.write(index + _FOOTER.pack(len(index), zlib.crc32(index)))

    write_atomic(path, write)
    return len(rows)


def read_index(path: Path) -> list[tuple[str, str, int, int, int]]:
    """Return what a file of blocks holds; raises `DataError` for a damaged one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(MAGIC) + _FOOTER.size:
                raise DataError("a file of blocks cut short", where=str(path))
            file.seek(size - _FOOTER.size)
            length, crc = _FOOTER.unpack(file.read(_FOOTER.size))
            begin = size - _FOOTER.size - length
            file.seek(0)
            if file.read(len(MAGIC)) != MAGIC or begin < len(MAGIC):
                raise DataError("no file of blocks", where=str(path))
            file.seek(begin)
            index = file.read(length)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if zlib.crc32(index) != crc:
        raise DataError("a damaged file of blocks: wrong checksum", where=str(path))
    try:
        return [(str(r[0]), str(r[1]), int(r[2]), int(r[3]), int(r[4])) for r in json.loads(index)]
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(f"a damaged file of blocks: {error}", where=str(path)) from None


class PackedBlocks(Mapping[str, bytes]):
    """The blocks of a plan's games as far as some files hold them; reads one at a time.

    A block made from other searches is not one of the plan. Raises `DataError` for damaged files.
    """

    def __init__(self, plan: Plan, paths: Iterable[Path] = ()) -> None:
        self._plan = plan
        self._places: dict[str, _Place] = {}
        self._open: OrderedDict[Path, IO[bytes]] = OrderedDict()
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> int:
        """Take the blocks of another file; return how many of them the plan needs."""
        needed = 0
        for identity, key, offset, length, crc in read_index(path):
            game = self._plan.by_id.get(identity)
            if game is not None and block_key(game) == key:
                needed += 1
                self._places[identity] = _Place(path, key, offset, length, crc)
        return needed

    def paths(self) -> set[Path]:
        """Return the files that the blocks are read from."""
        return {place.path for place in self._places.values()}

    def close(self) -> None:
        """Close the files that were read last."""
        while self._open:
            self._open.popitem()[1].close()

    def __getitem__(self, identity: str) -> bytes:
        place = self._places[identity]
        file = self._file(place.path)
        file.seek(place.offset)
        data = file.read(place.length)
        if zlib.crc32(data) != place.crc:
            raise DataError(
                f"damaged block of game {identity}: wrong checksum",
                where=str(place.path),
                hint="delete the file",
            )
        return data

    def _file(self, path: Path) -> IO[bytes]:
        file = self._open.get(path)
        if file is None:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            file = self._open[path] = path.open("rb")
        return file

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def merge_packs(paths: Sequence[Path], folder: Path, *, most_bytes: int = 64_000_000) -> None:
    """Write the blocks of some files to fewer files in `folder`, named by what they hold."""
    group: list[tuple[Path, tuple[str, str, int, int, int]]] = []
    size = 0
    for path in paths:
        for row in read_index(path):
            if group and size + row[3] > most_bytes:
                _write_group(folder, group)
                group, size = [], 0
            group.append((path, row))
            size += row[3]
    if group:
        _write_group(folder, group)


def _write_group(
    folder: Path, group: Sequence[tuple[Path, tuple[str, str, int, int, int]]]
) -> None:
    digest = hashlib.sha256()
    for _, (_, key, *_) in group:
        digest.update(key.encode())
    target = folder / f"{digest.hexdigest()[:32]}{SUFFIX}"
    if not target.exists():
        write_pack(target, _rows_of(group))


def _rows_of(
    group: Sequence[tuple[Path, tuple[str, str, int, int, int]]],
) -> Iterator[tuple[str, str, bytes]]:
    for path, rows in groupby(group, key=lambda pair: pair[0]):
        with path.open("rb") as file:
            for _, (identity, key, offset, length, _) in rows:
                file.seek(offset)
                yield identity, key, file.read(length)
