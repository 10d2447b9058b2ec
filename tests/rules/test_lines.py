"""Lines: detection, options, debt and payment (rules.md 9)."""

from __future__ import annotations

from typing import Any

import pytest

from .positions import assert_board, field, joined, legal, legal_starting, play, position

# configuration, its options, needed length L, shortest run that is a line (table of 9.1)
DETECTION = [
    ("square8", 2, {}, 4, 4), ("square8", 3, {}, 3, 3), ("square8", 4, {}, 3, 3),
    ("square19", 2, {}, 4, 4), ("square19", 3, {}, 4, 4), ("square19", 4, {}, 4, 4),
    ("hexagonal", 2, {}, 4, 4), ("hexagonal", 3, {}, 4, 4), ("hexagonal", 4, {}, 4, 4),
    ("hex8", 2, {}, 4, 4), ("hex8", 2, {"base_line_length": 4}, 4, 4),
    ("hex8", 3, {}, 3, 3), ("hex8", 4, {}, 3, 3),
    ("hex8", 3, {"base_line_length": 4}, 3, 4), ("hex8", 4, {"base_line_length": 4}, 3, 4),
]  # fmt: skip


def options_of(run: list[str], needed: int) -> set[str]:
    """All option moves of an overlength line given in axis order."""
    windows = [run[i : i + needed] for i in range(len(run) - needed + 1)]
    return {f"O {joined(run)} *"} | {f"O {joined(run)} {joined(window)}" for window in windows}


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(("board", "players", "options", "needed", "shortest"), DETECTION)
def test_detection_and_options_per_configuration(
    board: str, players: int, options: dict[str, Any], needed: int, shortest: int, length: int
) -> None:
    """9.1 and 9.3: nothing, exactly one `L`, or all options of an overlength line."""
    run = [f"{x},3" if board.startswith("square") else f"{x - 4},0,{4 - x}" for x in range(length)]
    home = "7,7" if board.startswith("square") else "0,4,-4"
    pos = position(
        board=board, players=players, options=options, phase="line_processing",
        stacks={home: "1"}, markers={1: " ".join(run)},
    )  # fmt: skip
    if length < shortest:
        assert legal(pos) == {"NL"}
    elif length == needed:
        assert legal(pos) == {f"L {joined(run)}"}
    else:
        assert legal(pos) == options_of(run, needed)
        assert len(legal(pos)) == length - needed + 2


@pytest.mark.parametrize(
    "cells",
    ["2,1 3,1 4,1 5,1", "2,1 2,2 2,3 2,4", "2,1 3,2 4,3 5,4", "2,5 3,4 4,3 5,2", "0,3 1,2 2,1 3,0"],
)
def test_square_axes(cells: str) -> None:
    pos = position(phase="line_processing", stacks={"7,7": "1"}, markers={1: cells})
    assert legal(pos) == {f"L {cells.replace(' ', '|')}"}


@pytest.mark.parametrize(
    ("cells", "is_line"),
    [
        ("-1,0,1 0,0,0 1,0,-1 2,0,-2", True),
        ("-1,1,0 0,0,0 1,-1,0 2,-2,0", True),
        ("0,-2,2 0,-1,1 0,0,0 0,1,-1", True),
        ("-2,-2,4 -1,-1,2 0,0,0 1,1,-2", False),  # (1,1,-2) is no axis
        ("-4,2,2 -2,1,1 0,0,0 2,-1,-1", False),
    ],
)
def test_hex_axes(cells: str, is_line: bool) -> None:
    pos = position(
        board="hex8", phase="line_processing", stacks={"4,0,-4": "1"}, markers={1: cells}
    )
    assert legal(pos) == ({f"L {cells.replace(' ', '|')}"} if is_line else {"NL"})


def test_cells_are_ordered_as_numbers() -> None:
    pos = position(
        board="square19",
        phase="line_processing",
        stacks={"0,0": "1"},
        markers={1: "11,2 10,2 9,2 8,2"},
    )
    assert legal(pos) == {"L 8,2|9,2|10,2|11,2"}
    cells = "-2,-9,11 -2,-10,12 -2,-8,10 -2,-7,9"
    pos = position(
        board="hexagonal", phase="line_processing", stacks={"0,0,0": "1"}, markers={1: cells}
    )
    assert legal(pos) == {"L -2,-10,12|-2,-9,11|-2,-8,10|-2,-7,9"}


@pytest.mark.parametrize("gap", ["b", "A", "B", "1", "."])
def test_anything_else_breaks_a_run(gap: str) -> None:
    pos = position(f"a a a {gap} a a a", phase="line_processing", stacks={"7,7": "1"})
    assert legal(pos) == {"NL"}


