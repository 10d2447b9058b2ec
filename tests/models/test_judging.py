"""The rule of promotion on made-up results."""

from dataclasses import replace

import pytest

from ringrift.core.errors import DataError
from ringrift.models.judging import Rules, decide

from .made import PLAIN, in_full, match, measured


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [("accept", "promoted"), ("reject", "rejected"), ("inconclusive", "inconclusive")],
)
def test_the_sequential_test_decides_above_the_floors(verdict, outcome):
    found = decide(measured(verdict), PLAIN)
    assert found.outcome == outcome
    assert "60 games" in found.reason


def test_an_unfinished_test_is_never_decided():
    with pytest.raises(DataError, match="not finished"):
        decide(measured(None), PLAIN)


@pytest.mark.parametrize("field", ["candidate", "champion"])
def test_a_missing_floor_is_never_a_pass(field):
    with pytest.raises(DataError, match="has no games"):
        decide(measured(**{field: (None, 0.5)}), PLAIN)
    with pytest.raises(DataError, match="has no games"):
        decide(measured(**{field: (0.95, None)}), PLAIN)


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome"),
    [
        (0.85, 0.95, "rejected"),  # the champion is above the floor, the candidate is not
        (0.50, 0.55, "rejected"),  # both below, the candidate lower
        (0.55, 0.50, "promoted"),  # both below, the candidate higher
        (0.90, 0.99, "promoted"),  # at the floor
    ],
)
def test_the_floor_against_random(candidate, champion, outcome):
    found = decide(measured(candidate=(candidate, 0.6), champion=(champion, 0.6)), PLAIN)
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("candidate", "champion", "games", "outcome"),
    [
        (0.20, 0.80, 40, "rejected"),
        (0.50, 0.60, 40, "promoted"),  # forty games cannot tell
        (0.50, 0.60, 4000, "rejected"),
        (0.58, 0.60, 4000, "promoted"),  # within the margin
    ],
)
def test_the_floor_against_heuristic(candidate, champion, games, outcome):
    found = decide(
        measured(candidate=(0.95, candidate), champion=(0.95, champion), games=games), PLAIN
    )
    assert found.outcome == outcome


def test_floors_for_more_players_are_at_equal_odds():
    found = measured(candidate=(0.76, 0.6), champion=(0.9, 0.6))
    assert decide(found, PLAIN).outcome == "rejected"
    assert decide(found, replace(PLAIN, players=4)).outcome == "promoted"  # 0.90 becomes 0.75


def test_all_stages_passed_promote_without_warnings():
    assert decide(in_full(regression=(match(0.6, 20),)), Rules()) == decide(measured(), PLAIN)


@pytest.mark.parametrize("missing", ["regression", "candidate_holdout", "champion_holdout"])
def test_a_stage_that_nobody_measured_is_never_a_pass(missing):
    with pytest.raises(DataError, match=r"not played|unknown"):
        decide(replace(in_full(), **{missing: None}), Rules())


def test_too_few_games_are_never_decided():
    with pytest.raises(DataError, match="60 games; expected at least 100"):
        decide(measured(), replace(PLAIN, min_games=100))


@pytest.mark.parametrize(("score", "outcome"), [(0.10, "rejected"), (0.45, "promoted")])
def test_regression_rejects_by_the_upper_end_of_its_interval(score, outcome):
    found = in_full(regression=(match(0.6, 20), match(score, 20)))
    verdict = decide(found, Rules())
    assert verdict.outcome == outcome
    assert ("regression" in verdict.reason) == (outcome == "rejected")


@pytest.mark.parametrize(("elo", "outcome"), [(-30.0, "promoted"), (150.0, "rejected")])
def test_the_bound_of_the_regression_is_that_of_the_rules(elo, outcome):
    found = in_full(regression=(match(0.45, 20),))
    assert decide(found, Rules(regression_elo=elo)).outcome == outcome


def test_without_the_hard_block_a_regression_is_a_warning():
    verdict = decide(in_full(regression=(match(0.1, 20),)), Rules(hard_block=False))
    assert verdict.outcome == "promoted"
    assert "regression" in verdict.warnings[0]


@pytest.mark.parametrize(("error", "outcome"), [(0.54, "promoted"), (0.56, "rejected")])
def test_holdout_rejects_a_value_error_above_the_margin(error, outcome):
    assert decide(in_full(candidate=error), Rules()).outcome == outcome


def test_numbers_over_other_games_are_no_measurement():
    found = in_full()
    other = replace(found.champion_holdout, set_hash="b" * 64)
    with pytest.raises(DataError, match=r"unknown: .* aaaaaaaaaaaa, .* bbbbbbbbbbbb; expected"):
        decide(replace(found, champion_holdout=other), Rules())


def test_a_large_gap_is_a_warning():
    verdict = decide(in_full(gap=0.2), Rules())
    assert (verdict.outcome, verdict.warnings) == ("promoted", ("overfit gap 0.200 above 0.1",))
