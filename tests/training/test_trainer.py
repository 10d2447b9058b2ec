"""The trainer: it learns, it clips, it repeats itself bit for bit, and it saves all or nothing."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.nets.model_file import ModelError, init_model, load_model, read_card
from ringrift.nets.network import Architecture, MaskedNorm, fresh_net
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec
from ringrift.training.batches import Feed, legal_logits, loss_of, table_size, total
from ringrift.training.dataset import build_samples
from ringrift.training.trainer import (
    Session,
    TrainingDiverged,
    TrainOptions,
    parameter_groups,
    scores,
    train,
    train_net,
)

from .games import game, games

SPEC = BoardSpec.create("square8", 2)


def net_of(spec=SPEC, size="micro", seed=1):
    return fresh_net(Architecture.of(spec.board, spec.players, size), seed=seed)


@pytest.fixture(scope="module")
def samples():
    return build_samples(games(SPEC, 6), SPEC)


def first(samples, count):
    """Cut a data set to its first samples."""
    end = samples.offsets[count]
    return replace(
        samples,
        planes=samples.planes[:count],
        numbers=samples.numbers[:count],
        offsets=samples.offsets[: count + 1],
        first=samples.first[:, :end],
        second=samples.second[:end],
        probabilities=samples.probabilities[:end],
        symmetric=samples.symmetric[:count],
        win=samples.win[:count],
        rank=samples.rank[:count],
        policy_weight=samples.policy_weight[:count],
        value_weight=samples.value_weight[:count],
    )


def trained(folder, samples, *, net=None, validation=None, **options):
    return train_net(
        net or net_of(),
        samples,
        validation,
        options=TrainOptions(**{"steps": 12, "batch_size": 32, **options}),
        models=folder / "objects",
        run_folder=folder / "run",
    )


@pytest.mark.slow
def test_64_positions_are_learned_by_heart(samples, tmp_path):
    few = first(samples, 64)
    report = trained(
        tmp_path,
        few,
        net=net_of(size="tiny"),
        steps=300,
        batch_size=64,
        augment=False,
        learning_rate=3e-3,
    )
    assert report.train.policy_kl < 0.1
    targets = few.win
    floor = float(-(targets * np.log(np.maximum(targets, 1e-9))).sum(1).mean())
    assert report.train.value_loss - floor < 0.1


@pytest.mark.slow
def test_five_epochs_of_2000_samples_take_off_30_percent(tmp_path):
    samples = first(build_samples(games(SPEC, 34), SPEC), 2000)
    net = net_of(size="tiny")
    win = torch.from_numpy(samples.win)
    floor = float(-torch.xlogy(win, win).sum(1).mean())
    before = scores(net, samples)
    options = {"steps": 5 * 2000 // 64, "batch_size": 64, "warmup": 0.0, "learning_rate": 1e-3}
    after = trained(tmp_path, samples, net=net, **options).train
    excess = [s.policy_kl + s.value_loss - floor for s in (before, after)]
    assert excess[1] < 0.7 * excess[0]


def test_same_seed_same_weights(samples, tmp_path):
    ids = [trained(tmp_path / str(k), samples, seed=s).model_id for k, s in enumerate((7, 7, 8))]
    assert ids[0] == ids[1] != ids[2]


TRAINING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from games import games
from ringrift.nets.network import Architecture, fresh_net
from ringrift.rules import BoardSpec
from ringrift.training.dataset import build_samples
from ringrift.training.trainer import TrainOptions, train_net

spec, folder = BoardSpec.create("square8", 2), Path({folder!r})
train_net(
    fresh_net(Architecture.of("square8", 2, "micro"), seed=1),
    build_samples(games(spec, 3), spec),
    None,
    options=TrainOptions(steps=200, batch_size=16, seed=5),
    models=folder / "objects",
    run_folder=folder / "run",
)
"""


