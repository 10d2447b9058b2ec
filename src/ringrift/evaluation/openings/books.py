"""Books of openings: one line `{"id", "moves", "shares"}` each, named by the SHA-256 of the file.

`id` names the position that the moves lead to, the same for all its images under the board's
symmetries. Half of a book, by the hash of the id, is open to every match; the other half is reserved
for those that decide, so that nothing is tuned on the openings it is judged by (`evaluation.md` 2).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from ringrift.core.errors import DataError, RingriftError, UsageError
from ringrift.rules import BoardSpec, Position, parse_config
from ringrift.rules.codec import codec

Part = Literal["open", "reserved"]
PARTS: tuple[Part, ...] = get_args(Part)
FIELDS = ("id", "moves", "shares")

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Moves from the start, packed, and each seat's share of the wins after them."""

    id: str
    moves: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def rank(self) -> str:
        """What openings of a book are halved by: SHA-256 of the id."""
        return hashlib.sha256(self.id.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Book:
    """The openings of one configuration, in the order of the file; get it from `load_book`.

    `hash` is the SHA-256 of the file's bytes.
    """

    spec: BoardSpec
    hash: str
    openings: tuple[Opening, ...]

    @property
    def spec_hash(self) -> str:
        """Hash of the rules that the openings were made for."""
        return self.spec.hash

    @cached_property
    def _halves(self) -> dict[str, tuple[Opening, ...]]:
        ranked = sorted(self.openings, key=lambda opening: opening.rank)
        half = -(-len(ranked) // 2)
        return {"open": tuple(ranked[:half]), "reserved": tuple(ranked[half:])}

    def part(self, part: Part) -> tuple[Opening, ...]:
        """Return one half, in the order of the hash of the id; the open one is larger if one is."""
        if part not in PARTS:
            raise UsageError(f"openings {part!r}; expected {' or '.join(PARTS)}")
        return self._halves[part]

    def order(self, part: Part, seed: int) -> tuple[Opening, ...]:
        """Return one half in the order in which a plan with this seed takes it."""
        openings = self.part(part)
        keys = [hashlib.sha256(f"{seed} {opening.id}".encode()).digest() for opening in openings]
        return tuple(openings[i] for i in sorted(range(len(openings)), key=keys.__getitem__))


def shipped(config: str) -> Path:
    """Return where the package keeps the book of a configuration, whether or not it is there."""
    return Path(__file__).with_name(f"{config}.jsonl")


def load_book(source: str | Path, *, spec: BoardSpec | None = None) -> Book:
    """Load the shipped book of a configuration, or a book file, and remember it.

    A file of another name than `<configuration>.jsonl` needs `spec`. Files that are not shipped are
    replayed. Raises `DataError` naming line and ply of what is no opening, and for a missing book.
    """
    path, board = locate(source, spec)
    try:
        stat = path.stat()
        return _load(path, board, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise DataError(
            f"no book of openings for {board.config}: {error.strerror}",
            where=str(path),
            hint=f"ringrift eval openings build --config-key {board.config}",
        ) from None


def locate(source: str | Path, spec: BoardSpec | None = None) -> tuple[Path, BoardSpec]:
    """Return the file that `source` means, and the rules of its openings."""
    if isinstance(source, str) and re.fullmatch(r"[a-z0-9]+_[2-4]p", source):
        board = BoardSpec.create(*parse_config(source))
        return shipped(board.config), board
    path = Path(source)
    if spec is None:
        try:
            spec = BoardSpec.create(*parse_config(path.name.partition(".")[0]))
        except RingriftError:
            raise UsageError(
                f"{path.name} does not say which configuration its openings are of",
                where=str(path),
                hint="a name such as square8_2p.jsonl",
            ) from None
    return path, spec


@lru_cache(maxsize=24)
def _load(path: Path, spec: BoardSpec, _changed_ns: int, _size_bytes: int) -> Book:
    data = path.read_bytes()
    return read_book(data, spec, where=str(path), replay=path != shipped(spec.config))


def read_book(data: bytes, spec: BoardSpec, *, where: str, replay: bool = True) -> Book:
    """Read the bytes of a book; raises `DataError` naming line and ply.

    Without `replay` moves are read and not played, except those that only a position explains.
    """
    reader = _Reader(spec, where, replay)
    lines = data.split(b"\n")
    if lines.pop():
        raise reader.fault(len(lines) + 1, "a line without its end", "a whole line")
    found = [reader.read(number, line) for number, line in enumerate(lines, start=1)]
    if not found:
        raise reader.fault(1, "an empty book", "one opening a line")
    known: dict[str, int] = {}
    for number, opening in enumerate(found, start=1):
        if known.setdefault(opening.id, number) != number:
            raise reader.fault(
                number, f"id {opening.id} of line {known[opening.id]}", "each position once"
            )
    return Book(spec=spec, hash=hashlib.sha256(data).hexdigest(), openings=tuple(found))


def line_of(identity: str, moves: str, shares: tuple[float, ...]) -> bytes:
    """Return the line of one opening; `moves` are compact texts joined by semicolons."""
    tree = {"id": identity, "moves": moves, "shares": shares}
    return json.dumps(tree, separators=(",", ":")).encode() + b"\n"


class _Reader:
    """Reads lines of one book."""

    def __init__(self, spec: BoardSpec, where: str, replay: bool) -> None:
        self._spec = spec
        self._where = where
        self._replay = replay
        self._packed: dict[str, int] = {}

    def fault(self, line: int, found: str, expected: str) -> DataError:
        """Make the complaint about a line."""
        return DataError(
            f"book of openings: found {found}; expected {expected}",
            where=f"{self._where}:{line}",
            hint=f"ringrift eval openings build --config-key {self._spec.config}",
        )

    def read(self, number: int, line: bytes) -> Opening:
        """Read line `number`."""
        try:
            tree: Any = json.loads(line)
        except (ValueError, RecursionError):
            raise self.fault(number, f"{line[:40]!r}", "a JSON object") from None
        if not isinstance(tree, dict) or tuple(tree) != FIELDS:
            raise self.fault(number, f"{line[:40]!r}", f"the fields {', '.join(FIELDS)}")
        identity, moves, shares = tree["id"], tree["moves"], tree["shares"]
        if not isinstance(identity, str) or not _ID.fullmatch(identity):
            raise self.fault(number, f"id {identity!r:.40}", "16 hex digits")
        if not self._are_shares(shares):
            raise self.fault(
                number, f"shares {shares!r:.60}", f"{self._spec.players} numbers, sum 1"
            )
        if not isinstance(moves, str) or not moves:
            raise self.fault(number, f"moves {moves!r:.40}", "compact texts joined by semicolons")
        return Opening(id=identity, moves=self._moves(number, moves), shares=tuple(shares))

    def _are_shares(self, shares: Any) -> bool:
        return (
            isinstance(shares, list)
            and len(shares) == self._spec.players
            and all(type(share) in (int, float) and 0 <= share <= 1 for share in shares)
            and abs(sum(shares) - 1) < 0.01
        )

    def _moves(self, number: int, text: str) -> tuple[int, ...]:
        texts = text.split(";")
        if self._replay or ";T " in text:  # no game begins with a region
            return self._replayed(number, texts)
        known, found = self._packed, []
        for ply, each in enumerate(texts):
            packed = known.get(each)
            if packed is None:
                try:
                    packed = codec(self._spec).pack(each, (), lambda _: ())
                except RingriftError as error:
                    raise self.fault(number, f"{error.message} at ply {ply}", "a move") from None
                known[each] = packed
            found.append(packed)
        return tuple(found)

    def _replayed(self, number: int, texts: list[str]) -> tuple[int, ...]:
        """Pack moves and play each; a region's cells are known by its position alone."""
        position, found = Position.of(self._spec), []
        for ply, each in enumerate(texts):
            try:
                packed = position.pack(each)
                position.play(packed)
            except RingriftError as error:
                raise self.fault(number, f"{error.message} at ply {ply}", "a legal move") from None
            found.append(packed)
        return tuple(found)
