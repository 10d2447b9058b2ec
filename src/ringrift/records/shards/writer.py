"""Write games and their analyses as shards (selfplay.md 6)."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard

from ringrift.core.errors import RefusedError, UsageError
from ringrift.core.files import write_atomic
from ringrift.records.analysis import Analysis
from ringrift.records.analysis_bytes import ANALYSIS_FORMAT, analysis_to_bytes
from ringrift.records.envelope import encode, unseal
from ringrift.records.game_bytes import from_bytes, to_bytes
from ringrift.records.record import GameRecord
from ringrift.records.shards.layout import (
    FOOTER,
    FRAME_BYTES,
    LENGTH,
    LEVEL,
    MAGIC,
    MIB,
    MOST_AGE_S,
    MOST_BYTES,
    MOST_FILE_BYTES,
    MOST_FRAMES,
    MOST_GAMES,
    MOST_RECORDS,
    SHARD_FORMAT,
    SUFFIX,
    Entry,
    Header,
    Index,
    compressed_bound,
    index_bound,
)
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash

MOST_OPEN = 16
"""Specifications that are written at the same time; one more closes the shard opened first."""

Group = tuple[GameRecord | bytes, Sequence[Analysis | bytes]]
"""A game with its analyses, as records or as their bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFile:
    """A shard on disk. `sha256` is that of the whole file; its first 32 digits are in the name."""

    path: Path
    sha256: str
    size_bytes: int
    config: str
    games: int
    analyses: int


