"""A drawing refuses what is not on its board, naming the field and the value."""

import dataclasses

import pytest

from ringrift.rules.draw import BOARDS, Drawing, DrawingError
from ringrift.rules.draw_model import board_cells, cell_key, clean

CELLS = {"square8": 64, "square19": 361, "hex8": 61, "hexagonal": 469}


@pytest.mark.parametrize("board", BOARDS)
def test_boards_have_the_cells_of_the_rules(board):
    cells = board_cells(board)
    assert len(cells) == len(set(cells)) == CELLS[board]
    assert cells == sorted(cells, key=lambda xy: (xy[1], xy[0]))


def test_hexagonal_keys_sum_to_zero():
    keys = [cell_key("hex8", x, y) for x, y in board_cells("hex8")]
    cubes = [tuple(map(int, key.split(","))) for key in keys]
    assert all(sum(cube) == 0 and max(map(abs, cube)) <= 4 for cube in cubes)
    assert "-0" not in ",".join(keys).split(",")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"board": "square9"}, "board: 'square9' is unknown; one of square8"),
        ({"board": "square8", "stacks": {"8,0": "1"}}, "stacks: '8,0' is not a cell of square8"),
        ({"board": "square8", "stacks": {"0,0,0": "1"}}, "stacks: '0,0,0'"),
        ({"board": "square8", "stacks": {"01,0": "1"}}, "stacks: '01,0'"),
        ({"board": "hex8", "markers": {"0,0": 1}}, "markers: '0,0' is not a cell of hex8"),
        ({"board": "hex8", "collapsed": {"4,1,-5": 1}}, "collapsed: '4,1,-5'"),
        ({"board": "hex8", "last_move": ("x",)}, "last_move: 'x'"),
        ({"board": "hex8", "targets": ("1,1,1",)}, "targets: '1,1,1'"),
        ({"board": "square8", "stacks": {"0,0": ""}}, "stacks: '' at 0,0"),
        ({"board": "square8", "stacks": {"0,0": "125"}}, "stacks: '125' at 0,0"),
        ({"board": "square8", "stacks": {"0,0": '1"/>'}}, "at 0,0"),
        ({"board": "square8", "markers": {"0,0": 0}}, "markers: owner 0 at 0,0"),
        ({"board": "square8", "collapsed": {"0,0": 5}}, "collapsed: owner 5 at 0,0"),
        (
            {"board": "square8", "stacks": {"0,0": "1"}, "markers": {"0,0": 1}},
            "0,0 holds two of stack, marker and collapsed cell",
        ),
        (
            {"board": "square8", "collapsed": {"0,0": 1}, "markers": {"0,0": 1}},
            "0,0 holds two of stack, marker and collapsed cell",
        ),
        ({"board": "square8", "current_player": 5}, "current_player: 5"),
        ({"board": "square8", "winner": -1}, "winner: -1"),
        ({"board": "square8", "hands": (1, 2, 3, 4, 5)}, "more than 4 seats"),
    ],
)
def test_what_is_not_on_the_board_is_refused(fields, named):
    with pytest.raises(DrawingError) as caught:
        Drawing(**fields)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_seats_are_as_many_as_anything_needs():
    assert Drawing(board="square8").seats == 2
    assert Drawing(board="square8", hands=(1, 1, 1)).seats == 3
    assert Drawing(board="square8", stacks={"0,0": "141"}).seats == 4
    assert Drawing(board="square8", collapsed={"0,0": 3}).seats == 3
    assert Drawing(board="square8", current_player=4).seats == 4


@pytest.mark.parametrize(
    ("fields", "headline"),
    [
        ({}, ""),
        ({"phase": "ring_placement", "current_player": 2}, "ring placement, player 2 to move"),
        ({"phase": "game_over", "winner": 1}, "game over, player 1 wins"),
        ({"phase": "game_over", "winner": None}, "game over, no winner"),
        ({"phase": "game_over", "winner": 0, "current_player": 1}, "game over, no winner"),
    ],
)
def test_headline(fields, headline):
    assert Drawing(board="hex8", **fields).headline == headline


def test_counters_that_were_not_given_are_dashes():
    d = Drawing(board="hex8", hands=(3, 4), territory=(7,))
    assert d.counters(1) == (("hand", "3"), ("elim", "-"), ("terr", "7"))
    assert d.counters(2) == (("hand", "4"), ("elim", "-"), ("terr", "-"))


def test_a_drawing_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Drawing(board="hex8").board = "square8"


def test_clean_leaves_nothing_that_a_terminal_or_parser_acts_on():
    assert clean("a\x1b[31mb\x00\u202ec\ud800\nd é") == "a\ufffd[31mb\ufffd\ufffdc\ufffd d é"
