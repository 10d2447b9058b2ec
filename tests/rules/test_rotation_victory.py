"""Who is out, who is next, and how a game ends (rules.md 14 and 15)."""

from __future__ import annotations

from typing import Any

import pytest

from ringrift.rules import Position

from .positions import assert_board, cells_of, field, legal, play, position


def end_turn(**fields: Any) -> Position:
    """Player `cur` ends his turn with `NT`."""
    pos = position(phase="territory_processing", **fields)
    assert legal(pos) == {"NT"}
    return play(pos, "NT")


def halves(*spared: str) -> dict[int, str]:
    """All of square8 but the spared cells collapsed, half of it to player 1 and half to player 2."""
    cells = [cell for cell in cells_of("square8") if cell not in spared]
    return {1: " ".join(cells[: len(cells) // 2]), 2: " ".join(cells[len(cells) // 2 :])}


# --- rotation (14) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stacks", "hand", "cur", "following"),
    [
        ({"0,0": "1", "1,1": "2", "2,2": "3", "3,3": "4"}, (0, 0, 0, 0), 1, 2),
        ({"0,0": "1", "1,1": "2", "2,2": "3", "3,3": "4"}, (0, 0, 0, 0), 4, 1),
        ({"0,0": "1", "2,2": "3", "3,3": "4"}, (0, 0, 0, 0), 1, 3),  # player 2 is out
        ({"0,0": "1", "3,3": "4"}, (0, 0, 0, 0), 1, 4),
        ({"0,0": "1", "3,3": "24"}, (0, 0, 0, 0), 1, 2),  # a buried ring keeps player 2 in
        ({"0,0": "1", "3,3": "4"}, (0, 0, 1, 0), 1, 3),  # so does a ring in hand
        ({"0,0": "1", "2,2": "2"}, (0, 0, 0, 0), 2, 1),
        ({"0,0": "1", "2,2": "23"}, (0, 0, 0, 0), 3, 1),
    ],
)
def test_the_next_seat_that_is_not_out(
    stacks: dict[str, str], hand: tuple[int, ...], cur: int, following: int
) -> None:
    pos = end_turn(players=4, stacks=stacks, hand=hand, cur=cur)
    assert (pos.phase, pos.current_player) == ("ring_placement", following)
    assert (field(pos, "act"), field(pos, "rec"), field(pos, "only")) == ("0", "0", "-")


def test_markers_do_not_keep_a_player_in() -> None:
    pos = end_turn(players=3, stacks={"0,0": "1", "7,7": "3"}, markers={2: "4,4"})
    assert pos.current_player == 3


def test_the_mover_goes_again_on_a_bare_board_and_keeps_his_flags() -> None:
    """2.4: `act` spans both turns, because no other player has moved."""
    pos = play(position("1 b", phase="movement", hand=(2, 0), act=0), "M 0,0 1,0; NL; NT")
    assert (pos.phase, pos.current_player, field(pos, "act")) == ("ring_placement", 1, "1")
    assert pos.hands == (2, 0)
    assert "P 5,5 2" in legal(pos)


def test_kept_flags_rule_out_forced_elimination_in_the_second_turn() -> None:
    """The second turn's placement is legal, so this only checks that the flag lasts until somebody else moves."""
    pos = play(position("1 b", phase="movement", hand=(1, 0), act=0), "M 0,0 1,0; NL; NT; P 5,5 1")
    assert field(pos, "act") == "1"
    pos = play(pos, "M 5,5 6,6; NL; NT")
    assert (pos.is_over, pos.winner, pos.result.reason) == (True, 1, "last_player_standing")


# --- rings and territory (15 steps 1 and 2) -------------------------------------------------------

BOTH = {"0,0": "1", "7,7": "2"}


def test_ring_threshold_is_looked_at_in_seat_order() -> None:
    assert end_turn(stacks=BOTH, elim=(18, 18), cur=2).winner == 1
    assert end_turn(stacks=BOTH, elim=(17, 18), cur=1).winner == 2


def test_rings_come_before_territory() -> None:
    cells = " ".join(cells_of("square8")[:33])
    pos = end_turn(stacks={"7,7": "2", "7,6": "1"}, collapsed={1: cells}, elim=(0, 20))
    assert (pos.winner, pos.result.reason) == (2, "ring_elimination")


def test_territory_must_exceed_all_others_together() -> None:
    """Three players: 22 cells are enough only against fewer than 22."""
    cells = cells_of("square8")
    stacks = {"7,7": "1", "7,6": "2", "7,5": "3"}
    fields: dict[str, Any] = {"players": 3, "stacks": stacks}
    level = {1: " ".join(cells[:22]), 2: " ".join(cells[22:33]), 3: " ".join(cells[33:44])}
    assert not end_turn(collapsed=level, **fields).is_over
    ahead = {1: " ".join(cells[:22]), 2: " ".join(cells[22:33]), 3: " ".join(cells[33:43])}
    assert end_turn(collapsed=ahead, **fields).winner == 1


def test_territory_is_counted_on_the_board_not_in_the_counters() -> None:
    """Step 2 (artificial): counters may disagree with the cells."""
    assert not end_turn(stacks=BOTH, terr=(40, 0)).is_over
    cells = " ".join(cells_of("square8")[:33])
    pos = end_turn(stacks={"7,7": "2", "7,6": "1"}, collapsed={2: cells}, terr=(0, 0))
    assert (pos.winner, pos.result.reason) == (2, "territory_control")


def test_victory_waits_for_the_end_of_the_turn() -> None:
    """4.3: the threshold is reached by a landing, the game goes on to `NT`."""
    pos = position("11 . b", phase="movement", stacks={"7,7": "2"}, elim=(17, 0))
    pos = play(pos, "M 0,0 2,0")
    assert (pos.eliminated, pos.is_over, pos.phase) == ((18, 0), False, "line_processing")
    pos = play(pos, "NL")
    assert not pos.is_over
    pos = play(pos, "NT")
    assert (pos.is_over, pos.winner) == (True, 1)
    assert (pos.phase, pos.current_player) == ("game_over", 0)


# --- last player standing at once (step 3) --------------------------------------------------------


@pytest.mark.parametrize(
    ("stacks", "hand", "winner"),
    [
        ({"0,0": "1", "3,3": "11"}, (0, 0, 0), 1),
        ({"0,0": "1", "3,3": "11"}, (5, 0, 0), 1),
        ({"0,0": "1"}, (0, 0, 1), None),  # player 3 still has a ring in hand
        ({"0,0": "31"}, (0, 0, 0), None),  # player 3 has a buried ring
        ({"0,0": "1", "3,3": "2"}, (0, 0, 0), None),
        ({"0,0": "2", "3,3": "2"}, (0, 0, 0), 2),
        ({"0,0": "2"}, (1, 0, 0), None),
    ],
)
def test_sole_controller_with_everybody_else_out(
    stacks: dict[str, str], hand: tuple[int, ...], winner: int | None
) -> None:
    pos = end_turn(players=3, stacks=stacks, hand=hand)
    assert (pos.is_over, pos.winner or None) == (winner is not None, winner)
    if winner:
        assert pos.result.reason == "last_player_standing"
    else:
        assert pos.result is None


# --- bare board (steps 5 to 9) --------------------------------------------------------------------


def test_21_14_bare_board() -> None:
    pos = position("1 b A A", phase="movement")
    pos = play(pos, "M 0,0 1,0; NL; NT")
    assert (pos.winner, pos.result.reason) == (1, "territory_control")


def test_a_hand_ring_that_finds_a_place_keeps_the_game_going() -> None:
    """Step 5, and the player with rings in hand is next."""
    pos = play(position("1 b A A", phase="movement", hand=(0, 1)), "M 0,0 1,0; NL; NT")
    assert (pos.is_over, pos.current_player) == (False, 2)


def test_a_marker_beside_a_cell_is_room_enough() -> None:
    """Step 5 asks for an uncollapsed neighbour, marker or not: landing cell 1,0 beside the marker on 0,0."""
    walls = halves("0,0", "1,0")
    pos = position(
        collapsed=walls, stacks={"0,0": "1"}, markers={2: "1,0"}, phase="movement", hand=(0, 1)
    )
    pos = play(pos, "M 0,0 1,0; NL; NT")
    assert (pos.is_over, pos.current_player) == (False, 2)
    assert_board(pos, markers={1: "0,0"}, collapsed=walls)


def forced_off(
    *,
    markers: dict[int, str] | None = None,
    hand: tuple[int, int] = (0, 0),
    elim: tuple[int, int] = (0, 0),
) -> Position:
    """Player 1's last ring, alone on 0,0, is eliminated; 7,7 is the other cell that is not collapsed."""
    pos = position(
        collapsed=halves("0,0", "7,7"), stacks={"0,0": "1"}, markers=markers, hand=hand, elim=elim
    )
    return play(pos, "NP; NM; NL; F 0,0")


def test_hand_rings_without_a_place_count_as_eliminated() -> None:
    """Steps 6 and 7: territory 31 : 31, then 1 + 2 in hand beats 2; the counters stay as they are."""
    pos = forced_off(hand=(2, 0), elim=(0, 2), markers={2: "7,7"})
    assert (pos.winner, pos.result.reason) == (1, "ring_elimination")
    assert pos.eliminated == (1, 2)
    assert pos.hands == (2, 0)


def test_without_hand_rings_the_counters_decide() -> None:
    pos = forced_off(elim=(0, 2))
    assert (pos.winner, pos.result.reason) == (2, "ring_elimination")


def test_hand_rings_of_the_others_count_as_well() -> None:
    pos = forced_off(hand=(1, 3), elim=(0, 0))
    assert (pos.winner, pos.result.reason) == (2, "ring_elimination")


def test_markers_are_the_third_rung() -> None:
    """Territory 31 : 31, rings 1 : 1, one marker of player 2."""
    pos = forced_off(elim=(0, 1), markers={2: "7,7"})
    assert (pos.winner, pos.result.reason) == (2, "last_player_standing")


def test_the_previous_mover_is_the_last_rung() -> None:
    """All level: the move before `F` was player 1's own `NL`."""
    pos = forced_off(elim=(0, 1))
    assert (pos.winner, pos.result.reason) == (1, "last_player_standing")


def test_the_last_rung_without_a_previous_move_is_the_seat_before() -> None:
    """A parsed position has no history: the seat before player 1 is player 2."""
    fields: dict[str, Any] = {"phase": "forced_elimination", "elim": (0, 1)}
    pos = play(position(collapsed=halves("0,0", "7,7"), stacks={"0,0": "1"}, **fields), "F 0,0")
    assert (pos.winner, pos.result.reason) == (2, "last_player_standing")


@pytest.mark.parametrize(
    ("counts", "elim", "winner", "reason"),
    [
        (
            (20, 20, 10),
            (1, 0, 2),
            3,
            "ring_elimination",
        ),  # level first, and a third player leads the next rung
        (
            (20, 20, 10),
            (2, 2, 2),
            1,
            "last_player_standing",
        ),  # level to the end: player 1 moved before `NT`
        ((20, 10, 20), (2, 1, 1), 1, "ring_elimination"),
        ((10, 20, 10), (9, 0, 0), 2, "territory_control"),
    ],
)
def test_each_rung_looks_at_all_players(
    counts: tuple[int, ...], elim: tuple[int, int, int], winner: int, reason: str
) -> None:
    """A-29: a tie is not carried on as a shortlist. Nobody has rings, the last ring was player 1's."""
    cells = iter(cells_of("square8"))
    walls = {
        seat: " ".join(next(cells) for _ in range(count))
        for seat, count in enumerate(counts, start=1)
    }
    pos = position(
        players=3, phase="movement", collapsed=walls, stacks={"7,0": "1"}, markers={2: "7,1 7,7"},
        elim=(elim[0] - 1, *elim[1:]),
    )  # fmt: skip
    pos = play(pos, "M 7,0 7,1; NL; NT")
    assert dict(pos.markers) == {"7,0": 1, "7,7": 2}
    assert (pos.winner, pos.result.reason) == (winner, reason)


def test_marker_rung_with_three_players() -> None:
    pos = position("1 b\n.\nb b c", players=3, phase="movement", elim=(0, 1, 1))
    pos = play(pos, "M 0,0 1,0; NL; NT")
    assert (pos.winner, pos.result.reason) == (2, "last_player_standing")


def test_bare_board_on_a_hexagon() -> None:
    pos = position(
        board="hex8", phase="movement", stacks={"0,0,0": "1"}, markers={2: "1,0,-1 3,0,-3 4,0,-4"}
    )
    pos = play(pos, "M 0,0,0 1,0,-1; NL; NT")
    assert (pos.winner, pos.result.reason) == (1, "ring_elimination")


def test_a_finished_game_is_written_as_game_over() -> None:
    pos = end_turn(stacks=BOTH, elim=(18, 0))
    assert str(pos).startswith("ph=game_over;cur=0;only=-;pend=-;act=0;rec=0;st=over;win=1;")
    assert legal(pos) == set()
