"""Many blocks in one file, found by game (checkpoints, cache).

    magic    8 bytes "RRPACK02"
    blocks   one behind the other
    index    JSON: [[game id, key, offset, length, CRC-32, samples], ...]
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
from ringrift.data.dataset.block import read_header
from ringrift.data.dataset.plan import Plan, PlannedGame

MAGIC = b"RRPACK02"
SUFFIX = ".pack"
_FOOTER = struct.Struct("<QI")
_MOST_OPEN = 64


class Entry(NamedTuple):
    """One block in the index of a file: where it is, how long in bytes, how many samples it has."""

    game: str
    key: str
    offset: int
    length: int
    crc: int
    samples: int


def block_key(game: PlannedGame) -> str:
    """Name the content of a game's block within its block options: 32 hex digits."""
    text = f"{game.id} {game.split} {' '.join(game.analyses)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_pack(path: Path, blocks: Iterable[tuple[str, str, bytes]]) -> int:
    """Write blocks, given as (game id, key, bytes), to a file; return how many."""
    rows: list[Entry] = []

    def write(file: IO[bytes]) -> None:
        file.write(MAGIC)
        at = len(MAGIC)
        for identity, key, data in blocks:
            file.write(data)
            samples = read_header(data, where=f"block of game {identity}").samples
            rows.append(Entry(identity, key, at, len(data), zlib.crc32(data), samples))
            at += len(data)
        index = json.dumps(rows, separators=(",", ":")).encode()
        file.write(index + _FOOTER.pack(len(index), zlib.crc32(index)))

    write_atomic(path, write)
    return len(rows)


def read_index(path: Path) -> list[Entry]:
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
        return [
            Entry(str(game), str(key), *map(int, rest)) for game, key, *rest in json.loads(index)
        ]
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(f"a damaged file of blocks: {error}", where=str(path)) from None


class PackedBlocks(Mapping[str, bytes]):
    """The blocks of a plan's games as far as some files hold them; reads one at a time.

    A block made from other searches is not one of the plan. Raises `DataError` for damaged files.
    """

    def __init__(self, plan: Plan, paths: Iterable[Path] = ()) -> None:
        self._plan = plan
        self._places: dict[str, tuple[Path, Entry]] = {}
        self._open: OrderedDict[Path, IO[bytes]] = OrderedDict()
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> int:
        """Take the blocks of another file; return how many of them the plan needs."""
        needed = 0
        for entry in read_index(path):
            game = self._plan.by_id.get(entry.game)
            if game is not None and block_key(game) == entry.key:
                needed += 1
                self._places[entry.game] = path, entry
        return needed

    def samples(self) -> dict[str, int]:
        """Return how many samples each game has, from the indices alone."""
        return {identity: entry.samples for identity, (_, entry) in self._places.items()}

    def paths(self) -> set[Path]:
        """Return the files that the blocks are read from."""
        return {path for path, _ in self._places.values()}

    def close(self) -> None:
        """Close the files that were read last."""
        while self._open:
            self._open.popitem()[1].close()

    def __getitem__(self, identity: str) -> bytes:
        path, entry = self._places[identity]
        file = self._file(path)
        file.seek(entry.offset)
        data = file.read(entry.length)
        if zlib.crc32(data) != entry.crc:
            raise DataError(
                f"damaged block of game {identity}: wrong checksum",
                where=str(path),
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
    group: list[tuple[Path, Entry]] = []
    size = 0
    for path in paths:
        for entry in read_index(path):
            if group and size + entry.length > most_bytes:
                _write_group(folder, group)
                group, size = [], 0
            group.append((path, entry))
            size += entry.length
    if group:
        _write_group(folder, group)


def _write_group(folder: Path, group: Sequence[tuple[Path, Entry]]) -> None:
    digest = hashlib.sha256()
    for _, entry in group:
        digest.update(entry.key.encode())
    target = folder / f"{digest.hexdigest()[:32]}{SUFFIX}"
    if not target.exists():
        write_pack(target, _rows_of(group))


def _rows_of(group: Sequence[tuple[Path, Entry]]) -> Iterator[tuple[str, str, bytes]]:
    for path, rows in groupby(group, key=lambda pair: pair[0]):
        with path.open("rb") as file:
            for _, entry in rows:
                file.seek(entry.offset)
                yield entry.game, entry.key, file.read(entry.length)
