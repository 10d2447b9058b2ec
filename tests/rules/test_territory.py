"""Regions, borders, processing and payment (rules.md 10)."""

from __future__ import annotations

import pytest

from ringrift.rules import Position

from .positions import BOARDS, assert_board, cells_of, field, joined, legal, play, position

FENCE = """
    2  a  .  .  .  .  .  .
    a  a  .  .  .  .  .  .
    .  .  b  .  .  .  .  .
    .  .  .  a  .  .  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  a  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  .  .  1
"""


def territory(diagram: str = "", **fields: object) -> Position:
    """A position in the territory phase of a player who has acted."""
    return position(diagram, phase="territory_processing", **fields)


def all_but(board: str, cells: str) -> set[str]:
    return set(cells_of(board)) - set(cells.split())


def test_21_6_the_pocket_is_processable_for_player_1_only() -> None:
    outside = all_but("square8", "0,0 1,0 0,1 1,1 3,3 5,5")
    assert len(outside) == 58
    assert legal(territory(FENCE)) == {"T 0,0", "ST"}
    assert legal(territory(FENCE, cur=2)) == {f"T {joined(outside)}", "ST"}


def test_21_6_swallowed_colours_and_wide_border() -> None:
    pos = play(territory(FENCE), "T 0,0")
    assert pos.last_border == "1,0:1 0,1:1 1,1:1 2,2:2 3,3:1"
    assert_board(
        pos, stacks={"7,7": "1"}, markers={1: "5,5"}, collapsed={1: "0,0 1,0 0,1 1,1 2,2 3,3"}
    )
    assert (pos.eliminated, pos.territory) == ((1, 0), (6, 0))
    assert (field(pos, "pend"), legal(pos)) == ("territory", {"E territory 7,7"})
    over = play(pos, "E territory 7,7")
    assert (over.winner, over.result.reason) == (1, "territory_control")


def test_21_6_player_2_takes_everything_outside() -> None:
    outside = all_but("square8", "0,0 1,0 0,1 1,1 3,3 5,5")
    pos = play(territory(FENCE, cur=2), f"T {joined(outside)}")
    assert pos.last_border == "1,0:1 0,1:1 1,1:1 3,3:1 5,5:1"
    assert (pos.eliminated, pos.territory) == ((0, 1), (0, 63))
    assert_board(pos, stacks={"0,0": "2"}, collapsed={2: " ".join(all_but("square8", "0,0"))})


HEX_CORNER = {"markers": {1: "-4,1,3 -3,0,3 -3,-1,4", 2: "-2,1,1 0,2,-2"}}


def test_21_7_hex8_border_reaches_two_cells_that_are_no_neighbours() -> None:
    pos = territory(board="hex8", stacks={"-4,0,4": "2", "4,-4,0": "1"}, **HEX_CORNER)
    assert legal(pos) == {"T -4,0,4", "ST"}
    pos = play(pos, "T -4,0,4")
    assert pos.last_border == "-4,1,3:1 -3,-1,4:1 -3,0,3:1 -2,1,1:2"
    assert pos.territory == (5, 0)
    assert_board(
        pos,
        stacks={"4,-4,0": "1"},
        markers={2: "0,2,-2"},
        collapsed={1: "-4,0,4 -4,1,3 -3,0,3 -3,-1,4 -2,1,1"},
    )


def test_21_7_hexagonal_border_is_the_adjacent_markers() -> None:
    markers = {1: "-12,1,11 -11,0,11 -11,-1,12", 2: "-10,1,9"}
    pos = territory(board="hexagonal", stacks={"-12,0,12": "2", "4,-4,0": "1"}, markers=markers)
    pos = play(pos, "T -12,0,12")
    assert pos.last_border == "-12,1,11:1 -11,-1,12:1 -11,0,11:1"
    assert (pos.territory, pos.markers) == ((4, 0), {"-10,1,9": 2})


def test_hex8_border_flood_runs_against_the_axes_too() -> None:
    """(3,0,-3) + (-1,-1) = (2,-1,-1) is taken, (2,2,-4) beside nothing is not."""
    markers = {1: "3,0,-3 3,1,-4 4,-1,-3", 2: "2,-1,-1 0,3,-3"}
    pos = play(
        territory(board="hex8", stacks={"4,0,-4": "2", "-4,4,0": "1"}, markers=markers), "T 4,0,-4"
    )
    assert pos.last_border == "2,-1,-1:2 3,0,-3:1 3,1,-4:1 4,-1,-3:1"


INSIDE = """
    2 . a
    . 3 a
    a a a
"""
ELSEWHERE = {"5,5": "1", "6,6": "2", "7,5": "3"}


