"""The text drawing: golden files of every board, read back cell by cell, harmless to a terminal."""

import itertools
import re
from pathlib import Path

import pytest

from ringrift.rules.draw import BOARDS, Drawing, text
from ringrift.rules.draw_model import HEX_BOARDS, board_cells, cell_key

from .drawings import ALL_BOARDS, crowded

GOLDEN = Path(__file__).parent / "golden"
SGR = re.compile(r"\033\[[0-9;]*m")


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_golden(board):
    """Remake the files with `python -m tests.rules_draw.make_golden` and read the difference."""
    wanted = (GOLDEN / f"{board}.txt").read_text(encoding="utf-8")
    assert text(crowded(board)) == wanted


def test_diagram_of_the_rules():
    """rules.md 21.6, with the border of its region as legal targets."""
    rows = [
        "2a......",
        "aa......",
        "..b.....",
        "...a....",
        "........",
        ".....a..",
        "........",
        ".......1",
    ]
    cells = {f"{x},{y}": sign for y, row in enumerate(rows) for x, sign in enumerate(row)}
    d = Drawing(
        board="square8",
        stacks={key: sign for key, sign in cells.items() if sign in "12"},
        markers={key: "ab".index(sign) + 1 for key, sign in cells.items() if sign in "ab"},
        targets=("0,0",),
        hands=(0, 0),
    )
    assert text(d).split("\n\n")[0] == (
        "  x= 0  1  2  3  4  5  6  7\n"
        "y=0:(2) a  .  .  .  .  .  .\n"
        "y=1: a  a  .  .  .  .  .  .\n"
        "y=2: .  .  b  .  .  .  .  .\n"
        "y=3: .  .  .  a  .  .  .  .\n"
        "y=4: .  .  .  .  .  .  .  .\n"
        "y=5: .  .  .  .  .  a  .  .\n"
        "y=6: .  .  .  .  .  .  .  .\n"
        "y=7: .  .  .  .  .  .  .  1"
    )


def rows_of(drawn):
    """Text right of `y=N:` by row number, with the column it starts in."""
    found = re.finditer(r"^ *y=(-?\d+):(.*)$", drawn, re.MULTILINE)
    return {int(row[1]): (row.start(2) - row.start(), row[2]) for row in found}


def read_back(board, drawn):
    """Contents of all cells as the text shows them, footnotes resolved."""
    notes = dict(re.findall(r"(#\d+) = (\d+) at", drawn))
    cells = {}
    for y, (_, row) in rows_of(drawn).items():
        tokens = re.findall(r"#\d+|\d+|[a-dA-D.]|-\d+", row)
        xs = [x for x, cell_y in board_cells(board) if cell_y == y]
        for x, token in zip(xs, tokens, strict=False):
            cells[cell_key(board, x, y)] = notes.get(token, token)
    return cells


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_every_cell_can_be_read_back(board):
    d = crowded(board)
    wanted = {cell_key(board, x, y): "." for x, y in board_cells(board)}
    wanted |= d.stacks
    wanted |= {key: "abcd"[owner - 1] for key, owner in d.markers.items()}
    wanted |= {key: "ABCD"[owner - 1] for key, owner in d.collapsed.items()}
    assert read_back(board, text(d)) == wanted


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_cells_stand_under_each_other(board):
    """A square column is one text column; a hexagonal diagonal shifts half a cell a row."""
    size = BOARDS[board]
    hexagonal = board in HEX_BOARDS
    x = 0 if hexagonal else size // 2
    keys = [cell_key(board, x, y) for cx, y in board_cells(board) if cx == x]
    drawn = text(Drawing(board=board, markers=dict.fromkeys(keys, 4), stacks={}))
    columns = [start + row.index("d") for start, row in rows_of(drawn).values()]
    assert len(columns) == (2 * size + 1 if hexagonal else size)
    steps = {b - a for a, b in itertools.pairwise(columns)}
    assert len(steps) == 1
    assert steps == {0} if not hexagonal else steps.pop() > 0


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
def test_the_ends_of_the_diagonals_are_named(board):
    """The number right of a row is the x or z of the diagonal that ends there."""
    radius = BOARDS[board]
    for y, (_, row) in rows_of(text(Drawing(board=board))).items():
        after = row.rsplit(".", 1)[1].strip()
        if y == 0:
            assert after == ""
            continue
        key = f"{radius},{y + 1}" if y < 0 else f"{radius - y + 1},{y - 1}"
        x, cell_y = map(int, key.split(","))
        assert (x, cell_y) in board_cells(board)
        assert int(after) == (-x - cell_y if y < 0 else x)


def test_brackets_show_last_move_and_targets():
    d = Drawing(
        board="square8",
        stacks={"1,0": "12", "2,0": "2"},
        last_move=("0,0", "1,0"),
        targets=("1,0", "2,0"),
    )
    assert rows_of(text(d))[0][1] == "[.] <12>(2)  .   .   .   .   ."


def test_status_lines():
    drawn = text(Drawing(board="hex8", hands=(5, 12), phase="movement", current_player=2))
    lines = drawn.splitlines()
    assert lines[0] == "movement, player 2 to move"
    assert lines[-3:-1] == [
        "  P1   hand   5   elim   -   terr   -",
        "> P2   hand  12   elim   -   terr   -",
    ]
    over = text(Drawing(board="hex8", phase="game_over", winner=1, current_player=2)).splitlines()
    assert over[0] == "game over, player 1 wins"
    assert over[-3].startswith("* P1")
    assert over[-2].startswith("  P2")


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_colour_is_added_only_when_asked_for_and_changes_no_sign(board):
    d = crowded(board)
    plain, colored = text(d), text(d, color=True)
    assert "\033" not in plain
    assert plain.isascii()
    assert "\033[" in colored
    stripped = [line.rstrip() for line in SGR.sub("", colored).splitlines()]
    assert stripped == plain.splitlines()
    opened, closed = len(SGR.findall(colored)), colored.count("\033[0m")
    assert opened == 2 * closed


def test_no_line_ends_in_blanks():
    for board in ALL_BOARDS:
        drawn = text(crowded(board))
        assert drawn.endswith("\n")
        assert [line for line in drawn.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize(
    "title", ["\033[2J\033]0;owned\007", "a\rb\nc", "\x9b31m", "\u202etxt", "\ud800"]
)
def test_hostile_titles_cannot_steer_a_terminal(title):
    drawn = text(Drawing(board="square8", title=title, phase=title))
    assert all(sign == "\n" or sign.isprintable() for sign in drawn)
    assert len(drawn.splitlines()) == len(
        text(Drawing(board="square8", title="x", phase="y")).splitlines()
    )
    drawn.encode("utf-8")
