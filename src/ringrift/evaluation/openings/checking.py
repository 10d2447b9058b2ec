"""Replay whole books: every move legal, every position what its id says (`evaluation.md` 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ringrift.core.errors import DataError
from ringrift.evaluation.openings.drawing import swap_pending
from ringrift.evaluation.openings.symmetry import position_id
from ringrift.rules import IllegalMove, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ringrift.evaluation.openings.books import Book, Opening

_ROUNDED = 5e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a replay found: whole numbers from least to most over the openings of a book."""

    plies: tuple[int, int]
    choices: tuple[int, int]


def check(book: Book, path: Path, *, on_opening: Callable[[], None] = lambda: None) -> Checked:
    """Replay each opening of a book that was read from `path`.

    Raises `DataError` naming line and ply of a move that is not legal, and the line of an opening
    that ends the game, leaves a swap pending, is not fair, or whose id is of another position.
    """
    plies, choices = [], []
    for number, opening in enumerate(book.openings, start=1):
        plies.append(len(opening.moves))
        choices.append(_replay(book, opening, f"{path}:{number}"))
        on_opening()
    return Checked(plies=(min(plies), max(plies)), choices=(min(choices), max(choices)))


def _replay(book: Book, opening: Opening, where: str) -> int:
    """Replay one opening; return how many of its plies were choices."""
    spec = book.spec
    position, choices = Position.of(replace(spec, swap_rule=spec.players == 2)), 0
    for ply, move in enumerate(opening.moves):
        choices += len(position.legal_packed()) > 1
        try:
            position.play(move)
        except IllegalMove:
            raise DataError(
                f"opening {opening.id}: found {position.move_text(move)!r} at ply {ply}; expected a "
                "legal move",
                where=where,
                hint=f"ringrift eval openings build --config-key {spec.config}",
            ) from None
    end = Position(spec, position.record().reshape(1))
    faults = {
        "a game that is over": end.is_over,
        "a pending swap": swap_pending(position),
        "shares beyond half and one and a half of an equal one": not _fair(opening.shares),
    }
    for found, applies in faults.items():
        if applies:
            raise DataError(f"opening {opening.id}: found {found}; expected none", where=where)
    if (identity := position_id(end)) != opening.id:
        raise DataError(f"opening {opening.id}: its moves lead to position {identity}", where=where)
    return choices


def _fair(shares: Sequence[float]) -> bool:
    """Whether rounded shares lie within half and one and a half of an equal one."""
    equal = 1 / len(shares)
    return all(0.5 * equal - _ROUNDED <= share <= 1.5 * equal + _ROUNDED for share in shares)