@pytest.mark.parametrize("cur", [1, 2, 3])
def test_21_8_three_players_representation(cur: int) -> None:
    """Player 1 is missing inside, so anyone with a stack outside may take the inside."""
    pos = territory(INSIDE, players=3, cur=cur, stacks=ELSEWHERE)
    assert legal(pos) == {"T 0,0|0,1|1,0|1,1", "ST"}


def test_21_8_effect() -> None:
    pos = play(territory(INSIDE, players=3, stacks=ELSEWHERE), "T 0,0|0,1|1,0|1,1")
    assert pos.last_border == "2,0:1 2,1:1 0,2:1 1,2:1 2,2:1"
    assert (pos.eliminated, pos.territory) == ((2, 0, 0), (9, 0, 0))
    assert legal(pos) == {"E territory 5,5"}


@pytest.mark.parametrize("cur", [1, 2, 3])
def test_21_8_a_buried_colour_is_active_but_not_represented(cur: int) -> None:
    """With `12` on 5,5 the outside lacks player 1 as well: 55 cells."""
    outside = all_but("square8", "0,0 1,0 0,1 1,1 2,0 2,1 0,2 1,2 2,2")
    pos = territory(INSIDE, players=3, cur=cur, stacks=ELSEWHERE | {"5,5": "12"})
    both = {"T 0,0|0,1|1,0|1,1", f"T {joined(outside)}", "ST"}
    assert legal(pos) == ({"NT"} if cur == 1 else both)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [(None, {"NT"}), ({1: "7,0"}, {"T 0,0", "ST"}), ({2: "3,4"}, {"T 0,0", "ST"})],
)
@pytest.mark.parametrize("cur", [1, 2])
def test_21_9_empty_pocket_needs_a_marker_anywhere(
    marker: dict[int, str] | None, expected: set[str], cur: int
) -> None:
    pos = territory(". A\nA B", stacks={"5,5": "1", "6,6": "2"}, markers=marker, cur=cur)
    assert legal(pos) == expected
    if marker:
        pos = play(pos, "T 0,0")
        assert (pos.last_border, pos.collapsed["0,0"]) == ("", cur)
        assert pos.territory == ((3, 1) if cur == 1 else (2, 2))


def test_a_pocket_of_one_controller_behind_collapsed_cells_counts_without_markers() -> None:
    """10.1, second loop; the outside holds player 1's only stacks, so it is no choice of his."""
    pos = territory("2 A\nA A", stacks={"5,5": "1", "6,6": "11"})
    assert legal(pos) == {"T 0,0", "ST"}
    assert legal(territory("2 A\nA A", stacks={"5,5": "1", "6,6": "2"}, cur=2)) == {"T 0,0", "ST"}


@pytest.mark.parametrize(
    ("marker", "expected"), [(None, {"NT"}), ({4: "7,0"}, {"T 0,0|0,1|1,0|1,1", "ST"})]
)
def test_a_pocket_of_two_controllers_behind_collapsed_cells_needs_a_marker(
    marker: dict[int, str] | None, expected: set[str]
) -> None:
    walls = "2 . A\n. 3 A\nA A A"
    pos = territory(walls, players=4, stacks={"5,5": "1", "6,6": "2", "6,7": "3"}, markers=marker)
    assert legal(pos) == expected


def test_without_markers_and_territory_nothing_is_a_region() -> None:
    """Shortcut 23.4: even when one player controls everything on the board."""
    assert legal(territory(stacks={"0,0": "21", "7,7": "1"})) == {"NT"}
    assert legal(territory(stacks={"0,0": "1", "7,7": "2"})) == {"NT"}


def test_without_stacks_nothing_is_a_region() -> None:
    assert legal(territory(". a\na a")) == {"NT"}


def test_a_region_with_every_own_stack_cannot_be_paid_for() -> None:
    pos = territory("1 a\na a", stacks={"7,7": "2"})
    outside = all_but("square8", "0,0 1,0 0,1 1,1")
    assert legal(pos) == {f"T {joined(outside)}", "ST"}


def test_own_wall_is_not_needed() -> None:
    """Player 1 takes a pocket fenced by player 2's markers, holding one of his own stacks too."""
    pos = territory("11 . b\nb b b", stacks={"7,7": "1", "5,5": "2"})
    assert legal(pos) == {"T 0,0|1,0", "ST"}
    pos = play(pos, "T 0,0|1,0")
    assert (pos.eliminated, pos.territory) == ((2, 0), (6, 0))
    assert pos.last_border == "2,0:2 0,1:2 1,1:2 2,1:2"


