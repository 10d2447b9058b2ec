"""A drawing as monospace text, in the notation of the diagrams of `rules.md 21`.

Stacks are digits from bottom to top, `a b c d` markers, `A B C D` collapsed cells, `.` empty cells. `[ ]` brackets what
the last move touched, `( )` a legal target, `< >` both. A hexagonal board is indented half a cell a row: `y` names the
rows, `z` the diagonals that end on the upper edges, `x` those that end on the lower edges.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringrift.rules.draw_model import BOARDS, HEX_BOARDS, Drawing, board_cells, cell_key, clean

_LONGEST = {"square8": 8, "hex8": 8, "square19": 4, "hexagonal": 4}
"""Stacks of more rings than this are written below the board, so that one of them does not widen every column."""
_NOTES_PER_LINE = 4
_LEGEND = ". empty   12 stack bottom->top   a-d marker   A-D collapsed   [ ] last move   ( ) target   < > both"
_BRACKETS = {
    (False, False): (" ", " "),
    (True, False): ("[", "]"),
    (False, True): ("(", ")"),
    (True, True): ("<", ">"),
}

_RESET, _DIM, _BOLD = "\033[0m", "\033[2m", "\033[1m"
_SEAT_SGR = ("", "\033[38;5;33m", "\033[38;5;214m", "\033[38;5;160m", "\033[38;5;80m")
_SEAT_OF = {
    sign: seat for seat in range(1, 5) for sign in (str(seat), " abcd"[seat], " ABCD"[seat])
}


def text(d: Drawing, *, color: bool = False) -> str:
    """Draw a position as aligned text, ending in a newline; ANSI colours only with `color`."""
    notes = _footnotes(d)
    cells = {xy: _cell(d, cell_key(d.board, *xy), notes) for xy in board_cells(d.board)}
    lines = [_paint(line, _BOLD, color) for line in (clean(d.title), d.headline) if line]
    lines += [""] if lines else []
    lines += (_hexagon_lines if d.board in HEX_BOARDS else _square_lines)(
        BOARDS[d.board], cells, color
    )
    lines += _note_lines(d, notes)
    lines += ["", *(_seat_line(d, seat, color) for seat in range(1, d.seats + 1))]
    lines += [_paint(_LEGEND, _DIM, color)]
    return "".join(line.rstrip() + "\n" for line in lines)


def _square_lines(size: int, cells: dict[tuple[int, int], str], color: bool) -> list[str]:
    width = max(len(f" {size - 1} "), *map(len, cells.values()))
    gutter = len(f"y={size - 1}:")
    lines = [
        _paint("x=".rjust(gutter) + "".join(f" {x}".ljust(width) for x in range(size)), _DIM, color)
    ]
    for y in range(size):
        row = "".join(_padded(cells[x, y], width, color) for x in range(size))
        lines.append(_paint(f"y={y}:".rjust(gutter), _DIM, color) + row)
    return lines


def _hexagon_lines(radius: int, cells: dict[tuple[int, int], str], color: bool) -> list[str]:
    width = max(len(f" {-radius}"), *map(len, cells.values()))
    width += width % 2  # so that half a cell is whole columns
    gutter = len(f"y={-radius}:")

    def margin(name: str, y: int) -> str:
        return _paint(name.rjust(gutter), _DIM, color) + " " * (width // 2 * abs(y))

    def rim(axis: str, values: Iterable[int]) -> str:
        """Name the diagonals whose last cell lies on the top or bottom row, one half step beyond it."""
        before = " " * (gutter + width // 2 * (radius + 1) - len(axis)) + axis
        return _paint(before + "".join(f" {value}".ljust(width) for value in values), _DIM, color)

    lines = [rim("z=", range(radius, -1, -1))]
    for y in range(-radius, radius + 1):
        row = [cells[x, y] for x in range(-radius, radius + 1) if (x, y) in cells]
        # The cell slot just right of a row belongs to the diagonal that ends there: z above the middle, x below it.
        end = f" {-radius - y - 1}" if y < 0 else f" {radius - y + 1}" if y > 0 else ""
        body = "".join(_padded(cell, width, color) for cell in row)
        lines.append(margin(f"y={y}:", y) + body + _paint(end, _DIM, color))
    return [*lines, rim("x=", range(-radius, 1))]


def _footnotes(d: Drawing) -> dict[str, str]:
    keys = (cell_key(d.board, x, y) for x, y in board_cells(d.board))
    tall = (key for key in keys if len(d.stacks.get(key, "")) > _LONGEST[d.board])
    return {key: f"#{number}" for number, key in enumerate(tall, start=1)}


def _note_lines(d: Drawing, notes: dict[str, str]) -> list[str]:
    written = [f"{note} = {d.stacks[key]} at {key}" for key, note in notes.items()]
    width = max(map(len, written), default=0) + 3
    starts = range(0, len(written), _NOTES_PER_LINE)
    return [""] * bool(written) + [
        "".join(note.ljust(width) for note in written[start : start + _NOTES_PER_LINE])
        for start in starts
    ]


def _cell(d: Drawing, key: str, notes: dict[str, str]) -> str:
    if key in d.stacks:
        content = notes.get(key, d.stacks[key])
    elif key in d.markers:
        content = " abcd"[d.markers[key]]
    elif key in d.collapsed:
        content = " ABCD"[d.collapsed[key]]
    else:
        content = "."
    before, after = _BRACKETS[key in d.last_move, key in d.targets]
    return before + content + after


def _padded(cell: str, width: int, color: bool) -> str:
    padding = " " * (width - len(cell))
    if not color or cell[1] == "#":  # the digits of a footnote are not rings
        return cell + padding
    return "".join(_paint(sign, _SEAT_SGR[_SEAT_OF.get(sign, 0)], color) for sign in cell) + padding


def _seat_line(d: Drawing, seat: int, color: bool) -> str:
    sign = "*" if seat == d.winner else ">" if seat == d.current_player and not d.winner else " "
    counters = "   ".join(f"{name} {value:>3}" for name, value in d.counters(seat))
    return f"{sign} {_paint(f'P{seat}', _SEAT_SGR[seat], color)}   {counters}"


def _paint(line: str, sgr: str, color: bool) -> str:
    return f"{sgr}{line}{_RESET}" if color and sgr and line.strip() else line
