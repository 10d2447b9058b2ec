"""A plan cut into chunks of games, the unit that a worker takes (`data.md` 6)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, RingriftError
from ringrift.core.files import write_atomic
from ringrift.data.dataset.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_GAMES = 500
SUFFIX = ".chunk.json"
FORMAT = "ringrift.chunk/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Part `number` (from 0) of `count` of the plan whose request is `request`.

    `plan` is that plan with this chunk's games only: all that a worker needs.
    """

    number: int
    count: int
    request: str
    plan: Plan

    @property
    def name(self) -> str:
        """Its name in files and messages; those of one plan are in the order of their numbers."""
        return f"{self.plan.config}-{self.request[:12]}-{self.number:05d}"

    def as_dict(self) -> dict[str, Any]:
        """Return the chunk as JSON can hold it; `ids` are those of its games."""
        return {
            "format": FORMAT,
            "number": self.number,
            "count": self.count,
            "request": self.request,
            "ids": list(self.plan.ids),
            "plan": self.plan.as_dict(),
        }

    @classmethod
    def from_dict(cls, tree: Any, *, where: str) -> Chunk:
        """Read what `as_dict` returned; raises `DataError` naming `where` and the field."""
        if not isinstance(tree, dict) or tree.get("format") != FORMAT:
            found = tree.get("format") if isinstance(tree, dict) else tree
            raise DataError(f"format: found {str(found)[:80]!r}; expected {FORMAT}", where=where)
        try:
            chunk = cls(
                number=_whole(tree, "number"),
                count=_whole(tree, "count"),
                request=str(tree["request"]),
                plan=Plan.from_dict(tree["plan"]),
            )
        except (RingriftError, LookupError, TypeError, ValueError, AttributeError) as error:
            told = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"not a chunk: {told}", where=where) from None
        if not 0 <= chunk.number < chunk.count:
            raise DataError(f"number: found {chunk.number} of {chunk.count}", where=where)
        if tree.get("ids") != list(chunk.plan.ids):
            raise DataError("ids: not those of the games in plan", where=where)
        return chunk


def cut(plan: Plan, chunks: int, *, most_games: int = MOST_GAMES) -> list[Chunk]:
    """Cut a plan into `chunks` of nearly equal length, more where one would pass `most_games`.

    A plan with fewer games than chunks gives one chunk a game, an empty plan none. The stores are
    named by whole paths: a worker may run elsewhere.
    """
    games, stores = plan.games, tuple(path.resolve() for path in plan.stores)
    count = min(len(games), max(chunks, -(-len(games) // most_games)))
    bounds = [len(games) * place // count for place in range(count + 1)] if count else []
    return [
        Chunk(
            number=number,
            count=count,
            request=plan.request,
            plan=replace(plan, games=games[begin:end], stores=stores),
        )
        for number, (begin, end) in enumerate(pairwise(bounds))
    ]


def join(chunks: Sequence[Chunk]) -> Plan:
    """Return the plan that chunks were cut from.

    Raises `DataError` naming the chunk that is missing, twice there, or of another plan.
    """
    first = chunks[0]
    for chunk in chunks:
        if (chunk.request, chunk.count) != (first.request, first.count):
            raise DataError("chunks of different exports", where=f"{first.name}, {chunk.name}")
    numbers = sorted(chunk.number for chunk in chunks)
    for number, found in zip(range(first.count), [*numbers, None], strict=False):
        if found is None or found > number:
            raise DataError(f"chunk {number} of {first.count} is missing", where=first.name[:-6])
        if found < number:
            raise DataError(f"chunk {found} is there twice", where=first.name[:-6])
    if len(numbers) > first.count:
        raise DataError(f"chunk {numbers[-1]} is there twice", where=first.name[:-6])
    games = [game for chunk in chunks for game in chunk.plan.games]
    plan = replace(first.plan, games=tuple(sorted(games, key=lambda game: game.id)))
    if plan.request != first.request:
        raise DataError("the chunks' games are not those that were planned", where=first.name[:-6])
    return plan


def write_chunk(folder: Path, chunk: Chunk) -> Path:
    """Write a chunk's file, named after it, and return its path."""
    path = folder / f"{chunk.name}{SUFFIX}"
    write_atomic(path, json.dumps(chunk.as_dict()).encode() + b"\n")
    return path


def read_chunk(path: Path) -> Chunk:
    """Read a chunk's file; raises `DataError` naming file and field."""
    try:
        tree = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"no JSON: {error}", where=str(path)) from None
    return Chunk.from_dict(tree, where=str(path))


def _whole(tree: dict[str, Any], name: str) -> int:
    value = tree[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{name}: found {value!r}; expected a whole number")
    return value