def write_shards(
    folder: Path,
    games: Iterable[Group],
    *,
    most_bytes: int = MOST_BYTES,
    most_games: int = MOST_GAMES,
    most_age_s: float = MOST_AGE_S,
) -> list[ShardFile]:
    """Write games into shards of one specification each; each is durable before it has its name.

    A shard is closed before it exceeds `most_bytes` (it holds one game at least) or `most_games`,
    and with the next game once it is `most_age_s` old. Equal games in the same order give equal
    files. Raises `VerificationError` for bytes that are no record, `RefusedError` for a game that
    comes twice with different bytes.
    """
    if not MIB <= most_bytes <= MOST_BYTES or not 1 <= most_games <= MOST_GAMES:
        raise UsageError(
            f"shards of {most_bytes} bytes and {most_games} games; expected {MIB} to {MOST_BYTES}"
            f" and 1 to {MOST_GAMES}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    done: list[ShardFile] = []
    growing: dict[str, _Growing] = {}

    def close(spec_hash: str) -> None:
        with growing.pop(spec_hash) as shard:
            done.append(shard.close())

    try:
        for game, analyses in games:
            item = _Item.of(game, analyses)
            key = item.record.spec.hash
            shard = growing.get(key)
            if shard is not None:
                known = shard.knows(item)
                if known and not item.analyses:
                    continue
                if known or shard.is_full(item, most_bytes, most_games, most_age_s):
                    close(key)
            if key not in growing:
                if len(growing) == MOST_OPEN:
                    close(next(iter(growing)))
                growing[key] = _Growing(folder, item.record)
            growing[key].add(item)
        for key in list(growing):
            close(key)
    finally:
        for shard in growing.values():
            shard.drop()
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A game with its analyses, decoded as far as the shard needs it."""

    record: GameRecord
    data: bytes
    analyses: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, game: GameRecord | bytes, analyses: Sequence[Analysis | bytes]) -> _Item:
        found: dict[str, bytes] = {}
        for analysis in analyses:
            data = analysis if isinstance(analysis, bytes) else analysis_to_bytes(analysis)
            found[unseal(data, ANALYSIS_FORMAT)[0]] = data
        return cls(
            record=from_bytes(game) if isinstance(game, bytes) else game,
            data=game if isinstance(game, bytes) else to_bytes(game),
            analyses=tuple(found.items()),
        )

    @property
    def raw_bytes(self) -> int:
        return len(self.data) + sum(len(data) for _, data in self.analyses)


class _Growing:
    """A shard that is being filled; its frames wait in a file without a name."""

    def __init__(self, folder: Path, first: GameRecord) -> None:
        self._folder = folder
        self._spec = first.spec
        self._runs: set[str | None] = set()
        self._opened_at_s = time.monotonic()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `drop`
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress
        self._written = 0
        self._pending = bytearray()
        self._index = Index([], [], [])
        self._digests: dict[str, bytes] = {}

    def __enter__(self) -> _Growing:
        return self

    def __exit__(self, *_error: object) -> None:
        self.drop()

    def drop(self) -> None:
        self._file.close()

    def knows(self, item: _Item) -> bool:
        """Tell whether the game is here; raises `RefusedError` if it is with other bytes."""
        found = self._digests.get(item.record.id)
        if found is not None and found != hashlib.sha256(item.data).digest():
            raise RefusedError(
                "a game comes twice with different bytes", where=f"game {item.record.id}"
            )
        return found is not None

    def is_full(self, item: _Item, most_bytes: int, most_games: int, most_age_s: float) -> bool:
        """Tell whether the item belongs into the next shard."""
        index = self._index
        records = len(index.games) + len(index.analyses) + 1 + len(item.analyses)
        return (
            len(index.games) >= most_games
            or records > MOST_RECORDS
            or len(index.frames) + item.raw_bytes // FRAME_BYTES + 2 > MOST_FRAMES
            or time.monotonic() - self._opened_at_s >= most_age_s
            or (self._size_with(item) > most_bytes and self._flushed_size_with(item) > most_bytes)
        )

    def _size_with(self, item: _Item) -> int:
        """Return a bound for the file with this item."""
        raw = len(self._pending) + item.raw_bytes
        frames = len(self._index.frames) + 2 + 2 * (raw // FRAME_BYTES)
        records = len(self._index.games) + len(self._index.analyses) + 1 + len(item.analyses)
        # A frame more than the bytes need, each of which has a head of its own.
        head = 4096 + 128 * (2 + raw // FRAME_BYTES)
        return head + self._written + compressed_bound(raw) + index_bound(frames, records)

    def _flushed_size_with(self, item: _Item) -> int:
        """Compress what waits, which says how large it really is, and look again."""
        self._flush()
        return self._size_with(item)

    def add(self, item: _Item) -> None:
        self._digests[item.record.id] = hashlib.sha256(item.data).digest()
        self._runs.add(item.record.meta.run)
        self._index.games.append(self._put(item.record.id, item.data))
        for identity, data in item.analyses:
            self._index.analyses.append(self._put(identity, data))

    def _put(self, identity: str, data: bytes) -> Entry:
        if self._pending and len(self._pending) + len(data) > FRAME_BYTES:
            self._flush()
        entry = (bytes.fromhex(identity), len(self._index.frames), len(self._pending))
        for first in range(0, len(data), FRAME_BYTES):
            if first:
                self._flush()
            self._pending += data[first : first + FRAME_BYTES]
        return entry

    def _flush(self) -> None:
        if not self._pending:
            return
        frame = self._compress(bytes(self._pending))
        self._index.frames.append((len(frame), len(self._pending)))
        self._file.write(frame)
        self._written += len(frame)
        self._pending.clear()

    def close(self) -> ShardFile:
        """Write the file under its name and return what it is."""
        self._flush()
        header = self._header()
        head = MAGIC + LENGTH.pack(len(header)) + header
        index = self._compress(encode(self._index))
        whole, before_footer = hashlib.sha256(), hashlib.sha256()
        for part in self._parts(head, index):
            before_footer.update(part)
        at = (len(head) + self._written).to_bytes(8, "little")
        before_footer.update(at)
        footer = at + before_footer.digest()
        size = len(head) + self._written + len(index) + FOOTER.size
        if size > MOST_FILE_BYTES:
            raise RefusedError(
                f"a game whose analyses need {size} bytes; a shard has at most {MOST_FILE_BYTES}",
                where=f"game {self._index.games[0][0].hex()}",
            )
        for part in (*self._parts(head, index), footer):
            whole.update(part)
        sha256 = whole.hexdigest()
        path = self._folder / f"games-{self._spec.config}-{sha256[:32]}{SUFFIX}"
        write_atomic(path, lambda file: file.writelines((*self._parts(head, index), footer)))
        return ShardFile(
            path=path,
            sha256=sha256,
            size_bytes=size,
            config=self._spec.config,
            games=len(self._index.games),
            analyses=len(self._index.analyses),
        )

    def _header(self) -> bytes:
        return msgspec.json.encode(
            Header(
                format=SHARD_FORMAT,
                config=self._spec.config,
                rules_version=RULES_VERSION,
                rules_hash=layout_hash,
                spec_hash=self._spec.hash,
                games=len(self._index.games),
                analyses=len(self._index.analyses),
                run=next(iter(self._runs)) if len(self._runs) == 1 else None,
            )
        )

    def _parts(self, head: bytes, index: bytes) -> Iterator[bytes]:
        yield head
        self._file.seek(0)
        while part := self._file.read(MIB):
            yield part
        yield index
