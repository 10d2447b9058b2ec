"""The final ranking (rules.md 17), as ranks per seat."""

from __future__ import annotations

from typing import Any

import pytest

from .positions import cells_of, play, position

CELLS = cells_of("square8")
FOUR = {"7,7": "1", "7,6": "2", "7,5": "3", "7,4": "4"}


def cells_each(*counts: int) -> dict[int, str]:
    """Give each seat so many cells from the top left on."""
    rest = iter(CELLS)
    return {
        seat: " ".join(next(rest) for _ in range(count))
        for seat, count in enumerate(counts, start=1)
    }


def ranking(players: int = 4, **fields: Any) -> tuple[int, ...]:
    """End a turn in phase territory_processing, which must end the game."""
    stacks = {cell: ring for cell, ring in FOUR.items() if int(ring) <= players}
    pos = position(players=players, phase="territory_processing", **({"stacks": stacks} | fields))
    pos = play(pos, "NT" if "NT" in {str(move) for move in pos.legal_moves()} else "ST")
    assert pos.is_over
    assert pos.result.ranking[pos.winner - 1] == 1
    return tuple(pos.result.ranking)


def test_two_players() -> None:
    assert ranking(2, elim=(18, 0)) == (1, 2)
    assert ranking(2, elim=(0, 18)) == (2, 1)


def test_the_winner_is_first_whatever_the_others_have() -> None:
    """Player 1 wins by rings with no territory at all."""
    assert ranking(elim=(30, 29, 0, 0), collapsed=cells_each(0, 5, 9, 7)) == (1, 4, 2, 3)


def test_territory_then_rings() -> None:
    assert ranking(elim=(30, 2, 3, 9), collapsed=cells_each(0, 5, 5, 4)) == (1, 3, 2, 4)


@pytest.mark.parametrize(
    ("markers", "expected"),
    [({2: "4,1", 4: "4,3 4,5"}, (1, 3, 4, 2)), ({3: "4,1", 2: "4,3", 4: "4,5"}, (1, 2, 2, 2))],
)
def test_markers_break_ties_of_territory_and_rings(
    markers: dict[int, str], expected: tuple[int, ...]
) -> None:
    assert ranking(elim=(30, 2, 2, 2), markers=markers) == expected


def test_full_ties_share_a_rank_and_the_next_is_skipped() -> None:
    assert ranking(elim=(30, 2, 2, 1)) == (1, 2, 2, 4)
    assert ranking(elim=(30, 1, 2, 2)) == (1, 4, 2, 2)
    assert ranking(elim=(2, 2, 30, 2)) == (2, 2, 1, 2)


def test_players_still_in_come_before_players_who_are_out() -> None:
    """Level in all else: player 3 has no ring anywhere."""
    stacks = {"7,7": "1", "7,6": "2", "7,4": "4"}
    assert ranking(elim=(30, 2, 2, 2), stacks=stacks) == (1, 2, 4, 2)


BLOCKED_CORNERS = """
    2  11 .  .  .  .  .  .
    11 11 .  .  .  .  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  .  .  .
    .  .  .  .  .  .  11 11
    .  .  .  .  .  .  11 3
"""


def test_the_later_elimination_is_the_better() -> None:
    """Player 4 was out before, then player 2 and player 3 lose their last ring, one credit each."""
    pos = position(BLOCKED_CORNERS, players=4, cur=2, elim=(0, 0, 0, 1))
    pos = play(pos, "NP; NM; NL; F 0,0")
    assert (pos.is_over, pos.current_player) == (False, 3)
    pos = play(pos, "NP; NM; NL; F 7,7")
    assert (pos.winner, pos.eliminated) == (1, (0, 1, 1, 1))
    assert tuple(pos.result.ranking) == (1, 3, 2, 4)


def test_players_eliminated_in_the_same_turn_share_a_rank() -> None:
    pos = position(
        "2 3 a\na a", players=3, phase="territory_processing", stacks={"7,7": "11", "6,6": "1"}
    )
    pos = play(pos, "T 0,0|1,0; E territory 6,6")
    assert (pos.winner, pos.result.reason) == (1, "last_player_standing")
    assert tuple(pos.result.ranking) == (1, 2, 2)


def test_hand_rings_count_where_the_bare_board_counted_them() -> None:
    """Steps 5-9 with `handcount`: player 3's three hand rings beat player 2's two credits."""
    holes = ("0,0", "7,7", "7,0", "0,7")
    filled = [cell for cell in CELLS if cell not in holes]
    walls = {seat: " ".join(filled[20 * (seat - 1) : 20 * seat]) for seat in (1, 2, 3)}
    pos = position(
        players=3, collapsed=walls, stacks={"0,0": "1"}, elim=(4, 2, 0), hand=(0, 0, 3),
    )  # fmt: skip
    pos = play(pos, "NP; NM; NL; F 0,0")
    assert (pos.winner, pos.result.reason, pos.eliminated) == (1, "ring_elimination", (5, 2, 0))
    assert tuple(pos.result.ranking) == (1, 3, 2)


def test_hand_rings_do_not_count_in_other_endings() -> None:
    assert ranking(3, elim=(24, 2, 0), hand=(0, 0, 3)) == (1, 2, 3)


def test_ranking_after_rounds() -> None:
    """`lps_rounds` ends are ranked like any other: players 2 and 3, both buried, differ in rings."""
    pos = position(players=3, stacks={"0,0": "231"}, elim=(0, 1, 2), options={"lps_rounds": 1})
    idle = "NP; NM; NL; NT"
    pos = play(pos, f"NP; M 0,0 3,0; NL; NT; {idle}; {idle}; NP; M 3,0 6,0; NL; NT; {idle}; {idle}")
    assert (pos.winner, pos.result.reason) == (1, "lps_rounds")
    assert tuple(pos.result.ranking) == (1, 3, 2)
