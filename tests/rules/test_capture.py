"""Capture segments and chains (rules.md 8)."""

from __future__ import annotations

import pytest

from .positions import assert_board, field, legal, legal_starting, play, position, segments


def test_21_2_capture_that_loses_the_capturer() -> None:
    pos = position("21 2 a", phase="movement")
    pos = play(pos, "C 0,0 1,0 2,0")
    assert_board(pos, stacks={"2,0": "22"}, markers={1: "0,0"})
    assert (pos.phase, pos.eliminated) == ("line_processing", (1, 0))


def test_21_3_reversing_chain() -> None:
    pos = position("11 . . 22", phase="movement")
    assert legal_starting(pos, "C") == segments("C", "0,0", "3,0", "4,0 5,0 6,0 7,0")
    pos = play(pos, "C 0,0 3,0 4,0")
    assert_board(pos, stacks={"3,0": "2", "4,0": "211"}, markers={1: "0,0"})
    assert (pos.phase, field(pos, "only")) == ("chain_capture", "4,0")
    assert legal(pos) == segments("K", "4,0", "3,0", "1,0 0,0")
    short = play(pos, "K 4,0 3,0 1,0")
    assert_board(short, stacks={"1,0": "2211"}, markers={1: "0,0 4,0"})
    assert short.phase == "line_processing"
    home = play(pos, "K 4,0 3,0 0,0")
    assert_board(home, stacks={"0,0": "221"}, markers={1: "4,0"})
    assert (home.phase, home.eliminated) == ("line_processing", (1, 0))


@pytest.mark.parametrize(
    ("row", "landings"),
    [
        ("1 2 . .", "2,0 3,0 4,0 5,0 6,0 7,0"),
        ("11 2 . .", "2,0 3,0 4,0 5,0 6,0 7,0"),
        ("111 2 . .", "3,0 4,0 5,0 6,0 7,0"),  # distance counts from the start
        ("1111111 2 . .", "7,0"),
        ("1 22 .", ""),  # cap 2 beats cap 1
        ("2221 22 .", ""),  # height does not help, the cap decides
        ("11 22 .", "2,0 3,0 4,0 5,0 6,0 7,0"),
        ("1 2221 .", "2,0 3,0 4,0 5,0 6,0 7,0"),  # own stacks may be taken; the target's cap counts
        ("1 . a b 2 a b .", "5,0 6,0 7,0"),  # markers do not matter
        ("1 A 2 .", ""),  # collapsed before the target
        ("1 2 A .", ""),  # collapsed behind it
        ("1 2 . A .", "2,0"),
        ("1 2 2 .", ""),  # a stack right behind
        ("1 2 . 2 .", "2,0"),
        ("1 . . . . . . 2", ""),  # the edge behind
        ("11 2 . 2", "2,0"),
        ("111 2 . 2", ""),  # every landing is too near
    ],
)
def test_segments_along_a_row(row: str, landings: str) -> None:
    pos = position(row, phase="movement")
    target = next(x for x, token in enumerate(row.split()) if x and token.isdigit())
    assert legal_starting(pos, "C 0,0") == segments("C", "0,0", f"{target},0", landings)


def test_only_the_first_stack_of_a_ray_is_a_target() -> None:
    pos = position("1 . 22 . 2 .", phase="movement")
    assert legal_starting(pos, "C 0,0") == set()


def test_markers_on_both_legs_flip_and_collapse_but_the_target_cell_stays_bare() -> None:
    """8.2: leg one holds b and a, leg two a and b; the emptied target cell gets no marker."""
    pos = play(position("11 b a 2 a b .", phase="movement"), "C 0,0 3,0 6,0")
    assert_board(pos, stacks={"6,0": "211"}, markers={1: "0,0 1,0 5,0"}, collapsed={1: "2,0 4,0"})
    assert (pos.territory, pos.eliminated) == ((2, 0), (0, 0))


def test_captured_ring_goes_to_the_bottom_and_the_rest_stays() -> None:
    """The target loses its top ring only; what remains may change hands."""
    pos = play(position("11 . 12 .", phase="movement"), "C 0,0 2,0 3,0")
    assert dict(pos.stacks) == {"2,0": "1", "3,0": "211"}
    pos = play(position("333 112", players=3, cur=3, phase="movement"), "C 0,0 1,0 3,0")
    assert dict(pos.stacks) == {"1,0": "11", "3,0": "2333"}


def test_capturing_an_own_stack() -> None:
    pos = play(position("1 21 .", phase="movement"), "C 0,0 1,0 2,0")
    assert_board(pos, stacks={"1,0": "2", "2,0": "11"}, markers={1: "0,0"})
    assert pos.phase == "chain_capture"


def test_landing_on_a_marker_removes_the_top_after_the_captured_ring_is_added() -> None:
    pos = play(position("1 2 b", phase="movement"), "C 0,0 1,0 2,0")
    assert_board(pos, stacks={"2,0": "2"}, markers={1: "0,0"})
    assert (pos.eliminated, pos.phase) == ((1, 0), "line_processing")