@pytest.mark.slow
def test_a_killed_training_leaves_no_model_and_repeats_itself(tmp_path):
    tests = str(Path(__file__).parent)
    script = TRAINING.format(tests=tests, folder=str(tmp_path / "killed"))
    child = subprocess.Popen([sys.executable, "-c", script])
    metrics = tmp_path / "killed" / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert not list(tmp_path.rglob("*.safetensors"))
    subprocess.run([sys.executable, "-c", script], check=True)
    (again,) = tmp_path.rglob("*.safetensors")
    samples = build_samples(games(SPEC, 3), SPEC)
    other = trained(tmp_path / "other", samples, steps=200, batch_size=16, seed=5)
    assert other.model_id == again.stem


def test_clipped_gradients_keep_the_bound(samples):
    options = TrainOptions(steps=5, batch_size=64, policy_weight=100.0)
    session = Session(net_of(), samples, options)
    clipped = 0
    for batch, _ in zip(session.batches(), range(5), strict=False):
        _, norm = session.train_step(batch)
        grads = [p.grad for p in session.net.parameters() if p.grad is not None]
        after = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in grads])))
        assert after <= 1.0 + 1e-6
        clipped += norm > 1.0
    assert clipped


def test_biases_and_norms_do_not_decay():
    net = net_of(size="tiny")
    decayed, kept = parameter_groups(net, TrainOptions(steps=1))
    assert decayed["weight_decay"] == 1e-4
    assert kept["weight_decay"] == 0
    norms = {id(p) for m in net.modules() if isinstance(m, MaskedNorm) for p in m.parameters()}
    biases = {id(p) for n, p in net.named_parameters() if n.endswith("bias") and p.dim() == 1}
    assert {id(p) for p in kept["params"]} == norms | biases
    assert len(decayed["params"]) + len(kept["params"]) == len(list(net.parameters()))


def test_rate_warms_up_and_falls_to_a_hundredth(samples):
    session = Session(net_of(), samples, TrainOptions(steps=1000, learning_rate=1.0, warmup=0.05))
    rates = [session.learning_rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50)
    assert rates[49] == 1.0
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.01, rel=0.01)
    assert all(a >= b for a, b in pairwise(rates[49:]))


