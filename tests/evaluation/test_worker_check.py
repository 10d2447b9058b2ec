"""The check of workers: chi-square as scipy's, the odd node named, small nodes left out."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import expected_freq

from ringrift.evaluation.worker_check import check_workers


def test_it_equals_scipys_chi_square():
    nodes = {"a": (60, 100), "b": (45, 100), "c": (70, 140)}
    table = np.array([[wins, games - wins] for wins, games in nodes.values()])
    statistic, p, degrees, _ = chi2_contingency(table, correction=False)
    found = check_workers(nodes)
    assert (found.chi_square, found.p, found.degrees) == pytest.approx((statistic, p, degrees))
    wanted = expected_freq(table)
    share, games = table.sum(axis=1) / table.sum(), table[:, 0].sum() / table.sum()
    adjusted = (table - wanted)[:, 0] / np.sqrt(wanted[:, 0] * (1 - share) * (1 - games))
    assert list(found.residuals.values()) == pytest.approx(adjusted.tolist())
    assert not found.suspicious


def test_a_node_that_loses_too_often_is_named():
    found = check_workers({"a": (100, 200), "b": (104, 200), "broken": (20, 100)})
    assert found.suspicious
    assert found.worst == "broken"
    assert found.residuals["broken"] < -4
    assert found.as_tree()["suspicious"] is True


def test_nodes_with_too_few_games_are_left_out():
    found = check_workers({"a": (50, 100), "b": (48, 100), "small": (0, 8)})
    assert found.left_out == ("small",)
    assert set(found.residuals) == {"a", "b"}
    alone = check_workers({"a": (50, 100), "small": (0, 8)})
    assert (alone.p, alone.worst, alone.suspicious) == (None, None, False)
    assert alone.left_out == ("a", "small")
    assert check_workers({}).p is None
    assert check_workers({"a": (100, 100), "b": (90, 90)}).p is None  # nobody lost


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="11 wins in 10 games"):
        check_workers({"a": (11, 10)})
