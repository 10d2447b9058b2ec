"""Placement, skipping it, and what it obliges to (rules.md 6)."""

from __future__ import annotations

import pytest

from ringrift.rules import Position

from .positions import assert_board, cells_of, field, legal, legal_starting, play, position


def sizes(pos: Position, cell: str) -> set[int]:
    return {int(text.split()[2]) for text in legal_starting(pos, f"P {cell} ")}


def test_21_4_no_dead_placement_and_one_ring_gate() -> None:
    """Two or three rings at 0,0 could capture `22`, one cannot: the cell is not offered at all."""
    pos = position(". 22 . .\nB B", hand=(3, 0))
    free = [c for c in cells_of("square8") if c not in ("0,0", "1,0", "0,1", "1,1")]
    assert legal(pos) == {"P 1,0 1"} | {f"P {cell} {k}" for cell in free for k in (1, 2, 3)}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (". 2 .", {1, 2, 3}),  # every size can capture `2` and land far enough
        (". 2 B", set()),  # nowhere to land
        (". 2 . B", {1, 2}),  # landing 2,0 is too near for height 3
        (". 2 a B", {1, 2}),  # markers never obstruct
        (". . . B", {1, 2}),  # two steps, no more
        (". a b B", {1, 2}),
        (". . B", {1}),
        (". B", set()),
        (". 22 .", set()),  # one ring's cap is too low (the gate of 6.2.4)
        (". 2 2", set()),  # a second stack behind the target
    ],
)
def test_each_size_needs_its_own_move(row: str, expected: set[int]) -> None:
    """6.2.3: cell 0,0 is walled by collapsed cells except along row 0."""
    assert sizes(position(f"{row}\nB B", hand=(3, 0)), "0,0") == expected


def test_only_empty_cells_and_stacks_take_rings() -> None:
    pos = position("a b A B 1 2 . .", hand=(9, 9))
    for cell in ("0,0", "1,0", "2,0", "3,0"):
        assert sizes(pos, cell) == set()
    assert sizes(pos, "4,0") == sizes(pos, "5,0") == {1}
    assert sizes(pos, "6,0") == {1, 2, 3}


@pytest.mark.parametrize(
    ("hand", "expected"), [(1, {1}), (2, {1, 2}), (3, {1, 2, 3}), (18, {1, 2, 3})]
)
def test_hand_limits_the_size(hand: int, expected: set[int]) -> None:
    assert sizes(position(hand=(hand, 18)), "3,3") == expected


@pytest.mark.parametrize(("rings", "expected"), [(4, set()), (5, {1}), (6, {1, 2}), (7, {1, 2, 3})])
def test_own_colour_supply_limits_the_size(rings: int, expected: set[int]) -> None:
    """6.2: four rings of player 1 stand on the board at any depth, under any controller."""
    stacks = {"0,0": "11", "7,7": "12", "0,7": "2212"}
    pos = position(stacks=stacks, hand=(3, 0), options={"rings_per_player": rings})
    assert sizes(pos, "4,2") == expected
    assert "SP" in legal(pos)


def test_without_supply_skip_is_the_only_move() -> None:
    """6.3: no placement exists but a stack can move: `SP`, not `NP`."""
    pos = position(stacks={"0,0": "11"}, hand=(3, 0), options={"rings_per_player": 2})
    assert legal(pos) == {"SP"}


@pytest.mark.parametrize(
    ("stack", "cell", "expected"),
    [
        ("222", "3,3", {1}),  # height 4 has four steps east
        ("2222", "3,3", set()),  # height 5 has nowhere to go from the middle
        ("222222", "0,0", {1}),  # height 7 crosses the board
        ("2222222", "0,0", set()),
        ("1111", "3,3", set()),
    ],
)
def test_placing_on_a_tall_stack_counts_its_height(
    stack: str, cell: str, expected: set[int]
) -> None:
    assert sizes(position(stacks={cell: stack}, hand=(3, 3)), cell) == expected


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("21", {1}),  # cap 1 + 1 takes `22`
        ("2", set()),  # cap is 1, whatever lies below
        ("12", set()),
        ("1", {1}),
    ],
)
def test_cap_of_the_resulting_stack_decides_its_captures(stack: str, expected: set[int]) -> None:
    """6.2.3: the cap grows only if the mover controlled the stack already."""
    assert sizes(position(f"{stack} 22 . .\nB B", hand=(3, 0)), "0,0") == expected


