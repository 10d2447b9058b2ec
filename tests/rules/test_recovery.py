"""Recovery slides: who may, which slides, what they do (rules.md 12)."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.rules import Position

from .positions import assert_board, field, legal, legal_starting, moves_to, play, position


def recovery(diagram: str = "", **fields: Any) -> Position:
    return position(diagram, phase="movement", **fields)


def slides(pos: Position) -> set[str]:
    """The slides as `mode from to`."""
    return {" ".join(text.split()[1:4]) for text in legal_starting(pos, "R ")}


STACKS_21_10 = {"4,4": "12", "7,7": "112"}


def test_21_10_fallbacks_and_strikes() -> None:
    """1 + 14 + 2 moves."""
    pos = recovery(stacks=STACKS_21_10, markers={1: "3,3"})
    free = ["4,3", "3,4", "2,4", "2,3", "2,2", "3,2", "4,2"]
    expected = {"SR"}
    expected |= {f"R F 3,3 {to} 0 * {stack}" for to in free for stack in ("4,4", "7,7")}
    expected |= {f"R S 3,3 4,4 0 * {stack}" for stack in ("4,4", "7,7")}
    assert legal(pos) == expected
    assert len(expected) == 17


def test_21_10_fallback_effect() -> None:
    pos = play(recovery(stacks=STACKS_21_10, markers={1: "3,3"}), "R F 3,3 2,3 0 * 7,7")
    assert_board(pos, stacks={"4,4": "12", "7,7": "12"}, markers={1: "2,3"})
    assert (pos.eliminated, pos.territory, pos.phase) == ((1, 0), (0, 0), "line_processing")
    assert (field(pos, "act"), field(pos, "rec")) == ("1", "1")


def test_21_10_strike_extracts_a_ring_that_became_the_top() -> None:
    pos = play(recovery(stacks=STACKS_21_10, markers={1: "3,3"}), "R S 3,3 4,4 0 * 4,4")
    assert_board(pos, stacks={"7,7": "112"})
    assert pos.eliminated == (2, 0)


def test_21_10_strike_may_regain_control_and_keeps_the_recovery_context() -> None:
    """4,4 becomes player 1's `1` again, yet a region would be paid from buried rings."""
    pos = play(recovery(stacks=STACKS_21_10, markers={1: "3,3"}), "R S 3,3 4,4 0 * 7,7")
    assert_board(pos, stacks={"4,4": "1", "7,7": "12"})
    assert pos.eliminated == (2, 0)
    pos = play(pos, "NL")
    assert (pos.phase, field(pos, "rec"), legal(pos)) == ("territory_processing", "1", {"NT"})


def test_21_11_axis_trap() -> None:
    """4,4 -> 3,3 makes a row run of 3 (>= D, < L) and a column of 4: not legal; 2,3 -> 3,3 is."""
    pos = recovery(stacks={"7,7": "12"}, markers={1: "1,3 2,3 3,0 3,1 3,2 4,4"})
    assert slides(pos) == {"L 2,3 3,3"}
    assert legal(pos) == {"SR", "R L 2,3 3,3 1 * 7,7"}
    pos = play(pos, "R L 2,3 3,3 1 * 7,7")
    assert_board(pos, stacks={"7,7": "2"}, markers={1: "1,3 4,4"}, collapsed={1: "3,0 3,1 3,2 3,3"})
    assert (pos.eliminated, pos.territory) == ((1, 0), (4, 0))


MARKERS_21_12 = {1: "0,3 1,3 2,3 3,1 3,2 3,4 3,5 4,4"}


def test_21_12_options_are_of_the_longest_run() -> None:
    pos = recovery(stacks={"7,7": "12"}, markers=MARKERS_21_12)
    assert legal_starting(pos, "R L 4,4 3,3") == {
        "R L 4,4 3,3 1 * 7,7",
        "R L 4,4 3,3 2 3,1|3,2|3,3|3,4 -",
        "R L 4,4 3,3 2 3,2|3,3|3,4|3,5 -",
    }
    assert "L 2,3 3,3" in slides(pos)


