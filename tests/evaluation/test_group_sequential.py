"""Looks at a Wilson interval: the quantiles, the table of chances, and decisions at looks alone."""

import itertools

import pytest
from scipy.stats import binom

from ringrift.core.errors import UsageError
from ringrift.core.intervals import wilson_at
from ringrift.evaluation.gate import estimate, gate_test, threshold_of
from ringrift.evaluation.group_sequential import WilsonTest, wilson_chances
from ringrift.evaluation.plans import test_of_tree as read_test
from ringrift.evaluation.sprt import SequentialTest


@pytest.mark.parametrize(
    ("players", "looks", "z"),
    [
        (2, (30, 50, 70, 90, 110, 130, 150, 170, 190, 200), 2.44),
        (3, (30, 51, 72, 93, 114, 135, 156, 177, 198, 201), 2.51),
        (4, (32, 52, 72, 92, 112, 132, 152, 172, 192, 200), 2.63),
    ],
)
def test_looks_and_quantiles_of_the_defaults(players, looks, z):
    test = WilsonTest()
    assert test.looks(players) == looks
    assert test.z(players) == z


def enumerated(test, share, players):
    """The chances by walking through every sequence of wins between looks."""
    looks, z, threshold = test.looks(players), test.z(players), test.share(players)
    steps = [b - a for a, b in itertools.pairwise((0, *looks))]
    found = {"promote": 0.0, "reject": 0.0, "inconclusive": 0.0, "games": 0.0}
    for wins in itertools.product(*(range(step + 1) for step in steps)):
        total, chance, ended = 0, 1.0, None
        for won, step, games in zip(wins, steps, looks, strict=True):
            total += won
            chance *= binom.pmf(won, step, share)
            interval = wilson_at(total / games, games, z)
            if ended is None and interval.low >= threshold:
                ended = ("promote", games)
            elif ended is None and interval.high < threshold:
                ended = ("reject", games)
        name, games = ended or ("inconclusive", looks[-1])
        found[name] += chance
        found["games"] += chance * games
    return found


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_the_table_equals_the_sum_over_all_sequences(share):
    test = WilsonTest(threshold=0.5, confidence=0.8, min_games=8, max_games=34)
    assert test.looks(2) == (8, 28, 34)
    wanted, got = enumerated(test, share, 2), wilson_chances(test, share, 2)
    assert got.accept == pytest.approx(wanted["promote"], abs=1e-12)
    assert got.reject == pytest.approx(wanted["reject"], abs=1e-12)
    assert got.inconclusive == pytest.approx(wanted["inconclusive"], abs=1e-12)
    assert got.mean_games == pytest.approx(wanted["games"])


def test_the_table_of_the_defaults():
    rows = {row.rate: row.chances for row in estimate(gate_test(), 2, 0.6)}
    wanted = {0.50: 0.002, 0.55: 0.025, 0.60: 0.22, 0.65: 0.73, 0.70: 0.98}
    assert {rate: round(rows[rate].accept, 2) for rate in (0.60, 0.65, 0.70)} == {
        rate: wanted[rate] for rate in (0.60, 0.65, 0.70)
    }
    assert rows[0.50].accept == pytest.approx(0.002, abs=5e-4)
    assert rows[0.55].accept == pytest.approx(0.025, abs=5e-4)
    assert rows[0.55].accept <= 0.025
    assert rows[0.70].mean_games == pytest.approx(83, abs=0.5)
    assert 83 < rows[0.70].games_90 <= 200


def test_it_decides_at_looks_alone():
    running = WilsonTest().start(2)
    for block in range(1, 15):
        assert running.add(1).verdict is None, block
    ended = running.add(1)
    assert (ended.verdict, ended.games) == ("accept", 30)
    assert ended.looks[0].decision == "promote"
    assert "lower bound reached" in ended.reason
    assert running.add(0) is ended


def test_losses_are_rejected_and_halves_end_without_a_decision():
    lost = WilsonTest().start(4)
    while lost.add(0).verdict is None:
        pass
    assert (lost.standing.verdict, lost.standing.games) == ("reject", 32)
    even = WilsonTest().start(2)
    while even.add(0.5).verdict is None:
        pass
    assert (even.standing.verdict, even.standing.games) == ("inconclusive", 200)
    assert [look.games for look in even.standing.looks] == list(WilsonTest().looks(2))
    assert "cap reached" in even.standing.reason


def test_blocks_that_vary_more_than_games_widen_the_interval():
    plain, clustered = WilsonTest().start(2), WilsonTest().start(2)
    for block in range(25):
        plain.add(0.5)
        clustered.add(block % 2)
    narrow, wide = (each.standing.looks[-1].interval for each in (plain, clustered))
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)


def test_a_test_is_read_back_from_its_plan():
    for test in (WilsonTest(threshold=0.6), SequentialTest(elo1=35.0)):
        assert read_test(test.as_tree()) == test


def test_a_sequential_gate_tests_the_elo_of_its_threshold():
    test = gate_test("sprt", threshold=0.55, confidence=0.9)
    assert test.elo1 == pytest.approx(34.86, abs=0.01)
    assert (test.alpha, test.beta) == (0.1, 0.1)
    assert threshold_of(test) == pytest.approx(0.55)
    assert estimate(test, 3, 0.6)[0].rate == 0.5


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"threshold": 1.0}, "threshold"),
        ({"method": "sprt", "threshold": 0.5}, "sequential"),
        ({"confidence": 1.0}, "confidence"),
        ({"min_games": 300}, "min_games"),
    ],
)
def test_impossible_gates_are_refused(options, match):
    with pytest.raises(UsageError, match=match):
        gate_test(**options)
