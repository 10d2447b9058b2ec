"""Last player standing by rounds (rules.md 16); counters are written as FORMAT.md 5 says."""

from __future__ import annotations

import pytest

from ringrift.rules import Position

from .positions import legal, play, position

IDLE = "NP; NM; NL; NT"
# Player 2's only ring is buried under player 1's: he never has a real action.
LONELY = {"stacks": {"0,0": "21"}}
WALK = ("M 0,0 2,0", "M 2,0 4,0", "M 4,0 6,0", "M 6,0 6,2", "M 6,2 6,4", "M 6,4 6,6")
FAR_APART = (
    ("0,0,0", "0,1,-1"),
    ("3,-4,1", "4,-4,0"),
    ("-3,4,-1", "-4,4,0"),
    ("-2,-1,3", "-2,-2,4"),
)
TRACE_21_15 = (
    "1/2/-/0/-/2:0", "1/2/-/0/-/1:1,2:0",
    "2/2/1/1/1/2:0", "2/2/1/1/1/1:1,2:0",
    "3/2/1/2/1/2:0", "3/2/1/2/1/1:1,2:0",
    "4/2/1/3/1/2:0", "4/2/1/3/1/1:1,2:0",
)  # fmt: skip


def turn(pos: Position, move: str) -> Position:
    return play(pos, f"NP; {move}; NL; NT")


@pytest.mark.parametrize(("rounds", "turns"), [(3, 4), (1, 2), (2, 3)])
def test_21_15_trace(rounds: int, turns: int) -> None:
    """Player 1 wins at the start of his own turn, after as many rounds as the option says."""
    pos = position(**LONELY, options={"lps_rounds": rounds})
    seen = []
    for number in range(turns):
        assert not pos.is_over
        pos = turn(pos, WALK[number])
        assert (pos.is_over, pos.current_player) == (False, 2)
        seen.append(pos.lps)
        pos = play(pos, IDLE)
        seen.append(pos.lps)
    assert (pos.is_over, pos.winner, pos.result.reason) == (True, 1, "lps_rounds")
    assert pos.phase == "game_over"
    assert seen == list(TRACE_21_15[: 2 * turns])


def test_counters_are_empty_until_the_first_turn_has_passed() -> None:
    pos = Position.start("square8")
    assert pos.lps == "0/-/-/0/-/"
    for move in ("P 3,3 1", "M 3,3 4,3", "NL"):
        pos.play(move)
        assert pos.lps == "0/-/-/0/-/"
    pos.play("NT")
    assert pos.lps == "1/2/-/0/-/2:1"


def test_counters_of_a_normal_beginning_with_three_players() -> None:
    """Rounds begin with player 2; three players with rings in hand all have real actions."""
    pos = Position.start("hex8", players=3)
    seen = []
    for cell, to in FAR_APART:
        pos = play(pos, f"P {cell} 1; M {cell} {to}; NL; NT")
        seen.append(pos.lps)
    assert seen == ["1/2/-/0/-/2:1", "1/2/-/0/-/2:1,3:1", "1/2/-/0/-/1:1,2:1,3:1", "2/2/-/0/-/2:1"]


def test_an_action_of_the_other_returns_the_streak_to_zero() -> None:
    """Player 1's `21` lands on a marker and becomes player 2's: no win despite the streak, then streak 0."""
    pos = position(stacks={"0,0": "21", "7,7": "1"}, options={"lps_rounds": 1})
    pos = play(turn(pos, "M 0,0 2,0"), IDLE)
    assert pos.lps == "1/2/-/0/-/1:1,2:0"
    pos = turn(pos, "M 2,0 0,0")
    assert pos.stacks["0,0"] == "2"
    assert (pos.lps, pos.is_over) == ("2/2/1/1/1/2:1", False)
    pos = turn(pos, "M 0,0 0,1")
    assert (pos.lps, pos.is_over) == ("2/2/1/1/1/1:1,2:1", False)
    pos = turn(pos, "M 7,7 7,6")
    assert (pos.lps, pos.is_over) == ("3/2/-/0/-/2:1", False)


def test_having_an_action_counts_not_taking_one() -> None:
    """16, last paragraph: a ring in hand with a place is a real action."""
    pos = turn(position(**LONELY, hand=(0, 1)), WALK[0])
    assert pos.lps == "1/2/-/0/-/2:1"


