"""The training loop: it learns, clips, averages, stops, and says where it went wrong."""

import json
import threading
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from ringrift.core.errors import NegativeResult
from ringrift.training.engine.averaging import Average
from ringrift.training.engine.prefetch import BURST, Prefetch
from ringrift.training.engine.run_folder import open_run
from ringrift.training.engine.schedule import Schedule, temperature
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.tally import TrainingDiverged
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train

from .toy import ToyTask, config_of, same, settings_of, trained, weights


def lines(folder):
    return [
        json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()
    ]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.mark.usefixtures("with_curves")
def test_it_learns_and_leaves_everything_the_run_promises(tmp_path):
    report, task = trained(tmp_path, settings_of(epochs=30))
    assert report.status == "finished"
    assert report.steps == 30 * 20
    assert report.best["loss"] < 0.8 * report.epochs[0].validation["loss"]
    assert report.best["loss"] == min(e.validation["loss"] for e in report.epochs)
    assert report.model_path == tmp_path / "models" / "toy.safetensors"
    assert task.lineage.training["best_epoch"] == report.best_epoch
    run = tmp_path / "run"
    for name in (
        "config.json",
        "dataset.json",
        "report.json",
        "curves.png",
        "curves.svg",
        "train.log",
    ):
        assert (run / name).stat().st_size, name
    assert len(list((run / "checkpoint").glob("*.safetensors"))) == 2
    steps = [line for line in lines(tmp_path) if line["kind"] == "steps"]
    assert [line["step"] for line in steps] == list(range(50, 601, 50))
    assert [line["epoch"] for line in lines(tmp_path) if line["kind"] == "epoch"] == list(
        range(1, 31)
    )
    assert set(steps[0]) >= {"losses", "learning_rate", "grad_norm", "samples_per_s", "temperature"}
    assert not threads()


def test_config_and_dataset_are_there_before_the_first_step(tmp_path):
    settings = settings_of()
    task = ToyTask(settings)
    seen = []
    task.begin_step = lambda _: seen.append(
        all((tmp_path / "run" / name).exists() for name in ("config.json", "dataset.json"))
    )
    trained(tmp_path, settings, task=task)
    assert seen[0]


def test_the_saved_weights_are_the_average_of_the_best_epoch(tmp_path):
    report, task = trained(tmp_path, settings_of(epochs=8, learning_rate=0.1))
    task.net.load_state_dict(weights(tmp_path))
    task.net.eval()
    with torch.no_grad():
        assert task.validate()["loss"] == report.best["loss"]


def test_same_seed_same_weights_and_another_seed_others(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        trained(tmp_path / name, settings_of(seed=seed))
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_other_random_numbers_of_the_process_change_nothing(tmp_path):
    trained(tmp_path / "a")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    settings = settings_of()
    task = ToyTask(settings)
    torch.set_rng_state(before)
    trained(tmp_path / "b", settings, task=task)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_snapshots_are_models_of_their_own_and_change_nothing(tmp_path):
    """The averaged weights of each epoch but the last, in a card from which nothing descends."""
    settings = settings_of(epochs=4, early_stopping_patience=0)
    trained(tmp_path / "plain", settings)
    task = ToyTask(settings)
    saved = []
    whole = task.save

    def save(folder, lineage):
        path = whole(folder, lineage)
        saved.append((lineage, weights(tmp_path / "told"), torch.rand(3)))
        return path

    task.save = save
    lineage = Lineage(training={}, parents=({"id": "p" * 64, "role": "warm_start"},))
    with open_run(tmp_path / "told" / "run", config_of(settings)) as run:
        options = {"models": tmp_path / "told" / "models", "lineage": lineage}
        train(task, settings, run, snapshot_s=1e-6, **options)
    *snapshots, (last, final, _) = saved
    assert [lineage.training["best_epoch"] for lineage, *_ in snapshots] == [1, 2, 3]
    assert all(lineage.training["unfinished"] for lineage, *_ in snapshots)
    assert {parent["role"] for lineage, *_ in snapshots for parent in lineage.parents} == {
        "snapshot"
    }
    assert "unfinished" not in last.training
    assert last.parents == lineage.parents
    assert same(final, weights(tmp_path / "plain"))
    assert not any(same(kept, final) for _, kept, _ in snapshots[:2])
    _, none = trained(tmp_path / "rare", settings, snapshot_s=3600.0)
    assert "unfinished" not in none.lineage.training


def test_curves_are_left_out_on_request(tmp_path):
    trained(tmp_path, settings_of(epochs=1), curves=False)
    assert (tmp_path / "run" / "report.json").exists()
    assert not list((tmp_path / "run").glob("curves.*"))


def test_gradients_keep_the_bound():
    settings = settings_of(grad_clip=0.05)
    task = ToyTask(settings)
    session = Session(task, settings)
    found = []
    batches = task.batches(0)
    for _ in range(10):
        session.take_step(batches)
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in task.net.parameters()]))
        found.append(float(norm))
    assert max(found) <= 0.05 * (1 + 1e-6)
    assert min(found) > 0.04


