"""What a run says of itself in JSON: it is as published, however the run ended."""

import json
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from ringrift.training.engine.report import CUSTOMARY, write_report
from ringrift.training.engine.tally import TrainingDiverged

from .toy import ToyTask, settings_of, trained

sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))
from json_schema import problems

sys.path.pop(0)

SCHEMA = json.loads(
    (resources.files("ringrift.training.engine") / "report.schema.json").read_text("utf-8")
)


def read(folder, name="report.json"):
    return json.loads((folder / "run" / name).read_text())


def test_the_report_is_as_published(tmp_path):
    report, task = trained(tmp_path)
    found = read(tmp_path)
    assert problems(SCHEMA, found) == []
    assert found == json.loads(json.dumps(report.as_tree()))
    assert found["parameters"] == sum(p.numel() for p in task.net.parameters())
    assert (found["config"], found["board"], found["players"]) == ("square8_2p", "square8", 2)
    assert found["hyperparameters"]["learning_rate"] == 3e-3
    assert [epoch["epoch"] for epoch in found["epochs"]] == list(range(1, 7))
    assert found["facts"] == task.facts()


def test_a_report_without_validation_and_one_that_diverged_are_too(tmp_path):
    settings = settings_of()
    trained(tmp_path / "blind", settings, task=ToyTask(settings, validation=0))
    assert problems(SCHEMA, read(tmp_path / "blind")) == []
    with pytest.raises(TrainingDiverged):
        trained(tmp_path / "bad", settings, task=ToyTask(settings, spoil=(0, 0)))
    assert problems(SCHEMA, read(tmp_path / "bad")) == []


def test_another_field_would_be_found(tmp_path):
    trained(tmp_path)
    found = read(tmp_path)
    assert problems(SCHEMA, {**found, "more": 1})
    assert problems(SCHEMA, {**found, "status": "done"})


def test_the_report_has_its_customary_name_too(tmp_path):
    report, _ = trained(tmp_path)
    for kind, name in CUSTOMARY.items():
        measured = replace(report, kind=kind, holdout={"samples": 3}, overfit_gap=0.04)
        write_report(tmp_path / "run", measured)
        found = read(tmp_path, name)
        assert found == read(tmp_path)
        assert (found["kind"], found["overfit_gap"]) == (kind, 0.04)
        assert problems(SCHEMA, found) == []
