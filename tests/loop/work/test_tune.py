"""A study as a job of the loop: real trainings and games, stopped, killed, gone on with."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from tests.training.games import games

from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE, load_hyperparameters
from ringrift.core.paths import Paths
from ringrift.loop.gathering_tuning import TunedSets
from ringrift.loop.work import tune
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.tuning.hp.report import read_report, study_folder

from .jobs import CONFIG, context

SPEC = BoardSpec.create("square8", 2)
TESTS = str(Path(__file__).parents[2])
BAD = {"hidden_dim": 32, "batch_size": 1024, "learning_rate": 1e-7}
"""A present set that learns nothing, so that almost any other is better."""


@pytest.fixture
def root(tmp_path):
    made = Paths(tmp_path / "root")
    made.create()
    with GameStore.open(made.game_store, writer=True) as store:
        assert not store.ingest(games(SPEC, 40)).quarantined
    return made.root


def spec(root, **changes):
    with GameStore.open(Paths(root).game_store) as store:
        upto = store.max_seq()
    asked = {
        "kind": "nnue-policy", "seed": 3, "upto": upto, "trials": 3, "epochs": 2, "timeout_s": 600.0,
        "sims": 2, "considered": 4, "c_scale": 1.0, "test_games": 8, "values": BAD,
    }  # fmt: skip
    return {**asked, **changes}


def folder_of(root):
    return study_folder(Paths(root).runs, CONFIG, "nnue-policy")


@pytest.mark.acceptance
def test_a_study_without_enough_games_is_done_and_says_why(tmp_path):
    paths = Paths(tmp_path)
    paths.create()
    with GameStore.open(paths.game_store, writer=True):
        pass
    outcome = tune.run(context(tmp_path, "tune", **spec(tmp_path)))
    assert outcome.complete
    assert not outcome.numbers["written"]
    assert "samples" in outcome.numbers["outcome"]


@pytest.mark.acceptance
def test_a_stopped_study_is_not_complete(root):
    assert not tune.run(context(root, "tune", stop=lambda: True, **spec(root))).complete
    assert read_report(folder_of(root)) is None


@pytest.mark.acceptance
def test_a_study_searches_confirms_plays_and_is_known(root):
    told = []
    work = context(root, "tune", report=lambda **it: told.append(it), **spec(root))
    outcome = tune.run(work)
    numbers = outcome.numbers
    assert outcome.complete
    assert numbers["trials"] == 3
    assert "hidden_dim" not in numbers["best"]
    played = numbers["contest"]
    assert (played is not None) is (numbers["gain"] > numbers["spread"])
    if played is not None:
        assert played["verdict"] in ("accept", "reject", "inconclusive")
        assert 4 <= played["games"] <= 8
    accepted = played is not None and played["verdict"] == "accept"
    assert numbers["written"] is accepted
    assert (root / HYPERPARAMETERS_FILE).exists() is accepted
    assert [one["done"] for one in told if one["total"] == 3] == [1, 2, 3]
    assert not list(Paths(root).model_objects.glob("*/*")), "its nets are no candidates"
    study = TunedSets(Paths(root)).of(CONFIG).study
    assert (study.job, study.trials, study.upto) == (work.job.id, 3, spec(root)["upto"])
    assert (study.gain, study.written) == (numbers["gain"], accepted)
    again = tune.run(context(root, "tune", **spec(root))).numbers
    assert {**again, "seconds": 0, "cpu_seconds": 0} == {**numbers, "seconds": 0, "cpu_seconds": 0}
    more = tune.run(context(root, "tune", **spec(root, trials=4))).numbers
    assert (more["study"], more["trials"]) == (numbers["study"], 4)


def _tune_here(root, asked):
    tune.run(context(root, "tune", **asked))


@pytest.mark.acceptance
def test_a_study_that_is_killed_goes_on_where_it_was(root, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)  # a process imports what it runs by name
    asked = spec(root, epochs=4)
    folder = folder_of(root)
    spawn = multiprocessing.get_context("spawn")
    for sign in ("trial-0002/metrics.jsonl", "best-*/metrics.jsonl", "present-*/metrics.jsonl"):
        process = spawn.Process(target=_tune_here, args=(root, asked))
        process.start()
        until_s = time.monotonic() + 300
        while not list(folder.glob(sign)):
            assert time.monotonic() < until_s
            assert process.is_alive(), sign
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert read_report(folder) is None
    first = {
        path.parent.name: path.stat().st_mtime_ns for path in folder.glob("trial-*/report.json")
    }
    numbers = tune.run(context(root, "tune", **asked)).numbers
    assert numbers["trials"] == 3
    for name, written_ns in first.items():
        assert (folder / name / "report.json").stat().st_mtime_ns == written_ns
    file = Paths(root).root / HYPERPARAMETERS_FILE
    tuned = load_hyperparameters(root=root).content.configs.get(CONFIG)
    assert (tuned is not None and tuned.optimized) is numbers["written"] is file.exists()