@pytest.mark.parametrize(
    ("move", "stack", "credit"),
    [
        ("R L 4,4 3,3 1 * 7,7", "2", 1),
        ("R L 4,4 3,3 2 3,1|3,2|3,3|3,4 -", "12", 0),
        ("R L 4,4 3,3 2 3,2|3,3|3,4|3,5 -", "12", 0),
    ],
)
def test_21_12_the_first_axis_collapses(move: str, stack: str, credit: int) -> None:
    """The row (exactly L) goes whatever was chosen; option 2 pays nothing all the same."""
    pos = play(recovery(stacks={"7,7": "12"}, markers=MARKERS_21_12), move)
    assert_board(
        pos, stacks={"7,7": stack}, markers={1: "3,1 3,2 3,4 3,5"}, collapsed={1: "0,3 1,3 2,3 3,3"}
    )
    assert (pos.eliminated, pos.territory) == ((credit, 0), (4, 0))


def test_first_axis_overlength_collapses_the_window_of_the_longest() -> None:
    """12.4.3 to the letter: |F| > L and option 2 collapse exactly the chosen window, of another run."""
    markers = {1: "0,3 1,3 2,3 4,3 3,1 3,2 3,4 3,5 3,6 4,4"}
    pos = recovery(stacks={"7,7": "12"}, markers=markers)
    pos = play(pos, "R L 4,4 3,3 2 3,1|3,2|3,3|3,4 -")
    assert pos.collapsed == {"3,1": 1, "3,2": 1, "3,3": 1, "3,4": 1}
    assert set(pos.markers) == {"0,3", "1,3", "2,3", "4,3", "3,5", "3,6"}


def test_ties_of_length_go_to_the_first_axis_of_the_recovery_order() -> None:
    """Recovery looks at (0,1) before (1,1): windows of the column are offered."""
    markers = {1: "3,1 3,2 3,4 3,5 1,1 2,2 4,4 5,5 4,3"}
    pos = recovery(stacks={"7,0": "12"}, markers=markers)
    windows = {text.split()[5] for text in legal_starting(pos, "R L 4,3 3,3 2")}
    assert windows == {"3,1|3,2|3,3|3,4", "3,2|3,3|3,4|3,5"}


def test_windows_must_contain_the_destination() -> None:
    """A run of 6 with the destination second: windows 1-4 and 2-5, not 3-6."""
    run = [f"{x},3" for x in range(6)]
    pos = recovery(stacks={"7,7": "12"}, markers={1: "0,3 2,3 3,3 4,3 5,3 1,4"})
    assert legal_starting(pos, "R L 1,4 1,3") == {
        "R L 1,4 1,3 1 * 7,7",
        f"R L 1,4 1,3 2 {'|'.join(run[0:4])} -",
        f"R L 1,4 1,3 2 {'|'.join(run[1:5])} -",
    }
    part = play(pos, f"R L 1,4 1,3 2 {'|'.join(run[1:5])} -")
    assert (part.eliminated, part.territory) == ((0, 0), (4, 0))
    assert part.markers == {"0,3": 1, "5,3": 1}
    whole = play(pos, "R L 1,4 1,3 1 * 7,7")
    assert (whole.eliminated, whole.territory, whole.markers) == ((1, 0), (6, 0), {})


def test_line_targets_shut_off_fallback_and_strike_on_the_whole_board() -> None:
    """The marker 6,6 could slide and strike, but 3,4 -> 3,3 completes a line."""
    pos = recovery(stacks={"7,7": "12"}, markers={1: "0,3 1,3 2,3 3,4 6,6"})
    assert legal(pos) == {"SR", "R L 3,4 3,3 1 * 7,7"}


def test_line_slides_offer_every_extraction_stack() -> None:
    stacks = {"7,7": "12", "7,6": "2112", "7,5": "2", "7,4": "1112"}
    pos = recovery(stacks=stacks, markers={1: "0,3 1,3 2,3 3,4"})
    assert legal(pos) == {"SR"} | {f"R L 3,4 3,3 1 * {cell}" for cell in ("7,7", "7,6", "7,4")}
    pos = play(pos, "R L 3,4 3,3 1 * 7,6")
    assert pos.stacks["7,6"] == "212"