def test_a_lone_ring_survives_on_a_captured_own_ring() -> None:
    """8.2.4: the attacker always keeps the captured ring, so it stays player 1's and goes on."""
    pos = play(position("1 21 a\n. . .\n2", phase="movement"), "C 0,0 1,0 2,0")
    assert_board(pos, stacks={"1,0": "2", "2,0": "1", "0,2": "2"}, markers={1: "0,0"})
    assert pos.eliminated == (1, 0)
    assert pos.phase == "chain_capture"
    assert legal(pos) == segments("K", "2,0", "1,0", "0,0")


def test_chain_that_returns_and_takes_one_target_three_times() -> None:
    """`122` on 2,0: two rings of player 2 and then player 1's own go under the attacker."""
    pos = play(position("11 . 122", phase="movement"), "C 0,0 2,0 3,0")
    assert dict(pos.stacks) == {"2,0": "12", "3,0": "211"}
    assert legal(pos) == segments("K", "3,0", "2,0", "0,0")
    pos = play(pos, "K 3,0 2,0 0,0")
    assert_board(pos, stacks={"0,0": "221", "2,0": "1"}, markers={1: "3,0"})
    assert pos.eliminated == (1, 0)
    assert legal(pos) == segments("K", "0,0", "2,0", "3,0 4,0 5,0 6,0 7,0")
    pos = play(pos, "K 0,0 2,0 4,0")
    assert_board(pos, stacks={"4,0": "1221"}, markers={1: "0,0"}, collapsed={1: "3,0"})
    assert (pos.territory, pos.phase) == ((1, 0), "line_processing")


def test_chain_may_turn_and_offers_every_target() -> None:
    """From 2,0: `2` on 2,2 to the south and `2` on 4,2 on the diagonal, landings at distance >= 2."""
    pos = play(position("1 2 .\n.\n. . 2 . 2", phase="movement"), "C 0,0 1,0 2,0")
    south = segments("K", "2,0", "2,2", "2,3 2,4 2,5 2,6 2,7")
    diagonal = segments("K", "2,0", "4,2", "5,3 6,4 7,5")
    assert legal(pos) == south | diagonal


def test_chain_capture_cannot_be_skipped_and_belongs_to_one_stack() -> None:
    pos = play(position("1 2 .\n.\n. . 2\n.\n.\n1 2 .", phase="movement"), "C 0,0 1,0 2,0")
    assert pos.phase == "chain_capture"
    assert {text.split()[0] for text in legal(pos)} == {"K"}
    assert {text.split()[1] for text in legal(pos)} == {"2,0"}


def test_chain_grows_the_height_that_landings_need() -> None:
    """After two captures the stack is three high: from 4,0 it needs three steps over 4,1."""
    pos = play(
        position("1 2 . 2 .\n. . . . 2\n.\n.", phase="movement"), "C 0,0 1,0 2,0; K 2,0 3,0 4,0"
    )
    assert dict(pos.stacks) == {"4,0": "221", "4,1": "2"}
    assert legal(pos) == segments("K", "4,0", "4,1", "4,3 4,4 4,5 4,6 4,7")


def test_capture_phase_offers_the_landing_stack_and_the_skip() -> None:
    """After a simple move only the moved stack may capture, and `SC` is always there."""
    pos = play(position("1 . . 2 .\n.\n1 2 .", phase="movement"), "M 0,0 2,0")
    assert (pos.phase, field(pos, "only")) == ("capture", "2,0")
    assert legal(pos) == {"SC"} | segments("C", "2,0", "3,0", "4,0 5,0 6,0 7,0")
    assert play(pos, "SC").phase == "line_processing"
    assert play(pos, "C 2,0 3,0 4,0").phase == "line_processing"


def test_capture_in_the_capture_phase_may_begin_a_chain() -> None:
    pos = play(position("1 . . 2 . 2 .", phase="movement"), "M 0,0 2,0; C 2,0 3,0 4,0")
    assert (pos.phase, field(pos, "only")) == ("chain_capture", "4,0")
    assert legal(pos) == segments("K", "4,0", "5,0", "6,0 7,0")


@pytest.mark.parametrize("board", ["hex8", "hexagonal"])
def test_hex_capture_and_chain(board: str) -> None:
    """Along (1,0,-1), then back along (-1,1,0)."""
    stacks = {"0,0,0": "1", "1,0,-1": "2", "1,1,-2": "3"}
    pos = position(board=board, players=3, phase="movement", stacks=stacks)
    pos = play(pos, "C 0,0,0 1,0,-1 2,0,-2")
    assert_board(pos, stacks={"2,0,-2": "21", "1,1,-2": "3"}, markers={1: "0,0,0"})
    reach = {"hex8": 4, "hexagonal": 12}[board]
    landings = " ".join(f"{2 - d},{d},-2" for d in range(2, reach + 1))
    assert legal(pos) == segments("K", "2,0,-2", "1,1,-2", landings)


def test_must_move_restricts_captures_too() -> None:
    pos = play(position("1 2 .\n.\n.", hand=(1, 0)), "P 0,7 1")
    assert legal_starting(pos, "C") == set()
    assert legal_starting(pos, "M 0,0") == set()
