"""Names of positions that all images under the symmetries of their board share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.ids import content_id
from ringrift.rules.geometry import geometry
from ringrift.training.samples.symmetry import symmetries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.rules import Position

ID_DIGITS = 16

_NO_CELL = "-"
_BOARD_FIELDS = ("S", "M", "C")


def position_id(position: Position) -> str:
    """Return 16 hex digits that name a position up to symmetry, under the rules it is played by."""
    data = f"{position.spec.hash} {canonical_image(position)}".encode()
    return content_id("opening", data)[:ID_DIGITS]


def canonical_image(position: Position) -> str:
    """Return the first, as texts are ordered, of the state texts of all images of a position."""
    text = str(position)
    return min(image(text, position.spec.board, cells) for cells in _maps(position.spec.board))


def image(text: str, board: str, cells: Sequence[int]) -> str:
    """Return the state text of the position whose cell `c` is moved to `cells[c]`."""
    g = geometry(board)
    moved = []
    for field in text.split(";"):
        name, _, value = field.partition("=")
        if name == "only" and value != _NO_CELL:
            value = g.keys[cells[g.index[value]]]
        elif name in _BOARD_FIELDS and value:
            entries = (entry.partition(":") for entry in value.split(" "))
            placed = sorted((cells[g.index[key]], content) for key, _, content in entries)
            value = " ".join(f"{g.keys[cell]}:{content}" for cell, content in placed)
        moved.append(f"{name}={value}")
    return ";".join(moved)


def _maps(board: str) -> list[list[int]]:
    found: list[list[int]] = symmetries(board).cells.tolist()
    return found
