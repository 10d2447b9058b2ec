"""Datasets and trainings: the same from the same, resumed, as long as new samples allow."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.training.games import games

from ringrift.core.errors import DataError, UsageError
from ringrift.core.paths import Paths
from ringrift.data.dataset import Dataset
from ringrift.loop.job_specs import TrainingValues
from ringrift.loop.work import dataset, training
from ringrift.loop.work.dataset import thin_out
from ringrift.loop.work.training import drop_checkpoints
from ringrift.loop.work.training_request import request_of, selection_of, shape_of
from ringrift.models.registry import model_path
from ringrift.nets.container import read_card
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.holdout_evaluation import read_results

from .jobs import CONFIG, context

SPEC = BoardSpec.create("square8", 2)
GAMES = 24
TESTS = str(Path(__file__).parents[2])
VALUES = {"hidden_dim": 32, "batch_size": 64, "learning_rate": 1e-3, "max_reuse": 2.0}
KIND = "nnue-policy"


def add(root, found):
    with GameStore.open(Paths(root).game_store, writer=True) as store:
        assert not store.ingest(found).quarantined
        return store.max_seq()


def newborn(root, **changes):
    spec = {"kind": KIND, "seed": 1, "init": "random", "values": VALUES, **changes}
    return training.run(context(root, "train", **spec)).numbers["model_id"]


def export(root, upto, parent, **changes):
    spec = {"kind": KIND, "parent": parent, "upto": upto, "values": VALUES, **changes}
    return dataset.run(context(root, "dataset", **spec))


def train(root, made, parent, *, values=VALUES, **changes):
    spec = {"kind": KIND, "seed": 7, "parent": parent, "dataset": made, "values": values}
    return training.run(context(root, "train", **{**spec, **changes}))


@pytest.fixture(scope="module")
def played():
    return games(SPEC, GAMES + 4)


@pytest.fixture
def root(tmp_path):
    Paths(tmp_path / "root").create()
    return tmp_path / "root"


@pytest.fixture
def stocked(root, played):
    """A root with games, a model of random weights, and a dataset; their ids."""
    upto = add(root, played[:GAMES])
    parent = newborn(root)
    return root, parent, export(root, upto, parent).numbers["dataset"]


def card(root, model):
    return read_card(model_path(Paths(root).model_objects, model))[1]


@pytest.mark.parametrize("kind", ["nnue-policy", "nnue", "cnn"])
def test_random_weights_follow_from_the_seed_and_say_so(root, kind):
    values = {"hidden_dim": 32, "model_size": "micro"}
    model = newborn(root, kind=kind, values=values)
    assert newborn(root, kind=kind, values=values) == model
    assert newborn(root, kind=kind, values=values, seed=2) != model
    found = card(root, model)
    assert (found["kind"], found["training"]) == (kind, None)


def test_a_dataset_looks_no_further_than_it_is_told(root, played):
    upto = add(root, played[:GAMES])
    first = export(root, upto, None).numbers
    assert first["games_upto"] <= upto
    assert first["preflight"] == []
    add(root, played[GAMES:])
    assert export(root, upto, None).numbers["dataset"] == first["dataset"]
    later = export(root, upto + 4, None).numbers
    assert later["games"] > first["games"]
    assert later["dataset"] != first["dataset"]


def test_a_dataset_has_the_policy_that_it_is_told(root, played):
    upto = add(root, played[:GAMES])
    found = {
        target: export(
            root, upto, None, values={**VALUES, "options": {"policy_target": target}}
        ).numbers
        for target in ("auto", "played", "descent_softmax")
    }
    assert found["auto"]["dataset"] == export(root, upto, None).numbers["dataset"]
    coverage = {target: numbers["coverage"] for target, numbers in found.items()}
    assert coverage == {"auto": 1.0, "played": 0.0, "descent_softmax": 0.0}


def test_a_stopped_export_is_not_complete_and_shows_nothing(root, played):
    upto = add(root, played[:GAMES])
    spec = {"kind": KIND, "parent": None, "upto": upto, "values": VALUES}
    outcome = dataset.run(context(root, "dataset", stop=lambda: True, **spec))
    assert not outcome.complete
    assert not list((Paths(root).npz / CONFIG).glob("[0-9a-f]*"))


@pytest.mark.slow
def test_a_training_goes_on_from_its_parent_as_long_as_new_samples_allow(stocked):
    root, parent, made = stocked
    told = []
    outcome = train(root, made, parent, report=lambda **it: told.append(it))
    numbers = outcome.numbers
    arrays = Dataset.open(Paths(root).npz / CONFIG / made).arrays
    learned = int(np.count_nonzero(~arrays["split_val"].astype(bool)))
    assert numbers["samples"] == learned
    assert numbers["steps"] == -(-learned * 2 // 64)
    assert len(numbers["losses"]) == len(numbers["validation"]) == numbers["epochs"]
    assert (numbers["policy_loss"], numbers["coverage"]) == ("kl", 1.0)
    found = card(root, numbers["model_id"])
    assert found["parents"] == [{"id": parent, "role": "warm_start"}]
    assert found["training"]["datasets"] == [made]
    assert found["training"]["run"] == numbers["run"]
    assert numbers["parent"] == parent
    assert any({"epoch", "loss", "samples_per_s", "eta_s"} <= each.keys() for each in told)
    again = train(root, made, parent).numbers
    assert (again["model_id"], again["steps"]) == (numbers["model_id"], numbers["steps"])
    further = train(root, made, numbers["model_id"], values={**VALUES, "passes_factor": 0.5})
    assert further.numbers["steps"] == 1  # nothing is new to this lineage


@pytest.mark.slow
def test_without_a_parent_the_hold_out_is_measured_once(stocked):
    root, _, made = stocked
    paths = Paths(root)
    numbers = train(root, made, None).numbers
    (report,) = (paths.runs / CONFIG / "loop").glob("*/report.json")
    assert json.loads(report.read_bytes())["holdout"] is None
    path = model_path(paths.model_objects, numbers["model_id"])
    ((_, result),) = read_results(path.parent / path.stem)
    assert (result["set_hash"], result["holdout"]["positions"]) == (
        numbers["holdout"],
        numbers["positions"],
    )


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_model(stocked):
    root, parent, made = stocked
    whole = train(root, made, parent).numbers["model_id"]
    paths = Paths(root)
    for path in sorted((paths.runs / CONFIG / "loop").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    model_path(paths.model_objects, whole).unlink()
    asked = iter(range(20))
    outcome = train(root, made, parent, stop=lambda: next(asked, None) is None)
    assert not outcome.complete
    assert not model_path(paths.model_objects, whole).exists()
    assert train(root, made, parent).numbers["model_id"] == whole


def test_what_is_wrong_with_a_training_is_said(root):
    with pytest.raises(UsageError, match=r"spec.values.options.epoch") as error:
        train(root, "d" * 64, None, values={**VALUES, "options": {"epoch": 3}})
    assert "epochs" in error.value.hint
    with pytest.raises(UsageError, match=r"spec.values.options.epochs") as error:
        train(root, "d" * 64, None, values={**VALUES, "options": {"epochs": "many"}})
    assert "'many'" in error.value.message
    with pytest.raises(UsageError, match=r"spec.dataset"):
        train(root, None, None)
    with pytest.raises(DataError, match="no dataset"):
        train(root, "d" * 64, None)
    with pytest.raises(UsageError, match=r"spec.init"):
        train(root, "d" * 64, None, init="random")


def test_every_value_can_be_set():
    options = {"batch_size": 32, "sample_every_n": 3, "window": 500, "policy_weight": 0.5}
    values = TrainingValues(learning_rate=0.1, window_games=100, window_factor=1.5, options=options)
    request = request_of(KIND, CONFIG, values, seed=4, steps=9, threads=2)
    found = request.values()
    expected = {"learning_rate": 0.1, "seed": 4, "steps": 9, "threads": 2, "max_games": 150}
    assert {name: found[name] for name in (*options, *expected)} == {**options, **expected}
    assert selection_of(KIND, values) == request.selection
    plain = request_of("cnn", CONFIG, TrainingValues(), seed=1)
    assert plain.shape.as_dict() == {"size": "small", "encoder": "planes1"}
    assert plain.settings.temperature_start == plain.settings.temperature_end == 1.0


def test_a_lineage_keeps_the_shape_of_its_first_net():
    asked = TrainingValues(
        hidden_dim=64, model_size="large", options={"num_hidden_layers": 3, "encoder": "planes1"}
    )
    assert shape_of(KIND, CONFIG, asked).as_dict() == {"hidden_dim": 64, "num_hidden_layers": 3}
    parent = {"architecture": {"hidden": 32, "layers": [{}, {}]}}
    kept = shape_of(KIND, CONFIG, asked, parent).as_dict()
    assert kept == {"hidden_dim": 32, "num_hidden_layers": 2}
    parent = {"architecture": {"size": "micro"}, "encoder": {"id": "planes0"}}
    kept = shape_of("cnn", CONFIG, asked, parent).as_dict()
    assert kept == {"size": "micro", "encoder": "planes0"}


def test_old_samples_go_and_manifests_stay(stocked):
    root, _, made = stocked
    paths = Paths(root)
    datasets, runs = paths.npz / CONFIG, paths.runs / CONFIG / "loop"
    manifest = json.loads((datasets / made / "manifest.json").read_bytes())
    for number in range(5):
        identity = f"{number:064x}"
        for folder, name in ((runs / f"run-{number}", "dataset.json"),
                             (datasets / identity, "manifest.json")):  # fmt: skip
            folder.mkdir(parents=True)
            (folder / name).write_text(json.dumps({**manifest, "id": identity}))
            os.utime(folder / name, (number, number))
        (datasets / identity / "part-00000.npz").touch()
    other = datasets / ("f" * 64)
    other.mkdir()
    (other / "part-00000.npz").touch()
    thin_out(datasets, runs, keep=made)
    left = {path.parent.name for path in datasets.glob("*/part-*.npz")}
    assert left == {made, other.name, f"{3:064x}", f"{4:064x}"}
    assert len(list(datasets.glob("*/manifest.json"))) == 6


def test_checkpoints_of_finished_trainings_go(tmp_path):
    for number in range(4):
        folder = tmp_path / f"run-{number}"
        (folder / "checkpoint").mkdir(parents=True)
        if number:
            (folder / "report.json").touch()
            os.utime(folder / "report.json", (number, number))
    drop_checkpoints(tmp_path, keep="run-3")
    assert {path.parent.name for path in tmp_path.glob("*/checkpoint")} == {
        "run-0",  # is not finished
        "run-2",
        "run-3",
    }


def newest(folder):
    """The step of the newest checkpoint, which is only looked at."""
    return max((int(path.stem) for path in folder.glob("checkpoint/[0-9]*.json")), default=0)


def _train_here(root, made, parent, values):
    train(root, made, parent, values=values)


@pytest.mark.acceptance
def test_a_training_killed_at_any_step_goes_on_to_the_same_model(stocked, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)  # a process imports what it runs by name
    root, parent, made = stocked
    values = {**VALUES, "max_reuse": 12.0}
    whole = train(root, made, parent, values=values).numbers
    paths = Paths(root)
    folder = paths.runs / CONFIG / "loop" / whole["run"]
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    model_path(paths.model_objects, whole["model_id"]).unlink()
    spawn = multiprocessing.get_context("spawn")
    for step in (1, whole["steps"] // 2, whole["steps"] - 40):
        process = spawn.Process(target=_train_here, args=(root, made, parent, values))
        process.start()
        until = time.monotonic() + 120
        while newest(folder) < step:
            assert time.monotonic() < until
            assert process.is_alive()
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert not (folder / "report.json").exists()
    assert train(root, made, parent, values=values).numbers["model_id"] == whole["model_id"]
    assert (folder / "train.log").read_text().count("continued at step") == 3
