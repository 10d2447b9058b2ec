"""Packed moves and their texts: what is written, what is refused (rules.md 3, design.md 5)."""

from __future__ import annotations

import pytest

from ringrift.core.errors import RingriftError
from ringrift.rules import InvalidMove, Position
from ringrift.rules import moves as mv
from ringrift.rules.warm import warm_up

from .positions import legal, position

RUN = "0,0|1,0|2,0|3,0|4,0"


def overlength() -> Position:
    return position("a a a a a", phase="line_processing", stacks={"7,7": "1"})


@pytest.mark.parametrize(
    "text",
    [
        f"O {RUN} 0,0|1,0|2,0",  # a window is L cells long
        f"O {RUN} 0,0|1,0|2,0|3,0|4,0",
        f"O {RUN} 0,0|0,1|0,2|0,3",  # and lies on the line's axis
        f"O {RUN} 0,0|1,0|2,0|4,0",  # without a gap
        "O 0,0|1,0|2,0|4,0|5,0 *",
        "O 0,0|1,0|2,0|3,0|4,1 *",
        "L 0,0",
        "L 0,0|2,0|4,0|6,0",
        "O 0,0|1,0|2,0|3,0|4,0 ",
    ],
)
def test_lines_and_windows_must_be_straight_and_complete(text: str) -> None:
    assert f"O {RUN} 1,0|2,0|3,0|4,0" in legal(overlength())
    with pytest.raises(InvalidMove):
        overlength().play(text)


def test_a_window_beside_the_line_is_illegal() -> None:
    """Well formed, but no move of the position."""
    with pytest.raises(RingriftError):
        overlength().play(f"O {RUN} 4,0|5,0|6,0|7,0")


@pytest.mark.parametrize(
    "text",
    [
        "R L 1,4 1,3 2 0,3|1,3|2,3 -",
        "R L 1,4 1,3 2 0,3|1,3|2,3|3,3|4,3 -",
        "R L 1,4 1,3 2 * -",
        "R L 1,4 1,3 2 0,3|1,3|2,3|3,3 7,7",
        "R L 1,4 1,3 1 0,3|1,3|2,3|3,3 7,7",
        "R L 1,4 1,3 1 * -",
        "R L 1,4 1,3 0 * 7,7",
        "R F 1,4 1,3 1 * 7,7",
        "R S 1,4 1,3 2 * 7,7",
        "R L 1,4 1,3 3 * 7,7",
    ],
)
def test_recovery_texts_fit_their_mode_and_option(text: str) -> None:
    pos = position(phase="movement", stacks={"7,7": "12"}, markers={1: "0,3 2,3 3,3 4,3 5,3 1,4"})
    assert {"R L 1,4 1,3 1 * 7,7", "R L 1,4 1,3 2 0,3|1,3|2,3|3,3 -"} <= legal(pos)
    with pytest.raises(InvalidMove):
        pos.play(text)


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (mv.LINE | 63 << mv.A_SHIFT | 0 << mv.B_SHIFT, "a line that runs off the board"),
        (mv.OPTION | 0 << mv.A_SHIFT | 32 << mv.B_SHIFT | 56 << mv.C_SHIFT, "a window that does"),
    ],
)
def test_packed_lines_off_the_board_have_no_text(packed: int, what: str) -> None:
    with pytest.raises(InvalidMove, match="off the board"):
        overlength().move_text(packed)
    with pytest.raises(RingriftError):
        overlength().play(packed)


def test_warm_up_takes_its_time_and_leaves_the_rules_usable() -> None:
    assert warm_up() >= 0.0
    assert len(legal(Position.start("square8"))) == 192
