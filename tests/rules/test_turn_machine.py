"""Phases and turns: every row of the table of rules.md 4.1, the summary of 5, and a whole turn (21.16)."""

from __future__ import annotations

import pytest

from ringrift.rules import IllegalMove, InvalidMove, Position

from .positions import CONFIGURATIONS, assert_board, field, joined, legal, play, position

OPEN = {"stacks": {"0,0": "1", "7,7": "2"}}
BLOCKED = "1 22\n22 22"


def after(pos: Position, move: str) -> tuple[str, int]:
    assert move in legal(pos)
    played = play(pos, move)
    return played.phase, played.current_player


# --- ring_placement -------------------------------------------------------------------------------


def test_row_place_ring() -> None:
    pos = play(position(**OPEN, hand=(2, 0)), "P 4,4 1")
    assert (pos.phase, pos.current_player, field(pos, "only"), field(pos, "act")) == (
        "movement",
        1,
        "4,4",
        "1",
    )


@pytest.mark.parametrize(("hand", "move"), [((2, 0), "SP"), ((0, 2), "NP")])
def test_rows_skip_placement_and_no_placement_action(hand: tuple[int, int], move: str) -> None:
    pos = position(**OPEN, hand=hand)
    played = play(pos, move)
    assert str(played) == str(pos).replace("ph=ring_placement", "ph=movement")


def test_row_swap_sides() -> None:
    pos = play(Position.start("square8", swap_rule=True), "P 3,3 1; M 3,3 3,4; NL; NT; SW")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)


# --- movement -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diagram", "move", "phase"),
    [
        ("1 . . 2 .", "M 0,0 2,0", "capture"),
        ("1 . . 2 .", "M 0,0 1,0", "capture"),  # captures need not be adjacent
        ("1 . . 22 .", "M 0,0 2,0", "line_processing"),  # cap too high
        ("1 . . 2 .", "M 0,0 0,1", "line_processing"),  # nothing in reach of 0,1
        ("1 . b 2 .", "M 0,0 2,0", "line_processing"),  # the ring died on the marker
        ("21 . b 2 .", "M 0,0 2,0", "line_processing"),  # control passed
        ("11 . b 2 .", "M 0,0 2,0", "capture"),  # one ring is left, and still captures
        ("1 2 . . .", "C 0,0 1,0 3,0", "line_processing"),
        ("1 2 . 2 .", "C 0,0 1,0 2,0", "chain_capture"),
        ("1 2 b 2 .", "C 0,0 1,0 2,0", "line_processing"),  # the capturer became player 2's
    ],
)
def test_rows_move_stack_and_overtaking_capture(diagram: str, move: str, phase: str) -> None:
    assert after(position(diagram, phase="movement"), move) == (phase, 1)


def test_row_move_stack_without_control_but_with_another_own_stack() -> None:
    """Only the stack on the landing cell opens the capture phase."""
    pos = position("1 . . . .\n.\n.\n. . . . 1 2 .", phase="movement")
    assert after(pos, "M 0,0 0,1") == ("line_processing", 1)


@pytest.mark.parametrize("move", ["SR", "R F 0,0 1,0 0 * 7,7"])
def test_rows_recovery(move: str) -> None:
    pos = position("a", phase="movement", stacks={"7,7": "12"})
    assert after(pos, move) == ("line_processing", 1)


def test_row_no_movement_action() -> None:
    assert after(position(BLOCKED, phase="movement"), "NM") == ("line_processing", 1)


# --- capture and chain_capture --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("move", "phase"),
    [
        ("SC", "line_processing"),
        ("C 2,0 3,0 7,0", "line_processing"),
        ("C 2,0 3,0 4,0", "chain_capture"),
    ],
)
def test_rows_of_the_capture_phase(move: str, phase: str) -> None:
    """From 7,0 nothing is left to take; from 4,0 the stack on 4,2 is."""
    pos = position(". . 1 2 .\n.\n. . . . 2\n. . . . .", phase="capture", only="2,0")
    assert legal(pos) == {"SC", "C 2,0 3,0 4,0", "C 2,0 3,0 5,0", "C 2,0 3,0 6,0", "C 2,0 3,0 7,0", "C 2,0 4,2 5,3",
                          "C 2,0 4,2 6,4", "C 2,0 4,2 7,5"}  # fmt: skip
    assert after(pos, move) == (phase, 1)


def test_capture_phase_has_its_skip_even_without_captures() -> None:
    assert legal(position(stacks={"2,0": "1", "7,7": "22"}, phase="capture", only="2,0")) == {"SC"}