def test_a_ring_in_hand_beyond_the_supply_is_no_action() -> None:
    """6.2: all of player 2's supply of one ring lies on the board."""
    pos = turn(position(**LONELY, hand=(0, 1), options={"rings_per_player": 1}), WALK[0])
    assert pos.lps == "1/2/-/0/-/2:0"


def test_recovery_and_forced_elimination_are_no_actions() -> None:
    recovering = turn(position(**LONELY, markers={2: "7,7"}), WALK[0])
    assert "SR" in legal(play(recovering, "NP"))
    assert recovering.lps == "1/2/-/0/-/2:0"
    blocked = turn(position("2 11 . . 1\n11 11"), "M 4,0 4,1")
    assert blocked.lps == "1/2/-/0/-/2:0"
    assert legal(play(blocked, "NP; NM; NL")) == {"F 0,0"}


def test_only_a_capture_is_an_action() -> None:
    pos = turn(position("2 1 . . 1\n11 11"), "M 4,0 4,1")
    assert pos.lps == "1/2/-/0/-/2:1"


def test_a_new_cycle_begins_when_the_first_player_goes_out() -> None:
    """Player 2 opens round 1 and is eliminated in that turn: player 3 opens round 2."""
    pos = position("2 11 . . 1\n11 11", players=3, stacks={"7,7": "3"})
    pos = turn(pos, "M 4,0 4,1")
    assert pos.lps == "1/2/-/0/-/2:0"
    pos = play(pos, "NP; NM; NL; F 0,0")
    assert (pos.current_player, pos.lps) == (3, "2/3/-/0/-/3:1")
    pos = turn(pos, "M 7,7 7,6")
    assert (pos.current_player, pos.lps) == (1, "2/3/-/0/-/1:1,3:1")


def test_a_streak_survives_when_the_opener_of_the_rounds_goes_out() -> None:
    """Player 2 opens the rounds and recovers his only ring, which is the end of him: player 1's streak stands."""
    pos = position(players=3, stacks={"0,0": "21", "7,7": "31"}, markers={2: "4,4"})
    pos = play(turn(pos, "M 0,0 2,0"), f"NP; SR; NL; NT; {IDLE}")
    assert pos.lps == "1/2/-/0/-/1:1,2:0,3:0"
    pos = turn(pos, "M 2,0 4,0")
    assert pos.lps == "2/2/1/1/1/2:0"
    pos = play(pos, "NP; R F 4,4 4,5 0 * 4,0; NL; NT")
    assert (pos.stacks, pos.current_player) == ({"4,0": "1", "7,7": "31"}, 3)
    assert pos.lps == "3/3/-/1/1/3:0"
    pos = turn(play(pos, IDLE), "M 4,0 5,0")
    assert (pos.current_player, pos.lps) == (3, "4/3/1/2/1/3:0")


def test_three_players_need_a_full_round_of_all() -> None:
    """The streak grows only when player 2, who opened the round, is to move again."""
    pos = position(players=3, stacks={"0,0": "231"}, options={"lps_rounds": 1})
    pos = turn(pos, "M 0,0 3,0")
    pos = play(pos, IDLE)
    assert pos.lps == "1/2/-/0/-/2:0,3:0"
    pos = play(pos, IDLE)
    assert (pos.lps, pos.is_over) == ("1/2/-/0/-/1:1,2:0,3:0", False)
    pos = turn(pos, "M 3,0 6,0")
    assert pos.lps == "2/2/1/1/1/2:0"
    pos = play(pos, IDLE)
    assert (pos.lps, pos.is_over) == ("2/2/1/1/1/2:0,3:0", False)
    pos = play(pos, IDLE)
    assert (pos.winner, pos.result.reason) == (1, "lps_rounds")


def test_a_parsed_position_begins_with_empty_counters() -> None:
    pos = play(turn(position(**LONELY), WALK[0]), IDLE)
    again = Position.parse(str(pos), board="square8", players=2)
    assert (str(again), again.lps) == (str(pos), "0/-/-/0/-/")
    assert turn(again, WALK[1]).lps == "1/2/-/0/-/2:0"


def test_another_victory_at_the_same_end_comes_first() -> None:
    """END decides before the counters are touched."""
    pos = turn(position(**LONELY, elim=(18, 0)), WALK[0])
    assert (pos.winner, pos.result.reason, pos.lps) == (1, "ring_elimination", "0/-/-/0/-/")