def test_one_colour_at_a_time_walls() -> None:
    """A fence of two colours is no wall, whoever stands behind it."""
    assert legal(territory("2 a\nb a", stacks={"7,7": "1"})) == {"NT"}
    assert legal(territory("2 A\na A", stacks={"7,7": "1"})) == {"T 0,0", "ST"}


def test_diagonal_gaps_are_shut_on_squares() -> None:
    """Region adjacency is orthogonal: two markers shut the corner."""
    assert legal(territory("2 a\na .", stacks={"7,7": "1"})) == {"T 0,0", "ST"}


def test_hex_regions_need_all_six_neighbours() -> None:
    stacks = {"0,0,0": "2", "4,0,-4": "1"}
    ring = "1,0,-1 0,1,-1 -1,1,0 -1,0,1 0,-1,1"
    assert legal(territory(board="hex8", stacks=stacks, markers={1: ring})) == {"NT"}
    shut = territory(board="hex8", stacks=stacks, markers={1: f"{ring} 1,-1,0"})
    assert legal(shut) == {"T 0,0,0", "ST"}
    assert play(shut, "T 0,0,0").territory == (7, 0)


def test_markers_of_other_colours_inside_are_swallowed() -> None:
    """Three cells inside, one holding player 2's marker, three markers of the fence."""
    pos = territory(". b a\n. a\na", stacks={"7,7": "1", "5,6": "2"})
    assert legal(pos) == {"T 0,0|0,1|1,0", "ST"}
    pos = play(pos, "T 0,0|0,1|1,0")
    assert (pos.last_border, pos.territory, pos.eliminated) == ("2,0:1 1,1:1 0,2:1", (6, 0), (0, 0))
    assert pos.markers == {}


def test_a_region_found_through_two_colours_is_one_move() -> None:
    """Walls of collapsed cells: the pocket is found for a, for b and in the last loop."""
    pos = territory("2 A\nA A", stacks={"7,7": "1", "6,6": "2"}, markers={1: "4,4", 2: "4,6"})
    assert legal(pos) == {"T 0,0", "ST"}


def test_overlapping_regions_stand_side_by_side() -> None:
    """Column 2 is player 1's fence, row 2 player 2's, the crossing is collapsed."""
    fences = """
        . . a . . . . .
        . . a . . . . .
        b b A b b b b b
        . . a . . . . .
        . . a . . . . .
        . . a . . 1 . .
        . . a . . . . .
        . . a . . . . 2
    """
    left = {f"{x},{y}" for x in (0, 1) for y in range(8)}
    top = {f"{x},{y}" for x in range(8) for y in (0, 1)}
    pos = territory(fences)
    assert legal(pos) == {f"T {joined(left)}", f"T {joined(top)}", "ST"}
    taken = play(pos, f"T {joined(left)}")
    assert taken.last_border == (
        "2,0:1 2,1:1 3,2:2 4,2:2 5,2:2 6,2:2 7,2:2 2,3:1 2,4:1 2,5:1 2,6:1 2,7:1"
    )
    assert (taken.territory, taken.markers) == ((29, 0), {})
    over = play(taken, "E territory 5,5")
    assert over.phase == "game_over"


def test_square19_border_crosses_colours_by_king_steps() -> None:
    """Seed 17,18 and 18,17; then 16,16, 15,15 (other colours), but not 13,13."""
    markers = {1: "17,18 18,17 13,13", 2: "16,16", 3: "15,15"}
    stacks = {"18,18": "2", "0,0": "1", "0,1": "3"}
    pos = play(territory(board="square19", players=3, stacks=stacks, markers=markers), "T 18,18")
    assert pos.last_border == "18,17:1 17,18:1"
    markers[2] = "16,16 17,17"
    pos = play(territory(board="square19", players=3, stacks=stacks, markers=markers), "T 18,18")
    assert pos.last_border == "15,15:3 16,16:2 17,17:2 18,17:1 17,18:1"
    assert pos.territory == (6, 0, 0)


def test_border_is_listed_row_by_row_with_two_digit_cells() -> None:
    markers = {1: "9,0 11,0 10,1"}
    pos = play(
        territory(board="square19", stacks={"10,0": "2", "0,9": "1"}, markers=markers), "T 10,0"
    )
    assert pos.last_border == "9,0:1 11,0:1 10,1:1"


