"""A report says how the model that was made stands on validation and on hold-out games."""

import json
from dataclasses import replace

import pytest

from ringrift.data.dataset import Dataset
from ringrift.data.dataset.views import Views
from ringrift.training import final_measures
from ringrift.training.engine.run_folder import REPORT
from ringrift.training.final_measures import FinalMeasures
from ringrift.training.run import run_training
from ringrift.training.samples.table import read_tables

from .jobs import nnue_policy_job, store_of


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return replace(nnue_policy_job(folder, store_of(folder, 80)), run=folder / "first")


def held_out(store):
    with Views(store) as views:
        return [row.id for row in views.rows("square8_2p", "holdout")]


@pytest.mark.slow
def test_calibration_and_hold_out_of_the_model_stand_in_the_report(job, monkeypatch):
    (store,) = job.source.stores
    held = held_out(store)
    monkeypatch.setattr(final_measures, "MOST_GAMES", len(held) - 1)
    report = run_training(replace(job, stores=(store,)))
    assert json.loads((job.run / REPORT).read_text()) == json.loads(json.dumps(report.as_tree()))
    calibration, found = report.calibration, report.holdout
    assert calibration["total_samples"] == calibration["positions"] >= 200
    assert sum(each["samples"] for each in calibration["bins"]) == calibration["positions"]
    assert 0 <= calibration["ece"] <= calibration["mce"] <= 1
    assert found["model"] == report.model_id
    assert found["holdout"]["games"] == len(held) - 1
    assert found["source"] == "dataset"
    assert report.overfit_gap == found["gap"]["value"]

    told = []
    measures = FinalMeasures(
        val=read_tables(Dataset.open(next(job.places.npz.rglob("manifest.json")).parent))[1],
        games=(),
        stores=(store,),
        ancestors=True,
        note=told.append,
    )
    again = measures(report.model_path)
    assert (again.holdout, again.overfit_gap) == (None, None)
    assert "ancestors" in told[0]


@pytest.mark.slow
def test_what_cannot_be_measured_is_told_and_stays_empty(job, monkeypatch):
    monkeypatch.setattr(final_measures, "LEAST_POSITIONS", 100_000)
    run = job.run.parent / "unknown"
    report = run_training(replace(job, run=run))
    assert (report.calibration, report.holdout, report.overfit_gap) == (None, None, None)
    assert "calibration unknown" in (run / "train.log").read_text()