def test_the_average_follows_the_documented_decay(samples):
    net = net_of()
    start = net.stem.weight.detach().clone()
    session = Session(net, samples, TrainOptions(steps=2, batch_size=32))
    batches = session.batches()
    expected = start
    for t in range(2):
        session.train_step(next(batches))
        decay = min(0.999, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * net.stem.weight.detach()
    session.adopt_average()
    assert torch.allclose(net.stem.weight, expected, atol=1e-6)


def test_epochs_visit_each_sample_once_with_varied_symmetries(samples):
    feed, seen, maps = Feed(samples), [], []
    feed.batch = lambda chosen, k: (seen.extend(chosen), maps.extend(k))
    list(feed.epoch(10, seed=1, epoch=0))
    whole = len(samples) // 10 * 10
    assert len(set(seen)) == len(seen) == whole
    assert set(maps) == set(range(8))
    order = list(seen)
    seen.clear()
    list(feed.epoch(10, seed=1, epoch=1))
    assert seen != order


def test_padding_of_a_batch_has_no_weight(samples):
    feed, net = Feed(samples), net_of().eval()
    together = feed.batch(np.arange(20), np.zeros(20, np.int64))
    with torch.no_grad():
        logits = legal_logits(net(together.planes, together.numbers), together)
    probabilities = torch.softmax(logits, 1)
    assert float(probabilities[~together.legal].abs().sum()) == 0
    assert int(together.first.max()) <= table_size(samples)
    alone = [feed.batch(np.array([i]), np.zeros(1, np.int64)) for i in range(20)]
    with torch.no_grad():
        parts = sum(float(loss_of(net, b).policy) for b in alone)
        assert float(loss_of(net, together).policy) == pytest.approx(parts, rel=1e-5)


def test_a_loss_that_is_not_finite_saves_nothing(samples, tmp_path):
    spoiled = replace(samples, numbers=samples.numbers.copy())
    spoiled.numbers[100:] = np.nan
    with pytest.raises(TrainingDiverged) as caught:
        trained(tmp_path, spoiled, steps=50)
    assert caught.value.step < 50
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not (tmp_path / "run" / "report.json").exists()
    assert (tmp_path / "run" / "config.json").exists()


def test_a_run_folder_tells_what_happened(samples, tmp_path):
    told = []
    report = train_net(
        net_of(),
        samples,
        first(samples, 50),
        options=TrainOptions(steps=60, batch_size=16),
        models=tmp_path / "objects",
        run_folder=tmp_path / "run",
        on_progress=told.append,
    )
    assert [p.step for p in told] == [50, 60]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [50, 60]
    stored = json.loads((tmp_path / "run" / "report.json").read_text())
    assert stored["model_id"] == report.model_id
    model = load_model(report.model_path, SPEC)
    again = scores(model.net, first(samples, 50))
    assert again.policy_loss == pytest.approx(report.validation.policy_loss, abs=1e-5)
    assert again.value_loss == pytest.approx(report.validation.value_loss, abs=1e-5)
    card = read_card(report.model_path)[1]
    assert card["training"]["games"] == 6
    assert card["training"]["options"]["steps"] == 60


@pytest.mark.parametrize(("board", "players"), [("hex8", 3), ("square8", 4), ("hexagonal", 2)])
def test_other_configurations_train_on_the_same_path(board, players, tmp_path):
    spec = BoardSpec.create(board, players)
    samples = build_samples([game(spec, 1, max_plies=60)], spec)
    report = train_net(
        net_of(spec),
        samples,
        None,
        options=TrainOptions(steps=3, batch_size=16),
        models=tmp_path / "objects",
        run_folder=tmp_path / "run",
    )
    assert load_model(report.model_path, spec).id == report.model_id


def test_training_goes_on_from_its_parent(tmp_path):
    options = TrainOptions(steps=4, batch_size=32)
    folders = {"models": tmp_path / "objects", "run_folder": tmp_path / "run"}
    with GameStore.open(tmp_path / "games.db", writer=True) as store:
        with pytest.raises(NegativeResult, match="no games"):
            train(store, SPEC, options=options, size="micro", **folders)
        store.ingest(games(SPEC, 12))
        parent = init_model(SPEC, size="micro", seed=1, folder=tmp_path / "objects")
        child = train(store, SPEC, options=options, parent=parent, **folders)
        again = train(store, SPEC, options=options, parent=parent, **folders)
        assert again.model_id == child.model_id
        card = read_card(child.model_path)[1]
        assert card["parents"] == [{"id": parent.stem, "role": "warm_start"}]
        assert child.parent_id == parent.stem
        before, after = load_model(parent, SPEC).net, load_model(child.model_path, SPEC).net
        drift = (after.stem.weight - before.stem.weight).detach().abs().max()
        assert 0 < float(drift) < 0.05
        with pytest.raises(UsageError, match="'micro'"):
            train(store, SPEC, options=options, parent=parent, size="tiny", **folders)
        with pytest.raises(UsageError, match="needs a model size"):
            train(store, SPEC, options=options, **folders)
        with pytest.raises(ModelError):
            train(store, SPEC, options=options, parent=tmp_path / "gone.safetensors", **folders)


def test_the_order_in_which_games_arrive_changes_nothing(tmp_path):
    played = list(games(SPEC, 12))
    found = set()
    for name, arrived in (("one", played), ("other", played[::-1])):
        with GameStore.open(tmp_path / f"{name}.db", writer=True) as store:
            store.ingest(arrived)
            report = train(
                store,
                SPEC,
                options=TrainOptions(steps=4, batch_size=32),
                size="micro",
                models=tmp_path / name,
                run_folder=tmp_path / f"run-{name}",
            )
        found.add(report.model_id)
    assert len(found) == 1


def test_options_out_of_range_are_refused():
    for wrong in ({"steps": 0}, {"steps": 5, "batch_size": 1}, {"steps": 5, "threads": 0}):
        with pytest.raises(UsageError):
            TrainOptions(**wrong)


def test_the_objective_weighs_its_parts(samples):
    feed, net = Feed(samples), net_of().eval()
    loss = loss_of(net, feed.batch(np.arange(16), np.zeros(16, np.int64)))
    both = float(total(loss))
    policy = float(total(loss, value_weight=0.0))
    value = float(total(loss, policy_weight=0.0))
    assert both == pytest.approx(policy + value, rel=1e-6)
    assert policy == pytest.approx(float(loss.policy) / 16, rel=1e-6)