def test_markers_inside_the_region_do_not_carry_the_border_flood() -> None:
    """b on 1,1 lies inside; the far a on 7,0 is not reached, the fence corner is."""
    pos = territory("2 . a . .\n. b a . .\na a . b .", stacks={"7,7": "1"}, markers={1: "7,0"})
    pos = play(pos, "T 0,0|0,1|1,0|1,1")
    assert pos.last_border == "2,0:1 2,1:1 0,2:1 1,2:1 3,2:2"


@pytest.mark.parametrize("board", BOARDS)
def test_the_whole_cap_pays(board: str) -> None:
    """10.6: every stack still controlled may pay, with its cap; what is below may change hands."""
    if board.startswith("square"):
        stacks = {"0,0": "2", "3,3": "2211", "5,5": "1", "7,5": "2"}
        markers, corner = {1: "1,0 0,1"}, "0,0"
    else:
        stacks = {"4,-4,0": "2", "0,0,0": "2211", "0,2,-2": "1", "-2,0,2": "2"}
        markers, corner = {1: "3,-4,1 3,-3,0 4,-3,-1"}, "4,-4,0"
        if board == "hexagonal":
            stacks = {
                "12,-12,0" if key == "4,-4,0" else key: rings for key, rings in stacks.items()
            }
            markers, corner = {1: "11,-12,1 11,-11,0 12,-11,-1"}, "12,-12,0"
    tall, lone = list(stacks)[1:3]
    pos = play(territory(board=board, stacks=stacks, markers=markers), f"T {corner}")
    assert legal(pos) == {f"E territory {tall}", f"E territory {lone}"}
    paid = play(pos, f"E territory {tall}")
    assert (paid.stacks[tall], paid.eliminated) == ("22", (3, 0))
    assert play(pos, f"E territory {lone}").eliminated == (2, 0)
    assert lone not in play(pos, f"E territory {lone}").stacks


TWO_POCKETS = "2 a . . . . a 2\na . . . . . . a"


def test_after_the_payment_a_second_region_is_offered_again() -> None:
    pos = territory(TWO_POCKETS, stacks={"4,7": "1", "4,5": "1"})
    assert legal(pos) == {"T 0,0", "T 7,0", "ST"}
    pos = play(pos, "T 0,0")
    assert legal(pos) == {"E territory 4,7", "E territory 4,5"}
    pos = play(pos, "E territory 4,7")
    assert (pos.phase, pos.current_player, field(pos, "pend")) == ("territory_processing", 1, "-")
    assert legal(pos) == {"T 7,0", "ST"}
    declined = play(pos, "ST")
    assert (declined.phase, declined.current_player) == ("ring_placement", 2)


def test_spending_the_last_own_stack_ends_the_turn_despite_a_region() -> None:
    """Nothing is processable any more: END without `NT`."""
    pos = play(territory(TWO_POCKETS, stacks={"4,7": "11"}, hand=(1, 0)), "T 0,0; E territory 4,7")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)
    assert pos.eliminated == (3, 0)


def test_processing_is_never_compulsory() -> None:
    pos = play(territory(FENCE), "ST")
    assert (pos.phase, pos.current_player, pos.last_border) == ("ring_placement", 2, None)


def test_last_border_is_only_of_the_last_move() -> None:
    pos = territory(TWO_POCKETS, stacks={"4,7": "1", "4,5": "1"})
    assert pos.last_border is None
    pos = play(pos, "T 0,0")
    assert pos.last_border == "1,0:1 0,1:1"
    assert play(pos, "E territory 4,7").last_border is None


RECOVERED = {"rec": 1, "stacks": {"0,0": "2", "7,7": "12", "5,7": "2112"}}


def test_recovery_context_asks_for_a_buried_ring_outside() -> None:
    """10.2: player 1 controls nothing, yet may process after a recovery slide."""
    pos = territory(". a\na .", **RECOVERED)
    assert legal(pos) == {"T 0,0", "ST"}
    assert legal(territory(". a\na .", **(RECOVERED | {"rec": 0}))) == {"NT"}


def test_recovery_context_pays_with_the_lowest_buried_ring() -> None:
    pos = play(territory(". a\na .", **RECOVERED), "T 0,0")
    assert (field(pos, "pend"), pos.eliminated) == ("recovery", (1, 0))
    assert legal(pos) == {"E recovery 7,7", "E recovery 5,7"}
    paid = play(pos, "E recovery 5,7")
    assert (paid.stacks["5,7"], paid.eliminated) == ("212", (2, 0))
    assert play(pos, "E recovery 7,7").stacks["7,7"] == "2"