def test_accumulated_gradients_are_those_of_one_large_batch(tmp_path):
    found = []
    for name, size, parts in (("small", 10, 4), ("large", 40, 1)):
        settings = settings_of(
            batch_size=size, gradient_accumulation_steps=parts, epochs=2, use_ema=False
        )
        task = ToyTask(settings)
        task.net[3].p = 0.0
        report, _ = trained(tmp_path / name, settings, task=task)
        assert report.steps == 20
        found.append(weights(tmp_path / name))
    for name, small in found[0].items():
        assert torch.allclose(small, found[1][name], atol=2e-5), name


def test_the_last_step_of_an_epoch_takes_the_batches_that_are_left():
    settings = settings_of(batch_size=40, gradient_accumulation_steps=4)
    session = Session(ToyTask(settings), settings)
    assert session.steps_per_epoch == 3
    task = session.task
    taken = iter(list(task.batches(0)))
    for _ in range(3):
        session.take_step(taken)
    assert next(taken, None) is None
    assert session.epoch == 1
    assert session.next_batch == 0


@pytest.mark.parametrize(("epochs", "steps", "expected"), [(3, None, 60), (3, 25, 25), (1, 25, 20)])
def test_the_length_is_steps_but_never_more_than_the_epochs(tmp_path, epochs, steps, expected):
    report, _ = trained(tmp_path, settings_of(epochs=epochs, steps=steps))
    assert report.steps == expected
    assert report.epochs[-1].step == expected


def test_rate_warms_up_for_a_twentieth_and_falls_to_a_hundredth():
    schedule = Schedule(settings_of(learning_rate=1.0), 1000, 100)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert rates[49] == 1.0
    assert rates[-1] == pytest.approx(0.01, rel=0.01)
    assert all(a >= b for a, b in pairwise(rates[49:]))
    short = Schedule(settings_of(warmup_epochs=0.1), 1000, 100)
    assert short.warmup_steps == 10
    none = Schedule(settings_of(warmup_epochs=0, learning_rate=1.0), 10, 10)
    assert none.rate(0) == 1.0


def test_a_plateau_halves_the_rate():
    schedule = Schedule(
        settings_of(learning_rate=1.0, schedule="plateau", warmup_epochs=0), 100, 10
    )
    for better, expected in ((True, 1), (False, 1), (False, 1), (False, 0.5), (False, 0.5)):
        schedule.observe(better=better)
        assert schedule.rate(50) == expected
    for _ in range(60):
        schedule.observe(better=False)
    assert schedule.rate(50) == 0.01


def test_temperatures_end_where_they_should():
    for kind, middle in (("linear", 1.25), ("cosine", 1.25), ("exponential", 1.0)):
        settings = settings_of(
            temperature_start=2.0, temperature_end=0.5, temperature_schedule=kind
        )
        found = [temperature(settings, done) for done in (0.0, 0.5, 1.0)]
        assert found == pytest.approx([2.0, middle, 0.5])


