"""Legal moves as people see and name them: numbered, grouped, chosen by number, text or prefix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.rules import Position

GROUPS = {
    "P": "place rings",
    "SP": "place none",
    "NP": "place none",
    "SW": "exchange seats",
    "M": "move a stack",
    "C": "capture",
    "K": "capture on",
    "SC": "stop capturing",
    "NM": "no move",
    "R": "recover",
    "SR": "recover nothing",
    "L": "collapse a line",
    "O": "collapse part of a line",
    "NL": "no line",
    "T": "process a region",
    "ST": "process no region",
    "NT": "no region",
    "E": "pay with a ring",
    "F": "forced elimination",
}
"""First word of a compact text (rules.md 3) -> what the move does."""

LINES_PER_GROUP = 6
LONGEST = 44
"""Longer texts name many cells; the list shortens them, their number chooses them all the same."""


@dataclass(frozen=True, slots=True)
class LegalList:
    """The legal moves of a position, in generation order; numbers count from 1."""

    texts: tuple[str, ...]

    @classmethod
    def of(cls, position: Position) -> LegalList:
        """List the legal moves of a position."""
        return cls(tuple(move.text for move in position.legal_moves()))

    def find(self, words: str) -> str:
        """Return the move that a number, a text or a unique prefix names.

        Raises `UsageError` with the reason: what was typed is the host's to ask again.
        """
        if words.isascii() and words.isdigit():
            if not 1 <= int(words) <= len(self.texts):
                raise UsageError(f"no move {words}; there are {len(self.texts)}")
            return self.texts[int(words) - 1]
        wanted = " ".join(words.split()).casefold()
        found = [text for text in self.texts if text.casefold().startswith(wanted)]
        exact = [text for text in found if text.casefold() == wanted]
        if len(exact) == 1 or len(found) == 1:
            return (exact or found)[0]
        if not found:
            raise UsageError(
                f"{words!r:.60} is no legal move and no command", hint="moves, or help"
            )
        shown = "; ".join(found[:6]) + (" ..." if len(found) > 6 else "")
        raise UsageError(f"{words!r:.60} begins {len(found)} moves: {shown}")

    def lines(self, width: int, *, complete: bool = False) -> list[str]:
        """Return the numbered list in columns, a heading per group; long groups end in `...`."""
        groups: dict[str, list[int]] = {}
        for index, text in enumerate(self.texts):
            groups.setdefault(text.split(" ", 1)[0], []).append(index)
        lines: list[str] = []
        for word, members in groups.items():
            lines.append(f"{GROUPS[word]}:")
            lines += self._columns(members, width, complete=complete)
        return lines

    def _columns(self, members: list[int], width: int, *, complete: bool) -> list[str]:
        digits = len(str(len(self.texts)))
        cells = [f"{index + 1:>{digits}}  {_short(self.texts[index])}" for index in members]
        column = max(map(len, cells)) + 3
        per_line = max(1, (width - 2) // column)
        rows = [
            "  " + "".join(cell.ljust(column) for cell in cells[at : at + per_line]).rstrip()
            for at in range(0, len(cells), per_line)
        ]
        if complete or len(rows) <= LINES_PER_GROUP:
            return rows
        left = len(cells) - LINES_PER_GROUP * per_line
        return [*rows[:LINES_PER_GROUP], f"  ... {left} more: moves"]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