def test_hex_corner_reach() -> None:
    """hex8's corner 4,-4,0 has rays of 8, 4 and 4 cells; the long one can be shut."""
    pos = position(board="hex8", stacks={"4,-4,0": "2222"}, hand=(3, 0))
    assert sizes(pos, "4,-4,0") == {1}
    shut = position(board="hex8", stacks={"4,-4,0": "2222"}, collapsed={2: "0,0,0"}, hand=(3, 0))
    assert sizes(shut, "4,-4,0") == set()


def test_placement_stays_on_a_crowded_square19_edge() -> None:
    """The far corner of square19 with one free diagonal step."""
    pos = position(board="square19", collapsed={2: "17,18 18,17 16,16"}, hand=(3, 0))
    assert sizes(pos, "18,18") == {1}


def test_skip_needs_rings_in_hand() -> None:
    assert "SP" in legal(position(stacks={"3,3": "1"}, hand=(1, 0)))
    assert legal(position(stacks={"3,3": "1"}, hand=(0, 1))) == {"NP"}


def test_skip_needs_a_stack_that_can_act() -> None:
    pos = position("1 22\n22 22", hand=(1, 0))
    assert "SP" not in legal(pos)
    assert legal_starting(pos, "P ")
    one_more = position("1 22\n22 22\n. . . 1", hand=(1, 0))
    assert "SP" in legal(one_more)


def test_a_stack_that_can_only_capture_can_act() -> None:
    assert "SP" in legal(position("1 2 .\nB B", hand=(1, 0)))
    assert "SP" not in legal(position("1 2 B\nB B", hand=(1, 0)))


def test_skip_towards_recovery() -> None:
    """6.3: without a controlled stack `SP` needs a marker and a buried ring."""
    assert "SP" in legal(position("a", stacks={"4,4": "12"}, hand=(2, 0)))
    assert "SP" not in legal(position("b", stacks={"4,4": "12"}, hand=(2, 0)))
    assert "SP" not in legal(position("a", stacks={"4,4": "2"}, hand=(2, 0)))
    assert legal_starting(position("a", stacks={"4,4": "12"}, hand=(2, 0)), "P ")


def test_skip_is_for_blocked_stacks_never_even_with_markers_and_buried_rings() -> None:
    """A controlled but blocked stack rules out the recovery way."""
    pos = position("1 22\n22 22\na", stacks={"4,4": "12"}, hand=(2, 0))
    assert "SP" not in legal(pos)


def test_no_placement_action_only_when_nothing_else() -> None:
    """6.4: rings in hand, no supply; a stack that can capture gives `SP`, a blocked one `NP`."""
    options = {"rings_per_player": 2}
    assert legal(position("11 22\n22 222", hand=(2, 0), options=options)) == {"SP"}
    assert legal(position("11 2222\n2222 2222", hand=(2, 0), options=options)) == {"NP"}


def test_effect_and_must_move() -> None:
    """6.5: the rings lie on top, the hand shrinks, and only that stack may act."""
    pos = play(position(stacks={"0,0": "1", "5,5": "22"}, hand=(5, 3)), "P 7,7 2")
    assert_board(pos, stacks={"0,0": "1", "5,5": "22", "7,7": "11"})
    assert pos.hands == (3, 3)
    assert (pos.phase, field(pos, "only"), field(pos, "act")) == ("movement", "7,7", "1")
    west, north = (f"M 7,7 {x},7" for x in range(6)), (f"M 7,7 7,{y}" for y in range(6))
    over = {f"C 7,7 5,5 {c},{c}" for c in (4, 3, 2, 1)}
    assert legal(pos) == {*west, *north, *over}


def test_placing_on_an_opponent_stack_takes_control() -> None:
    pos = play(position(stacks={"3,3": "22"}, hand=(1, 0)), "P 3,3 1")
    assert_board(pos, stacks={"3,3": "221"})
    assert pos.current_player == 1
    assert legal(pos) == legal_starting(pos, "M 3,3 ")


def test_after_skip_every_stack_may_move() -> None:
    pos = play(position(stacks={"0,0": "1", "7,0": "11"}, hand=(1, 0)), "SP")
    assert (pos.phase, field(pos, "only"), field(pos, "act")) == ("movement", "-", "0")
    assert {text.split()[1] for text in legal(pos)} == {"0,0", "7,0"}