def test_runs_do_not_wrap_around_the_edge() -> None:
    markers = {1: "5,0 6,0 7,0 0,1 1,1 2,1"}
    assert legal(position(phase="line_processing", stacks={"7,7": "1"}, markers=markers)) == {"NL"}


def test_only_the_movers_lines_are_processed() -> None:
    pos = position("a a a a\ny=3: b b b b", phase="line_processing", stacks={"7,7": "1"})
    assert legal(pos) == {"L 0,0|1,0|2,0|3,0"}
    pos = position("a a a a\ny=3: b b b b b", phase="line_processing", cur=2, stacks={"7,7": "1"})
    assert legal(pos) == options_of(["0,3", "1,3", "2,3", "3,3", "4,3"], 4)


CROSS = "y=0: . . a .\ny=1: . . a .\ny=2: a a a a\ny=3: . . a .\ny=4: . . a ."
COLUMN = ["2,0", "2,1", "2,2", "2,3", "2,4"]


def test_21_5_crossing_lines() -> None:
    pos = position(CROSS, phase="line_processing", stacks={"7,7": "11"})
    assert legal(pos) == {"L 0,2|1,2|2,2|3,2"} | options_of(COLUMN, 4)


def test_21_5_the_row_owes_a_ring_and_then_nl() -> None:
    pos = position(CROSS, phase="line_processing", stacks={"7,7": "11"})
    pos = play(pos, "L 0,2|1,2|2,2|3,2")
    assert_board(
        pos, stacks={"7,7": "11"}, markers={1: "2,0 2,1 2,3 2,4"}, collapsed={1: "0,2 1,2 2,2 3,2"}
    )
    assert (pos.territory, field(pos, "pend")) == ((4, 0), "line")
    assert legal(pos) == {"E line 7,7"}
    pos = play(pos, "E line 7,7")
    assert (pos.eliminated, pos.stacks["7,7"], field(pos, "pend")) == ((1, 0), "1", "-")
    assert (pos.phase, legal(pos)) == ("line_processing", {"NL"})


def test_21_5_a_window_owes_nothing_and_goes_straight_to_territory() -> None:
    pos = position(CROSS, phase="line_processing", stacks={"7,7": "11"})
    pos = play(pos, "O 2,0|2,1|2,2|2,3|2,4 2,0|2,1|2,2|2,3")
    assert_board(
        pos, stacks={"7,7": "11"}, markers={1: "0,2 1,2 3,2 2,4"}, collapsed={1: "2,0 2,1 2,2 2,3"}
    )
    assert (pos.phase, field(pos, "pend"), pos.eliminated) == ("territory_processing", "-", (0, 0))
    assert "T 0,0|0,1|1,0|1,1" in legal(pos)


def test_collapsing_all_of_an_overlength_line_owes_a_ring() -> None:
    pos = position(CROSS, phase="line_processing", stacks={"7,7": "11"})
    pos = play(pos, "O 2,0|2,1|2,2|2,3|2,4 *")
    assert (pos.territory, field(pos, "pend"), legal(pos)) == ((5, 0), "line", {"E line 7,7"})


def test_two_exact_lines_are_paid_one_by_one() -> None:
    """While a ring is owed nothing but the payment is offered (A-07)."""
    pos = position(
        "a a a a\n.\na a a a", phase="line_processing", stacks={"7,7": "1", "6,7": "1", "0,7": "12"}
    )
    first, second = "L 0,0|1,0|2,0|3,0", "L 0,2|1,2|2,2|3,2"
    assert legal(pos) == {first, second}
    pos = play(pos, second)
    assert legal(pos) == {"E line 7,7", "E line 6,7"}
    pos = play(pos, "E line 6,7")
    assert (pos.phase, legal(pos)) == ("line_processing", {first})
    assert "6,7" not in pos.stacks
    pos = play(pos, f"{first}; E line 7,7")
    assert (pos.eliminated, legal(pos)) == ((2, 0), {"NL"})


def test_the_last_own_stack_may_be_spent_and_the_next_line_is_free() -> None:
    """9.4.2: the second collapse finds no controlled stack, so its payment is waived: no `E`, no `NL`."""
    pos = position("a a a a\n.\na a a a", phase="line_processing", stacks={"7,7": "1", "0,7": "12"})
    pos = play(pos, "L 0,0|1,0|2,0|3,0; E line 7,7")
    assert legal(pos) == {"L 0,2|1,2|2,2|3,2"}
    pos = play(pos, "L 0,2|1,2|2,2|3,2")
    assert (pos.phase, pos.territory, pos.eliminated) == ("territory_processing", (8, 0), (1, 0))


