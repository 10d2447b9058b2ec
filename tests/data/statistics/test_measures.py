"""Figures of counts against NumPy and SciPy on the values themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from ringrift.data.statistics.findings import findings
from ringrift.data.statistics.measures import distribution, equal_chances, quantile, rated
from ringrift.data.statistics.tally import Tally


@given(st.lists(st.integers(0, 60), min_size=1), st.floats(0, 1))
def test_quantiles_of_counts_are_those_of_the_values(values, q):
    counts = np.bincount(values).tolist()
    assert quantile(counts, q) == pytest.approx(float(np.quantile(values, q)), abs=1e-9)
    figures = distribution(counts)
    assert (figures["min"], figures["max"]) == (min(values), max(values))
    assert figures["mean"] == pytest.approx(np.mean(values))
    assert figures["sd"] == pytest.approx(np.std(values), abs=1e-9)


def test_nothing_counted_is_unknown():
    assert distribution([]) == distribution([0, 0])
    assert distribution([])["median"] is None
    assert rated(0, 0)["share"] is None
    assert equal_chances([0, 0]) == (None, None)


def test_the_test_against_equal_seats():
    expected = chisquare([60, 40])
    assert equal_chances([60, 40]) == pytest.approx((expected.statistic, expected.pvalue))


@given(st.lists(st.lists(st.integers(0, 9), max_size=20), max_size=4))
def test_sums_do_not_depend_on_how_they_are_split(parts):
    together, merged = Tally(), Tally()
    for part in parts:
        other = Tally()
        for tally in (together, other):
            tally.count("values", np.array(part, np.int64))
            tally.add("n", len(part))
            tally.counters["seen"].update(part)
            tally.hashes["all"].append(np.array(part, np.uint64))
        merged.merge(other)
    assert together.vector("values", 10) == merged.vector("values", 10)
    assert together.number("n") == merged.number("n")
    assert together.counters["seen"] == merged.counters["seen"]
    assert together.distinct("all") == merged.distinct("all") == len({v for p in parts for v in p})


def sections(wins, *, games=100, end="ring_elimination", ended=0.5, coverage=(0, 0)):
    statistic, p = equal_chances(wins)
    part, whole = coverage
    return {
        "seats": {
            "by_players": [
                {
                    "players": len(wins),
                    "games": sum(wins),
                    "wins": [{"seat": i + 1, **rated(n, sum(wins))} for i, n in enumerate(wins)],
                    "chi_square": statistic,
                    "p": p,
                }
            ]
        },
        "victory": {"games": games, "types": {end: {"count": 0, "share": ended}}},
        "agents": {"policy_coverage": rated(part, whole)},
    }


@pytest.mark.parametrize(
    ("given_sections", "rules"),
    [
        (sections([50, 50]), []),
        (sections([70, 30]), ["seat_advantage"]),
        (sections([100, 0]), ["seat_advantage", "seat_without_win"]),
        (sections([5, 0]), []),
        (sections([50, 50], ended=0.81), ["common_end"]),
        (sections([5, 5], games=10, ended=1.0), []),
        (sections([50, 50], coverage=(94, 100)), ["policy_coverage"]),
        (sections([50, 50], coverage=(95, 100)), []),
    ],
)
def test_what_stands_out_is_said_with_its_numbers(given_sections, rules):
    found = list(findings("square8_2p", given_sections))
    assert [f["rule"] for f in found] == rules
    assert all(f["numbers"] and f["text"].endswith(".") for f in found)
