"""Elo game by game, which is for display only."""

import pytest

from ringrift.evaluation.elo import EloCalculator, EloRating


def test_a_newcomer_moves_by_40_and_later_by_k():
    calculator = EloCalculator(k=24)
    first, second = calculator.add(["a", "b"], [1, 2])
    assert (first.elo, second.elo) == (1520.0, 1480.0)
    for _ in range(29):
        calculator.add(["a", "c"], [1, 1])
    before = calculator.rating("a")
    assert before.games == 30
    after, _ = calculator.add(["a", "new"], [2, 1])
    surprise = 1.0 / (1.0 + 10 ** ((1500.0 - before.elo) / 400.0))
    assert after.elo == pytest.approx(before.elo - 24 * surprise)


def test_a_strong_player_moves_by_16():
    calculator = EloCalculator()
    assert calculator.k_of(EloRating(player="a", elo=2400.0, games=30)) == 16
    assert calculator.k_of(EloRating(player="a", elo=2399.0, games=30)) == 32
    assert calculator.k_of(EloRating(player="a", elo=2500.0, games=29)) == 40


def test_several_players_are_all_pairs_and_ties_are_half():
    calculator = EloCalculator()
    found = calculator.add(["a", "b", "c"], [1, 2, 2])
    assert [rating.elo for rating in found] == [1520.0, 1490.0, 1490.0]
    assert sum(rating.elo for rating in calculator.ratings.values()) == 4500.0


def test_the_deviation_falls_to_50():
    games = (0, 1, 100, 1000)
    shown = [EloRating(player="a", elo=0.0, games=count).deviation for count in games]
    assert shown == [350.0, 347.0, 50.0, 50.0]


@pytest.mark.parametrize(
    ("players", "ranks"), [(["a"], [1]), (["a", "a"], [1, 2]), (["a", "b"], [1])]
)
def test_no_game_is_refused(players, ranks):
    with pytest.raises(ValueError, match="players"):
        EloCalculator().add(players, ranks)
