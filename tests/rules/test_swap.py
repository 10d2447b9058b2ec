"""The swap of sides (rules.md 18)."""

from __future__ import annotations

import pytest

from ringrift.rules import IllegalMove, Position

from .positions import field, legal, play, position

FIRST_TURN = "P 3,3 2; M 3,3 3,5; NL; NT"
ON = {"swap_rule": True}


def test_offered_as_player_2s_first_ply_only() -> None:
    pos = Position.start("square8", **ON)
    assert "SW" not in legal(pos)
    pos = play(pos, FIRST_TURN)
    assert (pos.current_player, "SW" in legal(pos)) == (2, True)
    later = play(pos, "P 0,0 1; M 0,0 0,1; NL; NT")
    assert "SW" not in legal(later)
    later = play(later, "P 7,7 1; M 7,7 7,6; NL; NT")
    assert (later.current_player, "SW" in legal(later)) == (2, False)


@pytest.mark.parametrize(
    ("players", "options"), [(2, {}), (2, {"swap_rule": False}), (3, ON), (4, ON)]
)
def test_never_offered_without_the_rule_or_to_more_players(
    players: int, options: dict[str, bool]
) -> None:
    pos = play(Position.start("square8", players=players, **options), FIRST_TURN)
    assert "SW" not in legal(pos)
    with pytest.raises(IllegalMove):
        pos.play("SW")


def test_the_rest_of_the_set_is_the_ordinary_one() -> None:
    with_rule = play(Position.start("hex8", **ON), "P 0,0,0 1; M 0,0,0 0,1,-1; NL; NT")
    without = play(Position.start("hex8"), "P 0,0,0 1; M 0,0,0 0,1,-1; NL; NT")
    assert legal(with_rule) - legal(without) == {"SW"}
    assert legal(without) <= legal(with_rule)


def test_effect_is_on_nothing_but_the_acted_flag() -> None:
    """Board, hands, counters, player and phase stay; no round is counted; no second swap."""
    pos = play(Position.start("square8", **ON), FIRST_TURN)
    swapped = play(pos, "SW")
    assert str(swapped) == str(pos).replace("act=0", "act=1")
    assert swapped.lps == pos.lps
    assert legal(swapped) == legal(pos) - {"SW"}


def test_swap_counts_as_acting_for_a_blocked_player() -> None:
    """18: after `SW` a blocked player 2 is not forced, his turn ends with `NT`."""
    start = position("2 11\n11 11", stacks={"7,0": "1"}, options=ON)
    start = play(start, "NP; M 7,0 7,1; NL; NT")
    assert legal(start) == {"NP", "SW"}
    swapped = play(start, "SW; NP; NM; NL")
    assert (swapped.phase, legal(swapped)) == ("territory_processing", {"NT"})
    ended = play(swapped, "NT")
    assert (ended.current_player, ended.eliminated) == (1, (0, 0))
    forced = play(start, "NP; NM; NL")
    assert forced.phase == "forced_elimination"


def test_not_offered_to_a_position_without_a_move_of_player_1() -> None:
    """A parsed position has no history: player 2 to move first is not offered a swap."""
    pos = position(stacks={"3,3": "1"}, hand=(17, 18), cur=2, options=ON)
    assert "SW" not in legal(pos)


def test_swap_belongs_to_the_placement_phase() -> None:
    pos = play(Position.start("square8", **ON), f"{FIRST_TURN}; P 0,0 1")
    assert "SW" not in legal(pos)
    assert field(pos, "ph") == "movement"
