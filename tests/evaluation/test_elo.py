"""The link between win shares and Elo, for two and more players."""

import math

import pytest

from ringrift.evaluation.elo import (
    elo_from_score,
    elo_text,
    expected_score,
    nelo,
    pl_share,
    rate_for_players,
    score_from_elo,
)


@pytest.mark.parametrize("players", [2, 3, 4])
def test_link_is_invertible_and_null_is_an_equal_share(players):
    assert score_from_elo(0, players) == pytest.approx(1 / players)
    for elo in (-300.0, -20.0, 0.0, 50.0, 700.0):
        assert elo_from_score(score_from_elo(elo, players), players) == pytest.approx(elo)
    assert elo_from_score(0, players) == -math.inf
    assert elo_from_score(1, players) == math.inf
    with pytest.raises(ValueError, match="win share"):
        elo_from_score(1.2, players)


def test_two_player_rates_at_equal_odds():
    wanted = {
        0.40: (0.250, 0.182),
        0.55: (0.379, 0.289),
        0.70: (0.538, 0.438),
        0.95: (0.905, 0.864),
    }
    for rate, (three, four) in wanted.items():
        assert rate_for_players(rate, 2) == pytest.approx(rate)
        assert rate_for_players(rate, 3) == pytest.approx(three, abs=1e-3)
        assert rate_for_players(rate, 4) == pytest.approx(four, abs=1e-3)


def test_shares_of_all_seats_add_up_and_agree_with_the_link():
    shares = pl_share([1500, 1400, 1400])
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == pytest.approx(score_from_elo(100, 3))
    assert shares[1] == shares[2]
    assert pl_share([700.0]) == (1.0,)
    assert pl_share([1e6, 0.0]) == (1.0, 0.0)
    with pytest.raises(ValueError, match="ratings"):
        pl_share([])


def test_expected_score_of_two_is_the_logistic_curve():
    assert expected_score(1900, 1500) == pytest.approx(10 / 11)
    assert expected_score(1500, 1900) + expected_score(1900, 1500) == pytest.approx(1)
    assert score_from_elo(-1e6) == 0.0


@pytest.mark.parametrize(("players", "factor"), [(2, 347.4), (3, 368.5), (4, 401.2)])
def test_normalised_elo_has_its_factor_and_is_elo_to_first_order(players, factor):
    assert nelo(1 / players + 0.01, 1.0, players) == pytest.approx(
        factor * 0.01 / players**0.5, rel=1e-3
    )
    mean = score_from_elo(5, players)
    deviation = (mean * (1 - mean) / players) ** 0.5  # independent games
    assert nelo(mean, deviation, players) == pytest.approx(5, rel=0.02)
    assert nelo(1.0, 0.0, players) is None


def test_an_end_beyond_measure_is_said_so():
    assert elo_text(None) == "unknown"
    assert elo_text(12.4, (-3.2, 28.0)) == "+12 [-3, +28]"
    assert elo_text(math.inf, (193.2, math.inf)) == "> +193"
    assert elo_text(-math.inf, (-math.inf, -193.2)) == "< -193"
    assert elo_text(0.0, (-math.inf, math.inf)) == "beyond measure"
    assert elo_text(math.inf) == "beyond measure"
