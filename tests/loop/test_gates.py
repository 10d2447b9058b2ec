"""The gates of a training: each with its number, its limit and words."""

from dataclasses import replace

import pytest

from ringrift.core.settings import Settings
from ringrift.loop.facts import GateFacts
from ringrift.loop.gates import Moment, gates, seat_warning

from .rules_scene import GOOD, conditions

FULL = Moment(new_games=300, trigger=300, since_s=None)


def by_name(facts=GOOD, moment=FULL):
    return {gate.name: gate for gate in gates(facts, Settings(), conditions(), moment)}


def test_every_gate_of_the_table_is_shown_with_its_number():
    found = by_name()
    assert list(found) == [
        "new games",
        "min interval",
        "quality",
        "verification failures",
        "policy targets",
        "seat balance",
        "preflight",
        "resource guard",
        "concurrent trainings",
    ]
    assert all(gate.passed and gate.words for gate in found.values())
    assert (found["new games"].value, found["new games"].limit) == (300, 300)
    assert (found["quality"].value, found["quality"].limit) == (0.9, 0.7)


def test_an_unknown_number_is_no_value():
    found = by_name(GateFacts())
    blocked = [gate for gate in found.values() if not gate.passed]
    assert [gate.name for gate in blocked] == [
        "quality",
        "verification failures",
        "policy targets",
        "seat balance",
    ]
    assert all(gate.value is None and gate.words.endswith("unknown") for gate in blocked)
    assert not by_name(replace(GOOD, quality=float("nan")))["quality"].passed


@pytest.mark.parametrize(
    ("since_s", "urgent", "passed"),
    [(None, False, True), (1199, False, False), (1200, False, True), (10, True, True)],
)
def test_the_least_time(since_s, urgent, passed):
    moment = replace(FULL, since_s=since_s, urgent=urgent)
    assert by_name(moment=moment)["min interval"].passed == passed


def test_faults_of_the_dataset_win_over_earlier_ones():
    old = replace(GOOD, preflight=("old fault",))
    assert by_name(old)["preflight"].words == "old fault"
    assert by_name(old, replace(FULL, preflight=()))["preflight"].passed


@pytest.mark.parametrize(
    ("wins", "games", "odd"),
    [
        ((2500, 2500), 5000, False),
        ((2641, 2359), 5000, False),  # sigma is 35.36, four of them 141.4
        ((2642, 2358), 5000, True),
        ((1800, 1600, 1600), 5000, False),  # sigma is 33.33
        ((1802, 1598, 1600), 5000, True),
        ((0, 0), 0, False),
        ((), 0, False),
    ],
)
def test_seats_that_win_too_often_give_a_warning(wins, games, odd):
    found = seat_warning(replace(GOOD, seat_wins=wins, seat_games=games))
    assert (found is not None) == odd