@pytest.mark.parametrize(
    ("move", "phase"), [("K 4,0 5,0 6,0", "chain_capture"), ("K 4,0 5,0 7,0", "line_processing")]
)
def test_rows_of_the_chain_capture_phase(move: str, phase: str) -> None:
    """From 6,0 the stack on 6,2 is within reach, from 7,0 nothing."""
    pos = position(". . . . 21 2 . .\n.\n. . . . . . 2 .\n.", phase="chain_capture", only="4,0")
    assert {text.split()[0] for text in legal(pos)} == {"K"}
    assert after(pos, move) == (phase, 1)


# --- line_processing ------------------------------------------------------------------------------


def test_row_line_with_debt() -> None:
    pos = play(
        position("a a a a", phase="line_processing", stacks={"7,7": "11"}), "L 0,0|1,0|2,0|3,0"
    )
    assert (pos.phase, field(pos, "pend"), legal(pos)) == (
        "line_processing",
        "line",
        {"E line 7,7"},
    )
    pos = play(pos, "E line 7,7")
    assert (pos.phase, field(pos, "pend"), legal(pos)) == ("line_processing", "-", {"NL"})
    assert after(pos, "NL") == ("territory_processing", 1)


@pytest.mark.parametrize(
    "move", ["O 0,0|1,0|2,0|3,0|4,0 0,0|1,0|2,0|3,0", "O 0,0|1,0|2,0|3,0|4,0 *"]
)
def test_row_line_without_debt_skips_nl(move: str) -> None:
    """Nobody of player 1 could pay: option 1 is waived, option 2 is free anyway."""
    pos = position("a a a a a", phase="line_processing", stacks={"7,7": "12"})
    assert after(pos, move) == ("territory_processing", 1)


def test_row_no_line_action_of_a_blocked_player() -> None:
    pos = position(BLOCKED, phase="line_processing", act=0)
    assert after(pos, "NL") == ("forced_elimination", 1)


@pytest.mark.parametrize(
    ("diagram", "fields"),
    [
        (BLOCKED, {"act": 1}),  # acted
        ("12 22", {"act": 0}),  # controls nothing
        (BLOCKED + "\n.\n. . . . b\n. . . b . b\n. . . . b", {"act": 0}),  # a processable region
    ],
)
def test_row_no_line_action_otherwise(diagram: str, fields: dict[str, int]) -> None:
    pos = position(diagram, phase="line_processing", **fields)
    assert after(pos, "NL") == ("territory_processing", 1)


def test_open_line_debt_without_a_controlled_stack_is_ignored() -> None:
    """5: artificial positions only."""
    pos = position("a a a a", phase="line_processing", pend="line", stacks={"7,7": "12"})
    assert legal(pos) == {"L 0,0|1,0|2,0|3,0"}
    pos = position("a a a", phase="line_processing", pend="line", stacks={"7,7": "12"})
    assert legal(pos) == {"NL"}


# --- territory_processing and forced_elimination --------------------------------------------------

POCKETS = "2 a . . . . a 2\na . . . . . . a"


def test_rows_of_the_territory_phase_with_two_regions() -> None:
    pos = position(POCKETS, phase="territory_processing", stacks={"4,7": "1", "4,5": "1"})
    assert after(pos, "T 0,0") == ("territory_processing", 1)
    pos = play(pos, "T 0,0")
    assert field(pos, "pend") == "territory"
    assert after(pos, "E territory 4,5") == ("territory_processing", 1)
    pos = play(pos, "E territory 4,5; T 7,0")
    assert legal(pos) == {"E territory 4,7"}


def test_row_payment_of_the_last_region_ends_the_turn() -> None:
    pos = position(
        ". a\na .", phase="territory_processing", stacks={"4,7": "1", "4,5": "1", "7,7": "2"}
    )
    assert after(play(pos, "T 0,0"), "E territory 4,7") == ("ring_placement", 2)


@pytest.mark.parametrize(
    ("act", "phase"), [(0, ("forced_elimination", 1)), (1, ("ring_placement", 2))]
)
def test_rows_skip_and_no_territory(act: int, phase: tuple[str, int]) -> None:
    region = position(
        BLOCKED + "\n.\n. . . . b\n. . . b . b\n. . . . b", phase="territory_processing", act=act
    )
    assert after(region, "ST") == phase
    none = position(BLOCKED, phase="territory_processing", act=act)
    assert after(none, "NT") == phase


def test_row_no_territory_action_without_a_stack() -> None:
    pos = position(stacks={"3,3": "12"}, phase="territory_processing", act=0)
    assert after(pos, "NT") == ("ring_placement", 2)


def test_row_forced_elimination() -> None:
    pos = position(BLOCKED, phase="forced_elimination", stacks={"7,7": "1222"})
    assert after(pos, "F 0,0") == ("ring_placement", 2)


# --- whole turns ----------------------------------------------------------------------------------