def test_the_average_follows_the_documented_decay():
    net = torch.nn.Linear(2, 1)
    average = Average(net, limit=0.999, use=True)
    expected = net.weight.detach().clone()
    for t in range(5):
        with torch.no_grad():
            net.weight += 1.0
        average.update(t)
        decay = min(0.999, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * net.weight.detach()
    live = net.weight.detach().clone()
    with average.in_place():
        assert torch.allclose(net.weight, expected, atol=1e-6)
        assert not torch.equal(net.weight, live)
    assert torch.equal(net.weight, live)


def test_a_batch_that_is_not_finite_stops_the_run_at_its_step(tmp_path):
    settings = settings_of()
    task = ToyTask(settings, spoil=(2, 7))
    with pytest.raises(TrainingDiverged) as caught:
        trained(tmp_path, settings, task=task)
    assert caught.value.step == 2 * 20 + 7 + 1
    assert isinstance(caught.value, NegativeResult)
    assert not (tmp_path / "models").exists()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["status"] == "diverged"
    assert report["best_epoch"] == 2
    assert (tmp_path / "run" / "best" / "000000040.safetensors").exists()
    assert "not finite at step 48" in (tmp_path / "run" / "train.log").read_text()
    assert not threads()


def test_a_validation_loss_that_explodes_stops_the_run(tmp_path):
    settings = settings_of(epochs=20)
    task = ToyTask(settings)
    losses = iter([1.0, 0.5, 1.6, 1.4, 1.6, 1.6, 1.7])
    task.validate = lambda: {"loss": next(losses)}
    with pytest.raises(TrainingDiverged, match=r"3 x the best, 0\.5"):
        trained(tmp_path, settings, task=task)
    assert list(losses) == []


def test_a_validation_that_is_not_finite_stops_the_run(tmp_path):
    settings = settings_of()
    task = ToyTask(settings)
    task.validate = lambda: {"loss": float("nan")}
    with pytest.raises(TrainingDiverged, match="validation loss is not finite at step 20"):
        trained(tmp_path, settings, task=task)


def test_patience_ends_a_training_that_gets_no_better(tmp_path):
    settings = settings_of(epochs=20, early_stopping_patience=3)
    task = ToyTask(settings)
    losses = iter([1.0, 0.5, 0.6, 0.55, 0.5])
    task.validate = lambda: {"loss": next(losses)}
    report, _ = trained(tmp_path, settings, task=task)
    assert report.status == "early_stopped"
    assert report.best_epoch == 2
    assert len(report.epochs) == 5
    again, _ = trained(tmp_path, settings)
    assert again.status == "early_stopped"


def test_without_validation_the_last_epoch_counts(tmp_path):
    settings = settings_of()
    report, _ = trained(tmp_path, settings, task=ToyTask(settings, validation=0))
    assert report.status == "finished"
    assert report.best_epoch == 6
    assert report.best == {}


def test_what_fails_while_batches_are_made_reaches_the_caller(tmp_path):
    settings = settings_of()
    task = ToyTask(settings)
    whole = task.batches

    def batches(epoch, *, first=0):
        yield from whole(epoch, first=first)
        raise OSError("no more")

    task.batches = batches
    with pytest.raises(OSError, match="no more"):
        trained(tmp_path, settings, task=task)
    assert not threads()


def test_the_feed_stops_at_once_and_runs_only_a_little_ahead():
    settings = settings_of()
    task = ToyTask(settings)
    made = []
    whole = task.batches

    def batches(epoch, *, first=0):
        for batch in whole(epoch, first=first):
            made.append(epoch)
            yield batch

    task.batches = batches
    with Prefetch(task, epoch=0, epochs=5, first=0, device=torch.device("cpu")) as feed:
        next(feed)
    assert len(made) <= 3 * BURST
    assert not threads()


def test_progress_says_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("ringrift.training.engine.trainer.PROGRESS_EVERY_S", 0.0)
    seen = []
    report, _ = trained(tmp_path, on_progress=seen.append)
    assert [p.step for p in seen] == list(range(1, report.steps + 1))
    assert seen[-1].eta_s == 0
    assert seen[0].epochs == 6
    assert seen[25].epoch == 2
    assert all(p.losses["policy"] > 0 and p.samples_per_s > 0 for p in seen)


def test_a_loss_of_bf16_trains_on_a_cpu_too(tmp_path):
    report, _ = trained(tmp_path, settings_of(mixed_precision=True))
    assert report.best["loss"] < report.epochs[0].validation["loss"]


def test_the_moment_says_step_and_epoch():
    settings = settings_of(epochs=2)
    task = ToyTask(settings)
    session = Session(task, replace(settings, steps=25))
    with prepared(settings):
        batches = iter([*task.batches(0), *task.batches(1)])
        for _ in range(25):
            session.take_step(batches)
    assert [m.step for m in task.moments] == list(range(25))
    assert [m.epoch for m in task.moments] == [0] * 20 + [1] * 5
    assert {m.steps for m in task.moments} == {25}
