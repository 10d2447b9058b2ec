"""Simple moves: reach, markers on the way, landing on a marker (rules.md 7)."""

from __future__ import annotations

import pytest

from .positions import (
    assert_board,
    field,
    legal,
    legal_starting,
    moves_to,
    play,
    position,
    segments,
)


def test_21_1_move_over_markers_landing_on_a_marker() -> None:
    pos = position("y=3: . 11 b a b . . .", phase="movement")
    assert legal(pos) == moves_to(
        "1,3", "3,3 4,3 5,3 6,3 7,3 1,1 1,0 1,5 1,6 1,7 3,1 4,0 3,5 4,6 5,7"
    )
    pos = play(pos, "M 1,3 4,3")
    assert_board(pos, stacks={"4,3": "1"}, markers={1: "1,3 2,3"}, collapsed={1: "3,3"})
    assert (pos.eliminated, pos.territory) == ((1, 0), (1, 0))
    assert pos.phase == "line_processing"


def test_reach_begins_at_the_height_and_stops_at_stacks_and_territory() -> None:
    """Height 3 in the corner: east a stack stands on 5,0, south 0,4 is collapsed."""
    pos = position("111 . . . . 2 . .\ny=4: B", phase="movement")
    assert legal(pos) == moves_to("0,0", "3,0 4,0 0,3 3,3 4,4 5,5 6,6 7,7") | segments(
        "C", "0,0", "5,0", "6,0 7,0"
    )


def test_a_collapsed_cell_right_beside_shuts_the_ray() -> None:
    pos = position("1 A .\na . .", phase="movement")
    assert legal_starting(pos, "M 0,0 1,0", "M 0,0 2,0") == set()
    assert legal_starting(pos, "M 0,0 0,") == moves_to("0,0", "0,1 0,2 0,3 0,4 0,5 0,6 0,7")


def test_own_stacks_only() -> None:
    """The top ring decides whose stack it is."""
    pos = position(stacks={"0,0": "21", "7,7": "12", "0,7": "2"}, phase="movement")
    assert {text.split()[1] for text in legal(pos)} == {"0,0"}
    other = position(stacks={"0,0": "21", "7,7": "12", "0,7": "2"}, phase="movement", cur=2)
    assert {text.split()[1] for text in legal(other)} == {"7,7", "0,7"}


@pytest.mark.parametrize("marker", ["a", "b"])
def test_a_lone_ring_dies_on_any_marker(marker: str) -> None:
    """7.2.3: the departure marker stays, the landing cell ends up empty."""
    pos = play(position(f"1 {marker} .", stacks={"7,7": "2"}, phase="movement"), "M 0,0 1,0")
    assert_board(pos, stacks={"7,7": "2"}, markers={1: "0,0"})
    assert (pos.eliminated, pos.territory) == ((1, 0), (0, 0))
    assert pos.phase == "line_processing"


def test_landing_on_an_own_marker_never_collapses_it() -> None:
    pos = play(position("11 . a .", phase="movement"), "M 0,0 2,0")
    assert_board(pos, stacks={"2,0": "1"}, markers={1: "0,0"})
    assert (pos.eliminated, pos.territory) == ((1, 0), (0, 0))


def test_losing_the_top_ring_passes_control_and_ends_the_movement() -> None:
    """A capture would exist from 2,0, but the stack there is player 2's now."""
    pos = play(position("21 . b 2 .", phase="movement"), "M 0,0 2,0")
    assert_board(pos, stacks={"2,0": "2", "3,0": "2"}, markers={1: "0,0"})
    assert (pos.phase, pos.eliminated) == ("line_processing", (1, 0))


def test_markers_of_every_opponent_flip_to_the_mover() -> None:
    pos = play(position("1 b c d a . .", players=4, phase="movement"), "M 0,0 5,0")
    assert_board(pos, stacks={"5,0": "1"}, markers={1: "0,0 1,0 2,0 3,0"}, collapsed={1: "4,0"})
    assert pos.territory == (1, 0, 0, 0)


def test_several_own_markers_collapse_in_one_move() -> None:
    pos = play(position("2 b b a b .", cur=2, phase="movement"), "M 0,0 5,0")
    assert_board(pos, stacks={"5,0": "2"}, markers={2: "0,0 3,0"}, collapsed={2: "1,0 2,0 4,0"})
    assert pos.territory == (0, 3)


def test_diagonal_markers() -> None:
    pos = play(
        position("y=4: . . . . 11\ny=3: . . . b\ny=2: . . a\ny=1: . b", phase="movement"),
        "M 4,4 1,1",
    )
    assert_board(pos, stacks={"1,1": "1"}, markers={1: "4,4 3,3"}, collapsed={1: "2,2"})
    assert pos.eliminated == (1, 0)


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
def test_hex_markers_flip_and_collapse(board: str) -> None:
    pos = position(
        board=board,
        phase="movement",
        stacks={"0,0,0": "12"},
        cur=2,
        markers={1: "1,0,-1", 2: "2,0,-2"},
    )
    pos = play(pos, "M 0,0,0 3,0,-3")
    assert_board(pos, stacks={"3,0,-3": "12"}, markers={2: "0,0,0 1,0,-1"}, collapsed={2: "2,0,-2"})
    assert pos.territory == (0, 1)


def test_hex_tall_stack_reach() -> None:
    """hex8, height 3 at 2,-4,2 on the rim: the six rays hold 2, 6, 6, 2, 0 and 0 cells."""
    pos = position(board="hex8", phase="movement", stacks={"2,-4,2": "111"})
    south, south_west = "2,-1,-1 2,0,-2 2,1,-3 2,2,-4", "-1,-1,2 -2,0,2 -3,1,2 -4,2,2"
    assert legal(pos) == moves_to("2,-4,2", f"{south} {south_west}")


def test_square19_long_slide_with_two_digit_cells() -> None:
    pos = position(board="square19", phase="movement", stacks={"0,9": "1"}, markers={2: "9,9 10,9"})
    pos = play(pos, "M 0,9 18,9")
    assert_board(pos, stacks={"18,9": "1"}, markers={1: "0,9 9,9 10,9"})
    assert field(pos, "M") == "0,9:1 9,9:1 10,9:1"


def test_no_movement_action_only_when_nothing_moves() -> None:
    """5: blocked on all sides by stacks with a higher cap, or with no stack at all."""
    assert legal(position("1 22\n22 22", phase="movement")) == {"NM"}
    assert legal(position("2 . a", phase="movement")) == {"NM"}
    assert "NM" not in legal(position("1 2\n22 22", phase="movement"))
    assert legal(position("1 2\n22 22", phase="movement")) == segments(
        "C", "0,0", "1,0", "2,0 3,0 4,0 5,0 6,0 7,0"
    )


def test_a_must_move_cell_is_the_only_source() -> None:
    """5: other stacks stay where they are, even if the placed one is blocked (artificial)."""
    stacks = {"0,0": "1", "1,0": "22", "0,1": "22", "1,1": "22", "6,6": "1"}
    assert legal(position(stacks=stacks, phase="movement", only="0,0")) == {"NM"}
    assert {
        text.split()[1] for text in legal(position(stacks=stacks, phase="movement", only="6,6"))
    } == {"6,6"}