def test_square8_three_players_need_three() -> None:
    """The row through 2,3 and the diagonal through 0,2."""
    pos = recovery(players=3, cur=3, stacks={"7,7": "31"}, markers={3: "0,3 1,3 2,4", 1: "5,5"})
    assert legal(pos) == {"SR", "R L 2,4 2,3 1 * 7,7", "R L 0,3 0,2 1 * 7,7"}
    assert play(pos, "R L 2,4 2,3 1 * 7,7").territory == (0, 0, 3)


HEX_RUN = {"stacks": {"4,0,-4": "12"}, "markers": {1: "-1,0,1 0,0,0 1,1,-2"}}


def test_hex8_three_players_slide_to_three() -> None:
    """Default D = 3: 1,1,-2 -> 1,0,-1 completes three, and so do the slides to the other end."""
    pos = recovery(board="hex8", players=3, **HEX_RUN)
    assert "R L 1,1,-2 1,0,-1 1 * 4,0,-4" in legal(pos)
    pos = play(pos, "R L 1,1,-2 1,0,-1 1 * 4,0,-4")
    assert pos.territory == (3, 0, 0)


def test_hex8_stock_a_run_of_three_leaves_skip_recovery_alone() -> None:
    """12.4 with D = 4: three in a row are a line target that cannot be applied, and fallback is off."""
    pos = recovery(board="hex8", players=3, options={"base_line_length": 4}, **HEX_RUN)
    assert legal(pos) == {"SR"}


def test_hex8_stock_a_run_of_four_offers_windows_of_three() -> None:
    markers = {1: "-1,0,1 0,0,0 2,0,-2 1,1,-2"}
    options = {"base_line_length": 4}
    pos = recovery(
        board="hex8", players=3, options=options, stacks={"4,0,-4": "12"}, markers=markers
    )
    assert legal_starting(pos, "R L 1,1,-2 1,0,-1") == {
        "R L 1,1,-2 1,0,-1 1 * 4,0,-4",
        "R L 1,1,-2 1,0,-1 2 -1,0,1|0,0,0|1,0,-1 -",
        "R L 1,1,-2 1,0,-1 2 0,0,0|1,0,-1|2,0,-2 -",
    }


def test_hex_fallback_uses_six_steps() -> None:
    pos = recovery(board="hex8", stacks={"4,0,-4": "12"}, markers={1: "0,0,0"})
    near = "1,0,-1 1,-1,0 0,-1,1 -1,0,1 -1,1,0 0,1,-1"
    assert legal(pos) == {"SR"} | {f"R F 0,0,0 {to} 0 * 4,0,-4" for to in near.split()}


def test_markers_and_collapsed_cells_stop_a_slide() -> None:
    """The corner marker is shut in: nothing but `SR`, and never `NM`."""
    pos = recovery("a B\nb B", stacks={"4,4": "12"})
    assert legal(pos) == {"SR"}


def test_strike_on_any_stack_of_any_owner() -> None:
    """Targets 1,0 (player 2) and 1,1 (player 3, height 2); extraction from 7,7 only."""
    pos = recovery("a 2 B\nB 33", players=3, stacks={"7,7": "12"})
    assert legal(pos) == {"SR", "R S 0,0 1,0 0 * 7,7", "R S 0,0 1,1 0 * 7,7"}
    pos = play(pos, "R S 0,0 1,0 0 * 7,7")
    assert_board(pos, stacks={"1,1": "33", "7,7": "2"}, collapsed={2: "2,0 0,1"})
    assert pos.eliminated == (2, 0, 0)


@pytest.mark.parametrize(
    ("diagram", "stacks", "eligible"),
    [
        ("a", {"7,7": "12"}, True),
        ("a", {"7,7": "12", "6,7": "1"}, False),  # controls a stack
        ("b", {"7,7": "12"}, False),  # no own marker
        ("A", {"7,7": "12"}, False),  # a collapsed cell is no marker
        ("a", {"7,7": "2"}, False),  # nothing buried
        ("a", {"7,7": "21"}, False),  # controlled, and not buried
    ],
)
def test_eligibility(diagram: str, stacks: dict[str, str], eligible: bool) -> None:
    pos = recovery(diagram, stacks=stacks)
    assert ("SR" in legal(pos)) == eligible
    assert bool(legal_starting(pos, "R ")) == eligible