def test_21_16_turn_with_everything() -> None:
    diagram = """
        2 . . . a . . .
        . . . . a . . .
        . . . . a . . .
        a a a . . . . .
        . . . . . . . .
        . . . . 2 . 2 .
        . . . . . . . .
        . . . . . 11 . 1
    """
    pos = play(position(diagram, hand=(1, 0)), "P 3,3 1; M 3,3 3,5")
    assert (pos.phase, legal(pos)) == ("capture", {"SC", "C 3,5 4,5 5,5"})
    pos = play(pos, "C 3,5 4,5 5,5")
    assert (pos.phase, legal(pos)) == ("chain_capture", {"K 5,5 6,5 7,5"})
    pos = play(pos, "K 5,5 6,5 7,5")
    assert (pos.phase, legal(pos)) == ("line_processing", {"L 0,3|1,3|2,3|3,3"})
    pos = play(pos, "L 0,3|1,3|2,3|3,3")
    assert legal(pos) == {"E line 7,5", "E line 5,7", "E line 7,7"}
    pos = play(pos, "E line 7,7")
    assert legal(pos) == {"NL"}
    pos = play(pos, "NL")
    region = joined([f"{x},{y}" for x in range(4) for y in range(3)])
    assert (pos.phase, legal(pos)) == ("territory_processing", {f"T {region}", "ST"})
    pos = play(pos, f"T {region}")
    assert pos.last_border == "4,0:1 4,1:1 4,2:1"
    assert legal(pos) == {"E territory 7,5", "E territory 5,7"}
    pos = play(pos, "E territory 5,7")
    assert (pos.phase, pos.current_player) == ("ring_placement", 2)
    assert (pos.eliminated, pos.territory, pos.hands) == ((4, 0), (19, 0), (0, 0))
    collapsed = {f"{x},{y}" for x in range(4) for y in range(4)} | {"4,0", "4,1", "4,2"}
    assert_board(
        pos, stacks={"7,5": "221"}, markers={1: "3,5 5,5"}, collapsed={1: " ".join(collapsed)}
    )


@pytest.mark.parametrize(("board", "players"), CONFIGURATIONS)
def test_first_turn_on_every_configuration(board: str, players: int) -> None:
    """Place, move, `NL`, `NT`: then player 2 begins with ring_placement."""
    start, to = ("3,3", "3,5") if board.startswith("square") else ("0,0,0", "2,0,-2")
    pos = Position.start(board, players=players)
    phases = []
    for move in (f"P {start} 2", f"M {start} {to}", "NL", "NT"):
        assert move in legal(pos)
        phases.append(pos.phase)
        pos.play(move)
    assert phases == ["ring_placement", "movement", "line_processing", "territory_processing"]
    assert (pos.phase, pos.current_player, field(pos, "act"), field(pos, "only")) == (
        "ring_placement",
        2,
        "0",
        "-",
    )
    assert_board(pos, stacks={to: "11"}, markers={1: start})


def test_a_refused_move_changes_nothing() -> None:
    pos = play(Position.start("square8"), "P 3,3 2")
    before = (str(pos), pos.lps, pos.hash64, legal(pos))
    for move in ("P 0,0 1", "M 3,3 4,3", "M 0,0 0,1", "NM", "NL", "SC"):
        with pytest.raises(IllegalMove):
            pos.play(move)
        assert (str(pos), pos.lps, pos.hash64, legal(pos)) == before
    for move in ("nonsense", "", "M 3,3", "M 3,3 3,5 extra", "M 3,3 3,9"):
        with pytest.raises(InvalidMove):
            pos.play(move)
        assert (str(pos), pos.lps, pos.hash64, legal(pos)) == before


def test_nothing_can_be_played_once_the_game_is_over() -> None:
    pos = play(position(**OPEN, phase="territory_processing", elim=(18, 0)), "NT")
    assert legal(pos) == set()
    for move in ("NP", "NT", "P 3,3 1"):
        with pytest.raises(IllegalMove):
            pos.play(move)


def test_plies_and_turn_starts_are_counted() -> None:
    """`lps_updated` is true exactly after a move that began a turn; swaps and first turns begin none."""
    pos = Position.start("square8", swap_rule=True)
    seen = []
    for number, move in enumerate(
        ("P 3,3 1", "M 3,3 3,4", "NL", "NT", "SW", "P 0,7 1", "M 0,7 0,6", "NL", "NT")
    ):
        assert pos.ply == number
        pos.play(move)
        seen.append(pos.lps_updated)
    assert seen == [False, False, False, True, False, False, False, False, True]
    assert "square8_2p" in repr(pos)


def test_a_record_is_a_copy() -> None:
    pos = Position.start("square8")
    record = pos.record()
    pos.play("P 3,3 1")
    assert record["hand"][1] == 18
    assert pos.record()["hand"][1] == 17
