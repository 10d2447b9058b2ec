"""Weights of configurations against values worked out by hand."""

import json

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.training.curriculum.weights import adaptive_weights, champion_ratings

RATINGS = {"square8_2p": 1500.0, "hex8_2p": 1400.0, "square19_2p": 1100.0, "hex8_3p": None,
           "square8_4p": 1900.0}  # fmt: skip


def weights(ratings, **bounds):
    return {one.config: one.weight for one in adaptive_weights(ratings, **bounds)}


def test_weights_follow_the_distance_to_the_median():
    # The median of 1100, 1400, 1500 and 1900 is 1450.
    assert weights(RATINGS) == pytest.approx(
        {"square8_2p": 0.75, "hex8_2p": 1.25, "square19_2p": 2.0, "hex8_3p": 2.0, "square8_4p": 0.5}
    )
    wide = weights(RATINGS, least=0.1, most=3.0)
    assert wide["square19_2p"] == pytest.approx(2.75)
    assert wide["square8_4p"] == pytest.approx(0.1)
    assert wide["hex8_3p"] == 3.0


def test_without_any_rating_all_get_the_most():
    assert weights(dict.fromkeys(RATINGS)) == dict.fromkeys(RATINGS, 2.0)


@pytest.mark.parametrize(("least", "most"), [(0.0, 2.0), (2.0, 1.0)])
def test_bounds_out_of_order_are_refused(least, most):
    with pytest.raises(UsageError, match="in order"):
        adaptive_weights(RATINGS, least=least, most=most)


def test_ratings_come_from_the_table_of_promoted_models(tmp_path):
    path = tmp_path / "promoted_models.json"
    assert champion_ratings(path, ("hex8_2p",)) == {"hex8_2p": None}
    models = {"hex8_2p": {"elo_rating": 1234.5}, "hex8_3p": {"elo_rating": None}}
    path.write_text(json.dumps({"models": models}))
    found = champion_ratings(path, ("hex8_4p", "hex8_3p", "hex8_2p"))
    assert found == {"hex8_4p": None, "hex8_3p": None, "hex8_2p": 1234.5}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "promoted models"),
        ('{"models": {"hex8_2p": {}}}', "elo_rating"),
        ('{"models": {"hex8_2p": {"elo_rating": "high"}}}', "models.hex8_2p.elo_rating"),
        ('{"models": {"hex8_2p": {"elo_rating": NaN}}}', "models.hex8_2p.elo_rating"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, text, named):
    path = tmp_path / "promoted_models.json"
    path.write_text(text)
    with pytest.raises(DataError, match=named):
        champion_ratings(path, ("hex8_2p",))