def test_a_player_with_rings_in_hand_reaches_recovery_by_skipping() -> None:
    pos = position("a", stacks={"7,7": "12"}, hand=(1, 0))
    assert {"SP", "P 4,4 1"} <= legal(pos)
    pos = play(pos, "SP")
    assert legal(pos) == {"SR"} | {f"R F 0,0 {to} 0 * 7,7" for to in ("1,0", "0,1", "1,1")}


def test_placing_instead_gives_up_recovery() -> None:
    pos = play(position("a", stacks={"7,7": "12"}, hand=(1, 0)), "P 4,4 1")
    assert {text.split()[0] for text in legal(pos)} == {"M"}


def test_skip_recovery_goes_on_without_an_action() -> None:
    pos = play(recovery("a", stacks={"7,7": "12"}), "SR")
    assert (pos.phase, field(pos, "act"), field(pos, "rec")) == ("line_processing", "0", "0")
    assert legal(pos) == {"NL"}


def test_a_second_line_after_the_slide_is_processed_with_its_payment_waived() -> None:
    """12.6: the column of 4 left over is found by section 9; player 1 controls nothing."""
    markers = {1: "0,3 1,3 2,3 3,4 5,0 5,1 5,2 5,3"}
    pos = play(recovery(stacks={"7,7": "12"}, markers=markers), "R L 3,4 3,3 1 * 7,7")
    assert legal(pos) == {"L 5,0|5,1|5,2|5,3"}
    pos = play(pos, "L 5,0|5,1|5,2|5,3")
    assert (pos.phase, pos.eliminated, pos.territory) == ("territory_processing", (1, 0), (8, 0))


def test_a_line_after_an_extraction_that_gave_control_back_is_paid() -> None:
    """The strike leaves `1` on 2,2; the line that lay there before is then paid by it, in context line."""
    markers = {1: "3,3 5,0 5,1 5,2 5,3"}
    pos = position(phase="movement", stacks={"2,2": "12", "7,7": "12"}, markers=markers)
    assert {text.split()[0] for text in slides(pos)} == {"F", "S"}
    pos = play(pos, "R S 3,3 2,2 0 * 7,7")
    assert legal(pos) == {"L 5,0|5,1|5,2|5,3"}
    pos = play(pos, "L 5,0|5,1|5,2|5,3")
    assert legal(pos) == {"E line 2,2"}
    pos = play(pos, "E line 2,2")
    assert (pos.stacks, pos.eliminated) == ({"7,7": "2"}, (3, 0))


def test_recovery_context_pays_for_regions_with_buried_rings() -> None:
    """Fence 1,0 0,1 closes as 0,2 slides to 0,1; then `T` and one buried ring."""
    pos = recovery("2 a\n. B\na", stacks={"7,7": "1122"})
    pos = play(pos, "R F 0,2 0,1 0 * 7,7; NL")
    assert "T 0,0" in legal(pos)
    pos = play(pos, "T 0,0")
    assert legal(pos) == {"E recovery 7,7"}
    pos = play(pos, "E recovery 7,7")
    assert (pos.stacks, pos.eliminated) == ({"7,7": "22"}, (3, 0))


def test_a_recovery_slide_counts_as_acting() -> None:
    """After it, `NT` ends the turn: no forced elimination though a stack was regained."""
    pos = play(recovery(stacks=STACKS_21_10, markers={1: "3,3"}), "R S 3,3 4,4 0 * 7,7; NL; NT")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)


def test_controlled_stacks_move_and_never_slide() -> None:
    pos = recovery("a", stacks={"7,7": "12", "4,0": "1"})
    assert legal_starting(pos, "R", "SR") == set()
    assert legal_starting(pos, "M 4,0") >= moves_to("4,0", "3,0 2,0 1,0 0,0")


def test_hexagonal_line_target_of_four() -> None:
    markers = {1: "-12,0,12 -11,0,11 -10,0,10 -9,1,8"}
    pos = recovery(board="hexagonal", stacks={"0,0,0": "12"}, markers=markers)
    assert legal(pos) == {"SR", "R L -9,1,8 -9,0,9 1 * 0,0,0"}
