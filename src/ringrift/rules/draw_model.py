"""What a drawing shows: the cells, counters and highlights of one position, checked once when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

BOARDS: dict[str, int] = {"square8": 8, "square19": 19, "hex8": 4, "hexagonal": 12}
"""Side of each square board, radius of each hexagonal one (`rules.md 1.1`)."""

HEX_BOARDS = frozenset({"hex8", "hexagonal"})
MAX_SEATS = 4


class DrawingError(ValueError):
    """A `Drawing` holds something that is not on a RingRift board; the message names the field and the value."""


def board_cells(board: str) -> list[tuple[int, int]]:
    """Return the `(x, y)` of every cell in reading order: rows from the top, each from the left.

    On hexagonal boards these are the first two cube coordinates and a row is a line of constant `y`.
    """
    size = BOARDS[board]
    if board not in HEX_BOARDS:
        return [(x, y) for y in range(size) for x in range(size)]
    span = range(-size, size + 1)
    return [(x, y) for y in span for x in span if abs(x + y) <= size]


def cell_key(board: str, x: int, y: int) -> str:
    """Return the key text of a cell, `x,y` or `x,y,z` (`rules.md 1.4`)."""
    return f"{x},{y},{-x - y}" if board in HEX_BOARDS else f"{x},{y}"


def clean(line: str) -> str:
    """Replace what a terminal or an XML parser could act on (controls, surrogates, bidi marks) by U+FFFD."""
    return "".join(
        c if c.isprintable() else " " if c in "\t\n\r" else "\N{REPLACEMENT CHARACTER}"
        for c in line
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One position to draw. Cell keys are `"x,y"` (x east, y south) or cube `"x,y,z"`; seats count from 1.

    Raises `DrawingError` for an unknown board, a key that is not on it, a cell with two contents, an owner that is not
    a seat.
    """

    board: str
    """`square8`, `square19`, `hex8` or `hexagonal`."""
    stacks: Mapping[str, str] = field(default_factory=dict)
    """Ring owners as digits, bottom to top."""
    markers: Mapping[str, int] = field(default_factory=dict)
    """Owner of each marker."""
    collapsed: Mapping[str, int] = field(default_factory=dict)
    """Owner of each collapsed cell."""
    last_move: tuple[str, ...] = ()
    """Cells the last move touched, in order: origin, captured stack, landing; or one placed or removed cell."""
    targets: tuple[str, ...] = ()
    """Cells to mark as legal targets."""
    title: str = ""
    hands: tuple[int, ...] = ()
    """Rings in hand per seat. This and the next two may be empty: the counter is then drawn as a dash."""
    eliminated: tuple[int, ...] = ()
    """Credited eliminated rings per seat."""
    territory: tuple[int, ...] = ()
    """Collapsed cells credited per seat."""
    phase: str = ""
    current_player: int = 0
    """Seat to move; 0 for none."""
    winner: int | None = None
    """Seat that won; `None` or 0 for none."""

    def __post_init__(self) -> None:
        if self.board not in BOARDS:
            raise DrawingError(f"board: {self.board!r} is unknown; one of {', '.join(BOARDS)}")
        valid = {cell_key(self.board, x, y) for x, y in board_cells(self.board)}
        for name, keys in self._keys_by_field():
            for key in keys:
                if key not in valid:
                    raise DrawingError(f"{name}: {key!r} is not a cell of {self.board}")
        for key, rings in self.stacks.items():
            if not rings or not set(rings) <= set("1234"):
                raise DrawingError(f"stacks: {rings!r} at {key} is not a run of the digits 1 to 4")
        for name, owners in (("markers", self.markers), ("collapsed", self.collapsed)):
            for key, owner in owners.items():
                if owner not in range(1, MAX_SEATS + 1):
                    raise DrawingError(
                        f"{name}: owner {owner!r} at {key} is not a seat from 1 to {MAX_SEATS}"
                    )
        stacks, markers, collapsed = set(self.stacks), set(self.markers), set(self.collapsed)
        twice = (stacks & markers) | (stacks & collapsed) | (markers & collapsed)
        if twice:
            raise DrawingError(f"cells: {min(twice)} holds two of stack, marker and collapsed cell")
        for name, seat in (("current_player", self.current_player), ("winner", self.winner or 0)):
            if seat not in range(MAX_SEATS + 1):
                raise DrawingError(f"{name}: {seat!r} is not a seat from 0 to {MAX_SEATS}")
        if max(map(len, (self.hands, self.eliminated, self.territory))) > MAX_SEATS:
            raise DrawingError(f"hands, eliminated, territory: more than {MAX_SEATS} seats")

    def _keys_by_field(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name in ("stacks", "markers", "collapsed", "last_move", "targets"):
            yield name, tuple(getattr(self, name))

    @property
    def seats(self) -> int:
        """Number of seats to list: as many as the counters, the cells or the mover need, at least two."""
        owners = [int(ring) for rings in self.stacks.values() for ring in rings]
        owners += [
            *self.markers.values(),
            *self.collapsed.values(),
            self.current_player,
            self.winner or 0,
        ]
        return max(2, len(self.hands), len(self.eliminated), len(self.territory), *owners)

    @property
    def headline(self) -> str:
        """The phase, and who moves or has won, in words."""
        words = [clean(self.phase).replace("_", " ")] if self.phase else []
        if self.winner:
            words.append(f"player {self.winner} wins")
        elif self.phase == "game_over":
            words.append("no winner")
        elif self.current_player:
            words.append(f"player {self.current_player} to move")
        return ", ".join(words)

    def counters(self, seat: int) -> tuple[tuple[str, str], ...]:
        """Return `(name, value)` of the three counters of a seat, a dash where a counter was not given."""
        named = (("hand", self.hands), ("elim", self.eliminated), ("terr", self.territory))
        return tuple(
            (name, str(values[seat - 1]) if len(values) >= seat else "-") for name, values in named
        )
