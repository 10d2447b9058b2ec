"""Which rings each kind of elimination removes, and who is credited (rules.md 11)."""

from __future__ import annotations

import pytest

from .positions import play, position


def test_line_payment_takes_the_top_ring() -> None:
    pos = play(
        position("a a a a", phase="line_processing", stacks={"7,7": "2111"}),
        "L 0,0|1,0|2,0|3,0; E line 7,7",
    )
    assert (pos.stacks, pos.eliminated) == ({"7,7": "211"}, (1, 0))


@pytest.mark.parametrize(
    ("stack", "left", "credit"),
    [("2111", "2", 3), ("1", None, 1), ("1121", "112", 1), ("111", None, 3)],
)
def test_territory_payment_takes_the_cap(stack: str, left: str | None, credit: int) -> None:
    """The region 0,0 is empty, so all credit comes from the payment."""
    pos = position(
        ". a\na .", phase="territory_processing", stacks={"7,7": stack, "5,5": "2", "4,5": "1"}
    )
    pos = play(pos, "T 0,0; E territory 7,7")
    assert (pos.stacks.get("7,7"), pos.eliminated) == (left, (credit, 0))


@pytest.mark.parametrize(
    ("stack", "left", "credit"), [("2111", "2", 3), ("21", "2", 1), ("1", None, 1)]
)
def test_forced_elimination_takes_the_cap(stack: str, left: str | None, credit: int) -> None:
    walls = {"1,0": "2222", "0,1": "2222", "1,1": "2222"}
    pos = position(phase="forced_elimination", stacks=walls | {"0,0": stack})
    pos = play(pos, "F 0,0")
    assert (pos.stacks.get("0,0"), pos.eliminated) == (left, (credit, 0))


@pytest.mark.parametrize(
    ("stack", "left"),
    [("1212", "212"), ("2112", "212"), ("12", "2"), ("1211", "211"), ("2121", "221")],
)
def test_recovery_payment_takes_the_lowest_own_ring(stack: str, left: str) -> None:
    """Of stacks of any controller, as long as one ring below the top is player 1's."""
    stacks = {"0,0": "2", "7,7": stack, "5,5": "2"}
    pos = position(". a\na .", phase="territory_processing", rec=1, stacks=stacks)
    pos = play(pos, "T 0,0; E recovery 7,7")
    assert (pos.stacks["7,7"], pos.eliminated) == (left, (2, 0))


@pytest.mark.parametrize(
    ("cur", "stack", "left"), [(1, "2211", "221"), (2, "1122", "112"), (1, "2221", "222")]
)
def test_landing_on_a_marker_takes_the_top_ring_and_credits_the_mover(
    cur: int, stack: str, left: str
) -> None:
    pos = play(
        position(f"{stack} . . . a", cur=cur, phase="movement", stacks={"7,7": "2"}), "M 0,0 4,0"
    )
    assert pos.stacks["4,0"] == left
    assert pos.eliminated == ((1, 0) if cur == 1 else (0, 1))


def test_region_interior_is_credited_whole_to_the_mover() -> None:
    """All colours, own rings included."""
    stacks = {"0,0": "2132", "1,0": "1", "7,7": "1", "6,6": "3"}
    pos = position(". . a\na a .", players=3, phase="territory_processing", stacks=stacks)
    pos = play(pos, "T 0,0|1,0")
    assert (pos.eliminated, pos.territory) == ((5, 0, 0), (5, 0, 0))


def test_strike_and_extraction_credit_one_ring_each() -> None:
    pos = position("a 322", players=3, phase="movement", stacks={"7,7": "13"})
    pos = play(pos, "R S 0,0 1,0 0 * 7,7")
    assert (pos.stacks, pos.eliminated) == ({"1,0": "32", "7,7": "3"}, (2, 0, 0))