def test_recovery_context_holds_even_with_a_controlled_stack() -> None:
    """12.6: control regained in the turn does not matter, only buried rings pay."""
    fields = {"rec": 1, "stacks": {"0,0": "2", "7,7": "21", "5,7": "1121", "6,3": "2"}}
    pos = play(territory(". a\na .", **fields), "T 0,0")
    assert legal(pos) == {"E recovery 5,7"}
    assert play(pos, "E recovery 5,7").stacks["5,7"] == "121"


def test_recovery_context_never_pays_with_a_ring_inside() -> None:
    """The only buried ring lies in the region: not processable; the other side is."""
    outside = all_but("square8", "0,0 1,0 0,1")
    pos = territory(". a\na .", rec=1, stacks={"0,0": "12", "7,7": "2"})
    assert legal(pos) == {f"T {joined(outside)}", "ST"}


def test_region_far_larger_than_half_of_a_hexagonal_board() -> None:
    """Everything but the markers of one colour is a candidate when a colour is buried."""
    stacks = {"12,-12,0": "3", "0,0,0": "12"}
    markers = {2: "11,-12,1 11,-11,0 12,-11,-1"}
    outside = all_but("hexagonal", "12,-12,0 11,-12,1 11,-11,0 12,-11,-1")
    pos = territory(board="hexagonal", players=3, cur=3, stacks=stacks, markers=markers)
    assert legal(pos) == {f"T {joined(outside)}", "ST"}
    taken = play(pos, f"T {joined(outside)}")
    assert (taken.eliminated, taken.territory) == ((0, 0, 2), (0, 0, 468))
    over = play(taken, "E territory 12,-12,0")
    assert (over.winner, over.result.reason) == (3, "territory_control")


@pytest.mark.parametrize("board", ["square8", "hex8"])
def test_one_marker_makes_everything_else_a_region_nobody_can_pay_for(board: str) -> None:
    """A colour buried everywhere is missing in the only component, which holds every stack."""
    cells = cells_of(board)
    stacks = {cells[0]: "12", cells[-1]: "2"}
    pos = territory(board=board, cur=2, stacks=stacks, markers={2: cells[30]})
    assert legal(pos) == {"NT"}


def test_two_cells_shut_a_square_corner_and_three_a_hexagon_corner() -> None:
    """The least walls there are: one fewer leaves the corner open."""
    stacks = {"0,0": "2", "7,7": "1"}
    assert legal(territory(stacks=stacks, markers={1: "1,0 0,1"})) == {"T 0,0", "ST"}
    assert legal(territory(stacks=stacks, markers={1: "1,0"})) == {"NT"}
    stacks = {"-4,0,4": "2", "4,0,-4": "1"}
    assert legal(territory(board="hex8", stacks=stacks, markers={1: "-4,1,3 -3,0,3 -3,-1,4"})) == {
        "T -4,0,4",
        "ST",
    }
    assert legal(territory(board="hex8", stacks=stacks, markers={1: "-4,1,3 -3,-1,4"})) == {"NT"}


def test_markers_and_collapsed_cells_wall_together() -> None:
    """One collapsed cell and one marker; the marker of another colour would not do."""
    assert legal(territory("2 A\nb .", stacks={"7,7": "1", "6,6": "2"})) == {"T 0,0", "ST"}
    assert legal(territory("2 .\nb .", stacks={"7,7": "1", "6,6": "2"})) == {"NT"}


def test_a_maze_of_pockets_is_listed_completely() -> None:
    """A chessboard of markers on square19: 180 markers, 181 single cells, each a region of its own but one."""
    cells = [(x, y) for x in range(19) for y in range(19)]
    markers = " ".join(f"{x},{y}" for x, y in cells if (x + y) % 2)
    pockets = [f"{x},{y}" for x, y in cells if (x + y) % 2 == 0]
    pos = territory(board="square19", stacks={"0,0": "1", "18,18": "2"}, markers={1: markers})
    assert legal(pos) == {"ST"} | {f"T {cell}" for cell in pockets if cell != "0,0"}
    assert len(pockets) == 181
    taken = play(pos, "T 18,18")
    assert (taken.territory, taken.eliminated) == ((181, 0), (1, 0))


def test_winding_region_is_filled_to_its_end() -> None:
    """A corridor that turns back on itself three times, empty but for player 2's ring at its far end."""
    maze = """
        . . . . . . . a
        a a a a a a . a
        . . . . . . . a
        . a a a a a a a
        . . . . . . . a
        a a a a a a . a
        2 . . . . . . a
        a a a a a a a 1
    """
    corridor = [f"{x},{y}" for y in (0, 2, 4, 6) for x in range(7)] + ["6,1", "0,3", "6,5"]
    pos = territory(maze)
    assert legal(pos) == {f"T {joined(corridor)}", "ST"}
