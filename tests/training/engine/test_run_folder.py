"""A run on disk: one trainer at a time, the same settings, checkpoints that are whole."""

import json
import time

import pytest
import torch

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.training.engine.checkpoint import Checkpoints
from ringrift.training.engine.run_folder import open_run

from .processes import start
from .toy import ToyTask, config_of, same, settings_of, train_slowly, trained, weights


def stopped_after(folder, settings, steps, **options):
    """Train until some steps are taken; return the report."""
    task = ToyTask(settings)
    return trained(folder, settings, task=task, stop=lambda: len(task.moments) >= steps, **options)[
        0
    ]


def test_config_says_every_value_with_its_origin(tmp_path):
    settings = settings_of(learning_rate=0.01)
    config = config_of(settings, origins={"learning_rate": "option"}, extra={"commit": "abc"})
    with open_run(tmp_path / "run", config):
        found = json.loads((tmp_path / "run" / "config.json").read_text())
    assert found["settings"]["learning_rate"] == {"value": 0.01, "origin": "option"}
    assert found["settings"]["grad_clip"] == {"value": 1.0, "origin": "default"}
    assert found["commit"] == "abc"
    assert set(found) >= {"versions", "host", "device", "started", "dataset", "net"}
    assert json.loads((tmp_path / "run" / "dataset.json").read_text()) == {"id": "d" * 64}


def test_other_settings_are_refused_with_their_differences(tmp_path):
    with open_run(tmp_path, config_of(settings_of())):
        pass
    other = config_of(settings_of(learning_rate=0.5, seed=1), dataset={"id": "e" * 64})
    with pytest.raises(UsageError) as caught, open_run(tmp_path, other):
        pass
    assert "learning_rate 0.003, now 0.5" in caught.value.message
    assert "seed 42, now 1" in caught.value.message
    assert "dataset" in caught.value.message
    assert "--fresh" in caught.value.hint
    with open_run(tmp_path, config_of(settings_of(num_workers=5))):
        pass
    with open_run(tmp_path, other, fresh=True):
        assert json.loads((tmp_path / "config.json").read_text())["dataset"] == "e" * 64


def test_fresh_drops_the_run_and_nothing_else(tmp_path):
    stopped_after(tmp_path, settings_of(), 30)
    stranger = tmp_path / "run" / "notes.txt"
    stranger.write_text("mine")
    settings = settings_of(seed=9)
    report, _ = trained(tmp_path, settings, fresh=True)
    trained(tmp_path / "other", settings)
    assert report.status == "finished"
    assert stranger.read_text() == "mine"
    assert same(weights(tmp_path), weights(tmp_path / "other"))


def test_a_damaged_config_is_named(tmp_path):
    with open_run(tmp_path, config_of(settings_of())):
        pass
    (tmp_path / "config.json").write_text("{")
    with (
        pytest.raises(DataError, match=r"config\.json"),
        open_run(tmp_path, config_of(settings_of())),
    ):
        pass


@pytest.mark.slow
def test_a_second_trainer_is_told_who_trains(tmp_path):
    first = start(train_slowly, tmp_path, epochs=400, delay_s=0.01)
    config = tmp_path / "run" / "config.json"
    while not config.exists() and first.is_alive():
        time.sleep(0.01)
    try:
        with pytest.raises(BusyError, match=str(first.pid)) as caught:
            trained(tmp_path, settings_of())
        assert caught.value.exit_code == 75
    finally:
        first.kill()
        first.join()


def test_stopped_and_continued_is_the_same_as_never_stopped(tmp_path):
    settings = settings_of(gradient_accumulation_steps=3)
    whole, _ = trained(tmp_path / "whole", settings)
    for steps in (5, 1, 9, 8):
        report = stopped_after(tmp_path / "parts", settings, steps)
        assert report.status == "interrupted"
        assert report.model_id is None
    report, _ = trained(tmp_path / "parts", settings)
    assert report.steps == whole.steps
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    curves = [
        [(e.epoch, e.losses, e.validation, e.best, e.learning_rate) for e in r.epochs]
        for r in (whole, report)
    ]
    assert curves[0] == curves[1]


def test_a_plateau_goes_on_where_it_was(tmp_path):
    settings = settings_of(schedule="plateau", epochs=9, learning_rate=0.2)
    whole, _ = trained(tmp_path / "whole", settings)
    assert whole.epochs[-1].learning_rate < 0.2
    stopped_after(tmp_path / "parts", settings, 130)
    trained(tmp_path / "parts", settings)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_metrics_beyond_the_checkpoint_are_cut(tmp_path):
    settings = settings_of(epochs=8)
    stopped_after(tmp_path, settings, 70)
    path = tmp_path / "run" / "metrics.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({"kind": "steps", "step": 100, "stale": True}) + "\n")
        file.write('{"kind": "steps", "st')
    trained(tmp_path, settings)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert not any("stale" in line for line in lines)
    steps = [line["step"] for line in lines if line["kind"] == "steps"]
    epochs = [line["epoch"] for line in lines if line["kind"] == "epoch"]
    assert steps == [50, 100, 150]
    assert epochs == list(range(1, 9))


@pytest.mark.parametrize("harm", ["cut", "flip", "text", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, harm):
    settings = settings_of()
    trained(tmp_path / "whole", settings)
    stopped_after(tmp_path / "parts", settings, 50)
    folder = tmp_path / "parts" / "run" / "checkpoint"
    before, newest = Checkpoints(folder).steps()[::-1]
    assert (before, newest) == (40, 50)
    path = folder / f"{newest:09d}.safetensors"
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif harm == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("{")
    task = ToyTask(settings)
    trained(tmp_path / "parts", settings, task=task)
    assert task.moments[0].step == 40
    assert (
        "warning: checkpoint of step 50 left out"
        in (tmp_path / "parts" / "run" / "train.log").read_text()
    )
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_without_any_whole_checkpoint_it_begins_again(tmp_path):
    settings = settings_of()
    trained(tmp_path / "whole", settings)
    stopped_after(tmp_path / "parts", settings, 50)
    for path in (tmp_path / "parts" / "run" / "checkpoint").glob("*.safetensors"):
        path.write_bytes(b"")
    task = ToyTask(settings)
    trained(tmp_path / "parts", settings, task=task)
    assert task.moments[0].step == 0
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_finished_run_asked_again_takes_no_step(tmp_path):
    settings = settings_of()
    first, _ = trained(tmp_path, settings)
    task = ToyTask(settings)
    again, _ = trained(tmp_path, settings, task=task)
    assert task.moments == []
    assert again.epochs == first.epochs
    assert again.model_id == first.model_id


def test_best_weights_that_a_checkpoint_names_stay(tmp_path):
    settings = settings_of(epochs=6)
    task = ToyTask(settings)
    losses = iter([1.0, 0.9, 0.95, 0.8, 0.9, 0.9])
    task.validate = lambda: {"loss": next(losses)}
    kept = []
    decide = task.begin_step

    def begin_step(moment):
        decide(moment)
        if moment.step % 20 == 0:
            kept.append(Checkpoints(tmp_path / "run" / "best").steps())

    task.begin_step = begin_step
    trained(tmp_path, settings, task=task)
    assert kept == [[], [20], [40, 20], [40], [80, 40], [80]]


def test_a_checkpoint_of_another_net_is_refused(tmp_path):
    settings = settings_of()
    stopped_after(tmp_path, settings, 30)
    task = ToyTask(settings)
    task.net = torch.nn.Linear(12, 3)
    with pytest.raises(DataError, match="another net"):
        trained(tmp_path, settings, task=task)
