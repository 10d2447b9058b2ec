"""When rounds are due, and whom they measure."""

import pytest
from tests.evaluation.shadow.made import START_S, a_round, model

from ringrift.core.errors import UsageError
from ringrift.evaluation.shadow.rounds import Entrants
from ringrift.evaluation.shadow.schedule import WATCHED, Schedule, subject

PLAIN = Schedule(adaptive=False)


def shadows(*whom, every_s=900.0):
    return [
        a_round(started_s=START_S + every_s * place, who=name * 64)
        for place, name in enumerate(whom)
    ]


def test_the_first_round_is_due_at_once_and_the_first_tournament_an_hour_later():
    assert PLAIN.due_s([], waiting=True) == {"shadow": 0.0}
    assert PLAIN.due_s(shadows("a"), waiting=False) == {
        "shadow": START_S + 900,
        "full": START_S + 3600,
    }
    later = [*shadows("a"), a_round(kind="full", started_s=START_S + 3600)]
    assert PLAIN.due_s(later, waiting=False)["full"] == START_S + 7200


def test_a_model_that_waits_shortens_the_interval_and_two_rounds_without_news_stretch_it():
    schedule = Schedule()
    assert schedule.interval_s(shadows("a", "b"), waiting=True) == 360
    assert schedule.interval_s(shadows("a", "b"), waiting=False) == 900
    assert schedule.interval_s(shadows("a", "a"), waiting=False) == 900
    assert schedule.interval_s(shadows("a", "a", "a"), waiting=False) == 1800
    assert schedule.interval_s(shadows("a", "a", "b"), waiting=False) == 900
    assert PLAIN.interval_s(shadows("a", "a", "a"), waiting=True) == 900
    assert Schedule(shadow_s=100).interval_s([], waiting=True) == 100


def test_the_newest_model_is_measured_and_watched_ones_that_wait_come_first(tmp_path):
    new, old = model(2, tmp_path / "2"), model(1, tmp_path / "1")
    assert subject(Entrants(models=(new, old)), []) == (new.id, True)
    seen = [a_round(who=new.id)]
    assert subject(Entrants(models=(new, old)), seen) == (new.id, False)
    watched = [model(n, tmp_path / str(n), label=WATCHED) for n in (3, 4)]
    assert subject(Entrants(models=(new, *watched, old)), seen) == (watched[1].id, True)
    gone = model(5, None)
    assert subject(Entrants(models=(gone, old)), []) == (old.id, True)
    assert subject(Entrants(models=(gone,)), []) == (None, False)


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(UsageError, match="interval"):
        Schedule(shadow_s=0)