def test_waived_payment_with_a_line_left_stays_in_line_processing() -> None:
    pos = position("a a a a\n.\na a a a a", phase="line_processing", stacks={"0,7": "12"})
    pos = play(pos, "L 0,0|1,0|2,0|3,0")
    assert (pos.phase, field(pos, "pend")) == ("line_processing", "-")
    assert legal(pos) == options_of(["0,2", "1,2", "2,2", "3,2", "4,2"], 4)
    assert play(pos, "O 0,2|1,2|2,2|3,2|4,2 *").phase == "territory_processing"


def test_a_window_may_leave_a_line_behind() -> None:
    """Eight in a row, four taken from the left: the other four are an exact line, without debt before it."""
    run = [f"{x},0" for x in range(8)]
    pos = position("a a a a a a a a", phase="line_processing", stacks={"7,7": "1"})
    assert legal(pos) == options_of(run, 4)
    pos = play(pos, f"O {'|'.join(run)} {'|'.join(run[:4])}")
    assert (pos.phase, field(pos, "pend"), legal(pos)) == (
        "line_processing",
        "-",
        {"L 4,0|5,0|6,0|7,0"},
    )
    middle = position("a a a a a a a a", phase="line_processing", stacks={"7,7": "1"})
    middle = play(middle, f"O {'|'.join(run)} {'|'.join(run[2:6])}")
    assert middle.phase == "territory_processing"


def test_payment_takes_the_top_ring_of_any_height_and_may_pass_control() -> None:
    stacks = {"7,7": "21", "6,7": "2211", "5,7": "1", "4,7": "12"}
    pos = play(position("a a a a", phase="line_processing", stacks=stacks), "L 0,0|1,0|2,0|3,0")
    assert legal(pos) == {"E line 7,7", "E line 6,7", "E line 5,7"}
    assert play(pos, "E line 7,7").stacks["7,7"] == "2"
    assert play(pos, "E line 6,7").stacks["6,7"] == "221"
    assert "5,7" not in play(pos, "E line 5,7").stacks
    for cell in ("7,7", "6,7", "5,7"):
        assert play(pos, f"E line {cell}").eliminated == (1, 0)


def test_a_line_and_its_axis_crossing_at_one_cell_are_two_lines() -> None:
    """Taking either breaks the other: 3 + 1 markers remain of it."""
    pos = position("a a a a\na\na\na", phase="line_processing", stacks={"7,7": "1"})
    assert legal(pos) == {"L 0,0|1,0|2,0|3,0", "L 0,0|0,1|0,2|0,3"}
    pos = play(pos, "L 0,0|0,1|0,2|0,3; E line 7,7")
    assert (pos.markers, legal(pos)) == ({"1,0": 1, "2,0": 1, "3,0": 1}, {"NL"})


def test_hex8_stock_four_markers_are_overlength_for_three_players() -> None:
    """A-08 with D = 4: a run of 4 offers all or two windows of 3, never `L`."""
    run = ["-1,0,1", "0,0,0", "1,0,-1", "2,0,-2"]
    fields = {"phase": "line_processing", "stacks": {"4,0,-4": "11"}, "markers": {1: " ".join(run)}}
    stock = position(board="hex8", players=3, options={"base_line_length": 4}, **fields)
    assert legal(stock) == options_of(run, 3)
    after = play(stock, "O -1,0,1|0,0,0|1,0,-1|2,0,-2 0,0,0|1,0,-1|2,0,-2")
    assert (after.markers, after.phase) == ({"-1,0,1": 1}, "territory_processing")
    assert legal(play(stock, "O -1,0,1|0,0,0|1,0,-1|2,0,-2 *")) == {"E line 4,0,-4"}
    default = position(board="hex8", players=3, **fields)
    assert legal(default) == legal(stock)


def test_square8_three_players_take_three() -> None:
    pos = position(
        "a a a\ny=3: b b b\ny=5: c c c c",
        players=3,
        cur=3,
        phase="line_processing",
        stacks={"7,7": "3"},
    )
    assert legal(pos) == options_of(["0,5", "1,5", "2,5", "3,5"], 3)


def test_a_line_made_by_moving_is_found_on_all_flipped_cells() -> None:
    """Departure marker, two flips and an old marker behind: four in a row."""
    pos = play(position("y=2: a 1 b b .", phase="movement", stacks={"7,7": "2"}), "M 1,2 4,2")
    assert legal(pos) == {"L 0,2|1,2|2,2|3,2"}


def test_no_line_action_is_refused_while_a_line_exists() -> None:
    pos = position("a a a a", phase="line_processing", stacks={"7,7": "1"})
    assert legal_starting(pos, "N") == set()
