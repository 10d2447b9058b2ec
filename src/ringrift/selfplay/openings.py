"""How games begin: random choices, the agent's best ones, a book, positions of stored games.

A book is a file of JSON lines. Each line is an object with `moves` (compact texts joined with `;`),
`start` (the canonical text of a position) or both, the moves then played from that position; `config`
(such as `square8_2p`) and `name` may stand beside them. Lines of another configuration are skipped.
Empty lines count, but say nothing.

    {"config": "square8_2p", "moves": "P a1 1;M a1 a3", "name": "corner"}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ringrift.agents import streams
from ringrift.agents.protocol import Rngs
from ringrift.core.errors import DataError, RingriftError, UsageError
from ringrift.rules import Position

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.rules.spec import BoardSpec
    from ringrift.selfplay.plans import GamePlan

_CHOICES = Rngs(streams.OPENING)
_LINE = Rngs(streams.OPENING | (1 << 8))
_FORK = Rngs(streams.OPENING | (2 << 8))
_FIELDS = ("config", "moves", "name", "start")
_MOST_CHOICES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A beginning: packed `moves` from `start` (canonical text; None: the start position).

    `tag` says in the record where it comes from.
    """

    moves: tuple[int, ...] = ()
    start: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """How the games of a run begin; what a game gets follows from its seed.

    A share `fork_fraction` begins with one of `forks`, the others with one of `book`, if any.
    After it come `choices` (least, most) choices, drawn per game: random ones, or with `top_k` drawn
    among the agent's best.
    """

    choices: tuple[int, int] = (0, 8)
    top_k: bool = False
    book: tuple[Opening, ...] = ()
    forks: tuple[Opening, ...] = ()
    fork_fraction: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.choices
        if not 0 <= low <= high <= _MOST_CHOICES:
            raise UsageError(f"opening choices are {low}-{high}; expected 0 <= a <= b")
        if not 0 <= self.fork_fraction <= 1:
            raise UsageError(f"fork fraction is {self.fork_fraction}; expected 0 to 1")
        if self.fork_fraction > 0 and not self.forks:
            raise UsageError("fork fraction without positions of stored games to fork from")

    def begin(self, plan: GamePlan) -> GamePlan:
        """Return the plan of a game with its beginning."""
        seed = plan.seed
        low, high = self.choices
        count = low + _CHOICES.below(high - low + 1, seed, 0, 0)
        found = self._beginning(seed)
        return replace(
            plan,
            opening=found.moves,
            start=found.start,
            random_choices=0 if self.top_k else count,
            top_k_choices=count if self.top_k else 0,
            tags=plan.tags if found.tag is None else (*plan.tags, found.tag),
        )

    def _beginning(self, seed: int) -> Opening:
        if self.fork_fraction > 0 and _FORK.uniform(seed, 0, 0) < self.fork_fraction:
            return self.forks[_FORK.below(len(self.forks), seed, 0, 0, 1)]
        if self.book:
            return self.book[_LINE.below(len(self.book), seed, 0, 0)]
        return Opening()


def read_book(path: Path, spec: BoardSpec) -> tuple[Opening, ...]:
    """Read the openings of a configuration from a book.

    Raises `DataError` naming file, line and field: unreadable, not what the module says, an
    illegal move, a position that is over, or no opening for `spec`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"an opening book cannot be read: {error}", where=str(path)) from None
    found: list[Opening] = []
    others: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        entry = _entry(line, where)
        config = entry.get("config", spec.config)
        if config != spec.config:
            others.add(config)
        else:
            found.append(_opening(entry, spec, where))
    if not found:
        has = f"; it has {', '.join(sorted(others))}" if others else ""
        raise DataError(f"the book has no opening for {spec.config}{has}", where=str(path))
    return tuple(found)


def _entry(line: str, where: str) -> dict[str, str]:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if not isinstance(entry, dict):
        raise DataError(f"found {line!r:.80}; expected an object", where=where)
    for name, value in entry.items():
        if name not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise DataError(f"unknown field {name!r}; expected {known}", where=where)
        if not isinstance(value, str) or not value:
            raise DataError(f"found {value!r:.80}; expected a text", where=f"{where} field {name}")
    if "moves" not in entry and "start" not in entry:
        raise DataError("neither moves nor start", where=where)
    return entry


def _opening(entry: dict[str, str], spec: BoardSpec, where: str) -> Opening:
    start, texts = entry.get("start"), entry.get("moves", "")
    try:
        position = Position.of(spec) if start is None else Position.parse(start, spec=spec)
    except RingriftError as error:
        raise DataError(error.message, where=f"{where} field start") from None
    moves = []
    for ply, text in enumerate(texts.split(";") if texts else []):
        try:
            moves.append(position.pack(text.strip()))
            position.play(moves[-1])
        except RingriftError as error:
            raise DataError(f"move {ply}: {error.message}", where=f"{where} field moves") from None
    if position.is_over:
        raise DataError("the game is over after it; expected a position to play on", where=where)
    name = entry.get("name")
    return Opening(
        moves=tuple(moves),
        start=None if start is None else canonical(start, spec),
        tag=None if name is None else f"book:{name}",
    )


def fork(text: str, spec: BoardSpec, tag: str) -> Opening:
    """Return the opening that begins from a position of a stored game; `tag` says of which.

    Raises `DataError` for a text that is no position of `spec` or one that is over.
    """
    position = Position.parse(text, spec=spec)
    if position.is_over:
        raise DataError("a game cannot be forked where it is over", where=tag)
    return Opening(start=str(position), tag=tag)


def canonical(text: str, spec: BoardSpec) -> str:
    """Return a position's text in its one form."""
    return str(Position.parse(text, spec=spec))


def parse_choices(text: str) -> tuple[int, int]:
    """Read `k` or `a-b`, numbers of opening choices; raises `UsageError`."""
    low, dash, high = text.partition("-")
    parts: Sequence[str] = (low, high) if dash else (low, low)
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"opening choices are {text!r}; expected k or a-b, such as 4 or 0-8")
    return int(parts[0]), int(parts[1])
