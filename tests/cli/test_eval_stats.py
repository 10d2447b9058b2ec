"""`eval stats`: what counts of blocks say, by the command line."""

import json
import math

import pytest


@pytest.fixture
def stats(ringrift):
    def run(*words):
        code, out, err = ringrift("eval", "stats", *words, "--json")
        return code, json.loads(out), err

    return run


def test_counts_of_pairs_are_judged(stats, ringrift):
    code, found, _ = stats("--counts", "3,14,41,29,6")
    assert code == 0
    numbers = found["statistics"]
    assert (numbers["blocks"], numbers["games"]) == (93, 186)
    assert numbers["elo"] == pytest.approx(39.4, abs=0.1)
    assert numbers["llr"] == pytest.approx(2.10, abs=0.01)
    assert found["test"]["bounds"] == pytest.approx([-math.log(19), math.log(19)])
    assert found["power"] is None
    code, out, _ = ringrift("eval", "stats", "--counts", "0,0,0,0,60")
    assert code == 0
    assert "> +" in out
    assert "H1 accepted" in out


def test_a_plan_shows_the_power_of_its_test(stats):
    code, found, _ = stats("--plan", "--players", "4", "--elo1", "50", "--max-games", "400")
    assert code == 0
    rows = {row["elo"]: row for row in found["power"]}
    assert set(rows) == {0.0, 25.0, 50.0, 100.0}
    assert rows[0.0]["accept"] < 0.05
    assert 0.5 < rows[50.0]["accept"] < rows[100.0]["accept"]
    assert all(40 <= row["mean_games"] <= 400 for row in rows.values())
    assert found["statistics"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing was asked for"),
        (("--counts", "1,2"), "expected 5"),
        (("--counts", "1,2,3,4,5", "--players", "3"), "expected 4"),
        (("--counts", "a,b"), "whole numbers"),
        (("--counts", "1,1,-1,0,0"), "found -1"),
        (("--plan", "--elo0", "30"), "elo0"),
        (("--plan", "--alpha", "0.7"), "alpha"),
        (("--plan", "--min-games", "900"), "min_games"),
    ],
)
def test_what_makes_no_statistics_is_a_usage_error(stats, words, told):
    code, found, _ = stats(*words)
    assert code == 2
    assert told in found["error"]["message"]
