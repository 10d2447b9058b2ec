"""The run folder: which run goes on, settings once, events that survive a torn line."""

import json

import pytest

from ringrift.core.errors import DataError, UsageError
from ringrift.core.hyperparameters import load_hyperparameters, merge_hyperparameters
from ringrift.core.settings_loader import load_settings
from ringrift.loop.plan import make_plan
from ringrift.loop.runs import Events, choose_run, open_run, read_json, write_json

from .stand_ins import tiny_plan


def test_runs_of_a_key_are_numbered(tmp_path):
    first = choose_run(tmp_path, "abc", "auto")
    assert (first.id, first.resumed) == ("abc-1", False)
    open_run(first, {"seed": 1})
    again = choose_run(tmp_path, "abc", "auto")
    assert (again.id, again.resumed) == ("abc-1", True)
    assert choose_run(tmp_path, "abc", "fresh").id == "abc-2"
    assert choose_run(tmp_path, "other", "auto").id == "other-1"
    write_json(first.folder / "report.json", {})
    assert choose_run(tmp_path, "abc", "auto").id == "abc-2"
    with pytest.raises(UsageError, match="no unfinished run"):
        choose_run(tmp_path, "abc", "resume")


def test_settings_are_written_once(tmp_path):
    run = choose_run(tmp_path, "abc", "auto")
    open_run(run, {"seed": 1})
    open_run(run, {"seed": 2})
    assert read_json(run.folder / "settings.json") == {"seed": 1}


def test_events_rise_over_restarts_and_torn_lines(tmp_path):
    path = tmp_path / "events.jsonl"
    events = Events(path)
    assert events.write("loop_started", config="c")["seq"] == 1
    events.write("stage_ended", config="c", cycle=1, stage="train", seconds=2.5)
    with path.open("ab") as file:
        file.write(b'{"seq": 3, "at": "20')
    events = Events(path)
    events.write("stage_ended", config="c", cycle=1, stage="train", seconds=1.5)
    assert [event["seq"] for event in events.read()] == [1, 2, 3]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert events.stage_seconds(1) == {"train": 4.0}
    assert events.stage_seconds(2) == {}


def test_a_damaged_table_is_named(tmp_path):
    (tmp_path / "table.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_json(tmp_path / "table.json")
    assert read_json(tmp_path / "nothing.json") is None


def test_the_key_names_what_a_run_does():
    plan = tiny_plan()
    assert tiny_plan().key == plan.key
    assert tiny_plan(seed=1).key != plan.key
    assert tiny_plan(generations=3).key != plan.key


def test_the_quick_profile_makes_a_plan():
    loaded = load_settings(profile="quick", environ={})
    settings = loaded.values
    merged = merge_hyperparameters(load_hyperparameters(), "square8_2p", settings=loaded).values
    plan = make_plan(settings, merged, config="square8_2p", seed=3, generations=None)
    assert plan.training.learning_rate == settings.training.learning_rate
    assert plan.generations == 3
    assert plan.selfplay.games == settings.training.trigger_threshold_games
    assert plan.measuring.exam_games == 200
    with pytest.raises(UsageError, match="generations"):
        make_plan(settings, merged, config="square8_2p", seed=3, generations=0)
