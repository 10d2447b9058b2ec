"""Blocked players, forced elimination and empty turns (rules.md 13)."""

from __future__ import annotations

from .positions import assert_board, cells_of, field, joined, legal, play, position

BLOCKED = "1 22\n22 22"  # player 1's only ring can neither move nor capture
HOLES = ("0,0", "7,7")
FILLED = [cell for cell in cells_of("square8") if cell not in HOLES]
TWO_HOLES = {1: " ".join(FILLED[:31]), 2: " ".join(FILLED[31:])}


def test_21_13_blocked_player() -> None:
    """No `NT` in that turn; player 2 leaves the game and player 1 wins by 15 step 3."""
    pos = position("112 A\nA A", cur=2)
    for move, phase in (
        ("NP", "movement"),
        ("NM", "line_processing"),
        ("NL", "forced_elimination"),
    ):
        assert legal(pos) == {move}
        pos = play(pos, move)
        assert (pos.phase, pos.current_player) == (phase, 2)
    assert legal(pos) == {"F 0,0"}
    pos = play(pos, "F 0,0")
    assert (pos.eliminated, pos.winner, pos.result.reason) == ((0, 1), 1, "last_player_standing")
    assert_board(pos, stacks={"0,0": "11"}, collapsed={1: "1,0 0,1 1,1"})
    assert (field(pos, "ph"), field(pos, "cur"), field(pos, "st"), field(pos, "win")) == (
        "game_over",
        "0",
        "over",
        "1",
    )
    assert legal(pos) == set()


def test_every_controlled_stack_may_be_the_one() -> None:
    """Two blocked corners: any of them, whatever its height; the cap goes and the turn ends (A-28)."""
    pos = position("1 22 . . . . 222 211\n22 22 . . . . 222 222", phase="forced_elimination")
    assert legal(pos) == {"F 0,0", "F 7,0"}
    pos = play(pos, "F 7,0")
    assert (pos.stacks["7,0"], pos.stacks["0,0"]) == ("2", "1")
    assert (pos.eliminated, pos.phase, pos.current_player) == ((2, 0), "ring_placement", 2)


def test_declining_a_region_leads_to_forced_elimination_too() -> None:
    """13: blocked, a processable region exists, `ST` declines it."""
    pos = position("1 22\n22 22\n.\n.\n. . . . . . b .\n. . . . . b . b\n. . . . . . b .")
    pos = play(pos, "NP; NM; NL")
    assert (pos.phase, legal(pos)) == ("territory_processing", {"T 6,5", "ST"})
    declined = play(pos, "ST")
    assert (declined.phase, legal(declined)) == ("forced_elimination", {"F 0,0"})


def test_taking_the_region_instead_is_acting() -> None:
    """The payment takes the blocked ring; the turn ends without `F`."""
    pos = position(
        "1 22\n22 22\n.\n.\n. . . . . . b .\n. . . . . b . b\n. . . . . . b .", hand=(0, 1)
    )
    pos = play(pos, "NP; NM; NL; T 6,5; E territory 0,0")
    assert (pos.eliminated, pos.territory) == ((1, 0), (5, 0))
    assert pos.phase == "game_over"


def test_a_walled_in_player_may_take_the_whole_outside_or_be_forced() -> None:
    """The outside lacks player 1, whose stack stands in the corner: 60 cells, or `ST` and `F`."""
    pos = play(position("1 A\nA A", stacks={"5,5": "12"}), "NP; NM; NL")
    walled = ("0,0", "1,0", "0,1", "1,1")
    outside = joined([cell for cell in cells_of("square8") if cell not in walled])
    assert legal(pos) == {f"T {outside}", "ST"}
    assert legal(play(pos, "ST")) == {"F 0,0"}


def test_a_player_without_stacks_passes_through_four_bookkeeping_moves() -> None:
    pos = position(stacks={"3,3": "12"})
    for move in ("NP", "NM", "NL", "NT"):
        assert legal(pos) == {move}
        pos = play(pos, move)
    assert (pos.phase, pos.current_player, pos.eliminated) == ("ring_placement", 2, (0, 0))


def test_a_player_who_skipped_recovery_has_nothing_to_eliminate() -> None:
    pos = play(position("a", stacks={"3,3": "12"}), "NP; SR; NL; NT")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)


def test_acting_rules_forced_elimination_out() -> None:
    """The ring moves into a dead end; `ST` ends the turn although it is blocked now."""
    pos = position("y=0: . A\ny=1: 1 A\ny=2: A A", stacks={"5,5": "12"})
    pos = play(pos, "NP; M 0,1 0,0; NL")
    assert field(pos, "act") == "1"
    pos = play(pos, "ST")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)


def test_forced_elimination_may_hand_the_stack_over() -> None:
    """`2211` loses its cap; the rest is player 2's and free for him."""
    pos = position("2211 222\n222 222", phase="forced_elimination")
    pos = play(pos, "F 0,0")
    assert (pos.stacks["0,0"], pos.eliminated) == ("22", (2, 0))


def test_guard_of_artificial_positions() -> None:
    """In phase forced_elimination with a move or a placement at hand there is no `F`."""
    assert legal(position(stacks={"3,3": "1", "7,7": "2"}, phase="forced_elimination")) == set()
    assert legal(position("1 2 .\n22 22", phase="forced_elimination")) == set()
    assert legal(position(BLOCKED, hand=(1, 0), phase="forced_elimination")) == set()


def test_resolver_ends_a_decided_artificial_start_at_once() -> None:
    """13, R202: rings in hand, no stack, no placement anywhere; the victory test is made after `NP`."""
    pos = position(collapsed=TWO_HOLES, hand=(3, 0))
    assert legal(pos) == {"NP"}
    pos = play(pos, "NP")
    assert (pos.phase, pos.winner, pos.result.reason) == ("game_over", 1, "ring_elimination")


def test_resolver_leaves_undecided_positions_alone() -> None:
    pos = play(position(collapsed=TWO_HOLES, stacks={"7,7": "2"}, hand=(3, 0)), "NP")
    assert (pos.phase, legal(pos)) == ("movement", {"NM"})


def test_resolver_looks_only_at_players_without_stacks() -> None:
    """Player 2 has long reached the threshold, but player 1 stands blocked: the test waits for END."""
    fields = {"hand": (2, 0), "elim": (0, 18), "options": {"rings_per_player": 1}}
    pos = play(position("1 A\nA A", stacks={"5,5": "2"}, **fields), "NP")
    assert (pos.phase, legal(pos)) == ("movement", {"NM"})
    gone = play(position(". A\nA A", stacks={"5,5": "12"}, **fields), "NP")
    assert (gone.winner, gone.result.reason) == (2, "ring_elimination")
