"""When alerts fire: the table of kinds and the conditions that need time."""

import math

import pytest

from ringrift.core.alert_rules import (
    ENDS,
    KINDS,
    SEVERITIES,
    ConsecutiveFailures,
    Sustained,
    elo_dropped,
    find_kind,
    producing_too_little,
    threshold,
    too_many_failed,
)
from ringrift.core.errors import UsageError
from ringrift.core.settings.control import Alerting

from .alert_receiver import Clock


def test_the_table_holds_every_kind_and_only_known_severities():
    assert set(KINDS) == {
        *("sync_failure", "training_timeout", "elo_drop", "low_production", "node_down"),
        *("node_up", "limit_critical", "verification", "spool_age", "dead_letter", "crash_loop"),
        *("update_failed", "budget", "api_auth", "conflict"),
    }
    assert all(kind.severity in SEVERITIES for kind in KINDS.values())
    assert all(name == kind.name for name, kind in KINDS.items())
    assert ENDS == {"node_up": "node_down"}


def test_an_unknown_kind_is_a_usage_error_with_the_nearest():
    with pytest.raises(UsageError, match="elo_drop") as caught:
        find_kind("elo_dorp")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("drop", "se", "fires"),
    [
        (120, 20, True),
        (50, 1, False),  # more than 50, not 50
        (50.1, 1, True),
        (60, 30.5, True),  # 60 - 59.8 > 0
        (60, 31, False),  # the interval includes 0
        (-120, 20, False),
        (math.nan, 20, False),
        (120, math.inf, False),
    ],
)
def test_an_elo_drop_must_be_large_and_sure(drop, se, fires):
    assert elo_dropped(drop, se, threshold_elo=50) is fires


def test_one_percent_of_failed_records_is_still_allowed():
    assert [too_many_failed(*pair) for pair in ((0, 0), (1, 100), (2, 100), (1, 99))] == [
        False,
        False,
        True,
        True,
    ]


def test_a_condition_must_hold_without_a_break():
    clock, answers = Clock(), {"now": True}
    rule = Sustained(lambda: answers["now"], 300, clock=clock)
    assert not rule.holds()
    clock.advance(300)
    assert not rule.holds()  # longer than 5 min, not 5 min
    clock.advance(1)
    assert rule.holds()
    answers["now"] = None  # a failed reading says nothing
    clock.advance(60)
    assert rule.holds()
    answers["now"] = False
    assert not rule.holds()
    answers["now"] = True
    clock.advance(1000)
    assert not rule.holds()  # only now it begins again


def test_production_counts_only_while_not_paused():
    assert producing_too_little(99, least_per_hour=100, paused=False) is True
    assert producing_too_little(100, least_per_hour=100, paused=False) is False
    assert producing_too_little(None, least_per_hour=100, paused=False) is None
    assert producing_too_little(0, least_per_hour=100, paused=True) is False


def test_an_hour_of_low_production_starts_again_after_a_pause():
    clock, state = Clock(), {"rate": 10.0, "paused": False}
    rule = Sustained(
        lambda: producing_too_little(state["rate"], least_per_hour=100, paused=state["paused"]),
        KINDS["low_production"].for_s,
        clock=clock,
    )
    rule.holds()
    clock.advance(3500)
    state["paused"] = True
    assert not rule.holds()
    state["paused"] = False
    assert not rule.holds()
    clock.advance(3500)
    assert not rule.holds()
    clock.advance(101)
    assert rule.holds()


def test_failures_count_per_source_and_in_a_row():
    failures = ConsecutiveFailures(5)
    assert [failures.failed("a") for _ in range(4)] == [False] * 4
    assert failures.failed("b") is False
    failures.succeeded("a")
    assert [failures.failed("a") for _ in range(6)] == [False] * 4 + [True] * 2
    assert failures.count("b") == 1


def test_thresholds_are_the_settings_of_section_alerting():
    settings = Alerting(spool_age_minutes=7)
    found = {name: threshold(kind, settings) for name, kind in KINDS.items() if kind.setting}
    assert found == {
        "sync_failure": 5,
        "training_timeout": 4,
        "elo_drop": 50,
        "low_production": 100,
        "spool_age": 7,
    }
    assert threshold(KINDS["conflict"], settings) is None
