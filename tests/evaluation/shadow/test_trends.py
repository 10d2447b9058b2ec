"""The trend over rounds, and the falls that are alerted."""

import math

import pytest
from tests.evaluation.shadow.made import CONFIG, a_round, result

from ringrift.evaluation.elo import score_from_elo
from ringrift.evaluation.shadow.trends import drop, trend

ELOS = (0, 14, 19, 33, 41, 48, 63, 69, 80, 92)


def rounds_of(elos):
    return [
        a_round(result(0.0, opponent="heuristic", rate=score_from_elo(elo), games=100_000))
        for elo in elos
    ]


def test_a_slope_counts_only_where_its_interval_excludes_0():
    up, down = trend(CONFIG, rounds_of(ELOS)), trend(CONFIG, rounds_of(ELOS[::-1]))
    assert up.word == "improving"
    assert up.slope == pytest.approx(10.0, abs=0.3)
    assert up.slope_ci95[0] < up.slope < up.slope_ci95[1]
    assert trend(CONFIG, rounds_of([e * 1.5 for e in ELOS[::-1]])).word == "regressing"
    assert down.word == "stable"  # -10 a round is not below -10
    assert trend(CONFIG, rounds_of([0, 90, -80, 60, 10])).word == "stable"
    assert trend(CONFIG, rounds_of([e * 0.3 for e in ELOS])).word == "stable"


def test_the_slope_is_that_of_an_independent_fit():
    from scipy.stats import linregress

    elos = [0, 20, 3, 35, 41]
    fit = linregress(range(5), elos)
    found = trend(CONFIG, rounds_of(elos))
    assert found.slope == pytest.approx(fit.slope, rel=1e-2)
    half = (found.slope_ci95[1] - found.slope_ci95[0]) / 2
    assert half == pytest.approx(3.182446 * fit.stderr, rel=1e-2)


def test_only_the_last_ten_rounds_count_and_three_are_needed():
    assert trend(CONFIG, rounds_of([-9000, *ELOS])).slope == trend(CONFIG, rounds_of(ELOS)).slope
    few = trend(CONFIG, rounds_of([0, 50]))
    assert (few.rounds, few.slope, few.word) == (2, None, None)


def test_a_round_without_a_loss_has_a_finite_elo():
    sure = [a_round(result(None, opponent="heuristic", rate=1.0)) for _ in range(3)]
    assert math.isfinite(trend(CONFIG, sure).slope)


@pytest.mark.parametrize(
    ("elos", "widths", "fell"),
    [
        ((-60, -50), (20, 20), True),
        ((-60, -29), (20, 20), False),
        ((-60, -30), (20, 20), True),
        ((-60, -50), (20, 60), False),
        ((-20, -50), (10, 20), False),
        ((-60,), (20,), False),
        ((100, -60, -50), (20, 20, 20), True),
        ((-60, None), (20, 20), True),
        ((-60, -50, 10), (20, 20, 20), False),
    ],
)
def test_a_fall_needs_two_rounds_in_a_row_each_beyond_doubt(elos, widths, fell):
    rounds = [
        a_round(result(elo, half_width=width)) for elo, width in zip(elos, widths, strict=True)
    ]
    found = drop(rounds, threshold=30)
    assert (found is not None) is fell
    if found is not None and elos[-1] is not None:
        values = found.values()
        assert values["drop"] == -elos[-1]
        assert values["se"] == pytest.approx(widths[-1] / 1.96, rel=1e-3)
        assert values["previous_id"] == "f" * 64


def test_rounds_against_fixed_agents_alone_never_alert():
    rounds = [a_round(result(-500, opponent="heuristic")) for _ in range(3)]
    assert drop(rounds, threshold=30) is None
