"""Trials as real trainings: their values reach the run, and what they see of an end."""

import json
import sys
from pathlib import Path

import pytest

from ringrift.models.registry import model_path
from ringrift.tuning.hp.study import Pruned, StudyInterrupted, TrialFailed
from ringrift.tuning.hp.trials import TrainingTrials

sys.path.insert(0, str(Path(__file__).parents[2]))
from training.jobs import nnue_policy_job, store_of

sys.path.pop(0)

pytestmark = pytest.mark.slow
VALUES = {
    "learning_rate": 1e-3, "batch_size": 128, "hidden_dim": 64, "num_hidden_layers": 3,
    "dropout": 0.2,
}  # fmt: skip
OF_NET = ("hidden_dim", "num_hidden_layers")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store"))


def trials(folder, store, *, epochs=2, **more):
    return TrainingTrials(nnue_policy_job(folder, store), folder / "hp", epochs=epochs, **more)


def test_the_values_of_a_trial_are_those_of_its_run(store, tmp_path):
    told = []
    made = trials(tmp_path, store)
    names = ("learning_rate", "batch_size", "hidden_dim")
    assert made.present(names) == {"learning_rate": 3e-4, "batch_size": 64, "hidden_dim": 32}
    loss = made.objective(1, VALUES, lambda epoch, found: told.append((epoch, found)))
    report = json.loads((tmp_path / "hp" / "trial-0001" / "report.json").read_text())
    assert [epoch["validation"]["loss"] for epoch in report["epochs"]][: len(told)] == [
        found for _, found in told
    ]
    assert told[0][0] == 1
    assert loss == min(epoch["validation"]["loss"] for epoch in report["epochs"])
    config = json.loads((tmp_path / "hp" / "trial-0001" / "config.json").read_text())
    used = {name: config["settings"][name]["value"] for name in VALUES if name not in OF_NET}
    assert {**used, **{name: config["net"][name] for name in OF_NET}} == VALUES
    assert config["settings"]["epochs"] == {"value": 2, "origin": "ringrift tune hp"}
    assert not list((tmp_path / "objects").glob("*/*")), "trials are no models of the installation"
    again = made.objective(1, VALUES, lambda *_: None)
    assert again == loss
    other = made.measure("best", 7, VALUES)
    assert other.loss != loss
    assert model_path(tmp_path / "hp" / "objects", other.model).is_file()


def test_a_trial_ends_when_it_is_pruned_or_the_study_stops(store, tmp_path):
    def prune(epoch, loss):
        del epoch, loss
        raise Pruned

    with pytest.raises(Pruned):
        trials(tmp_path, store, epochs=5).objective(1, VALUES, prune)
    assert not (tmp_path / "hp" / "trial-0001" / "report.json").exists()
    with pytest.raises(StudyInterrupted):
        trials(tmp_path, store, stop=lambda: True).objective(2, VALUES, lambda *_: None)


def test_a_training_that_diverges_is_a_failed_trial(store, tmp_path):
    with pytest.raises(TrialFailed):
        trials(tmp_path, store).objective(1, {**VALUES, "policy_weight": 1e39}, lambda *_: None)
