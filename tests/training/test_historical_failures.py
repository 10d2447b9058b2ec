"""Failures that trainers of this game have had, each planted or measured so that it would show."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.core.errors import NegativeResult
from ringrift.nets.container import ModelError
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.model_file import init_model
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.request import Request, Shape
from ringrift.training.run import Job, run_training
from ringrift.training.sides import read_sides
from ringrift.training.sources import Places, Selection, Source, find_samples

from .convnet.fitting import net_for
from .convnet.fitting import task_for as conv_task
from .games import games
from .nnue.tables import table_for
from .nnue.tables import task_for as nnue_task

SQUARE8 = BoardSpec.create("square8", 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "games.db"
    with GameStore.open(path, writer=True) as opened:
        opened.ingest(games(SQUARE8, 12))
    return path


def job(folder, store, **changes):
    settings = TrainSettings(epochs=1, batch_size=32, steps=4, **changes.pop("settings", {}))
    request = Request(
        kind=changes.pop("kind", "nnue"),
        config=SQUARE8.config,
        settings=settings,
        selection=Selection(max_samples=128),
        shape=changes.pop("shape", Shape(hidden=32)),
    )
    return Job(
        request=request,
        source=Source(stores=(store,)),
        places=Places(npz=folder / "npz", cache=folder / "cache"),
        objects=folder / "objects",
        runs=folder / "runs",
        **changes,
    )


# --- policy targets that were dropped on their way


def test_every_recorded_distribution_reaches_the_batches(store, tmp_path):
    played = games(SQUARE8, 12)
    searched = {record.id: {ply.ply for ply in found.plies} for record, found in played}
    chosen = Selection(min_game_length=0)
    places = Places(npz=tmp_path / "npz", cache=tmp_path / "cache")
    dataset = find_samples(Source(stores=(store,)), SQUARE8.config, chosen, places).dataset
    sides = read_sides(dataset, chosen)
    for table in (sides.train, sides.val):
        found = {(table.games[g], int(p)) for g, p in zip(table.game, table.ply, strict=True)}
        assert found == {(g, p) for g in {g for g, _ in found} for p in searched[g]}
        assert table.searched.all()
        mass = np.add.reduceat(table.policy_probs, table.policy_ptr[:-1])
        np.testing.assert_allclose(mass, 1.0, atol=1e-5)
    for task in (conv_task(sides.train), nnue_task(sides.train)):
        seen = 0
        for batch in task.batches(0):
            np.testing.assert_allclose(batch.target.sum(1).numpy(), 1.0, atol=1e-5)
            assert (batch.policy_weight > 0).all()
            seen += len(batch.target)
        assert seen == task.batches_per_epoch * task.batch_samples > 0


# --- positions of one game on both sides of the split


def test_no_game_and_no_play_is_on_both_sides_however_it_is_split(store, tmp_path):
    places = Places(npz=tmp_path / "npz", cache=tmp_path / "cache")
    for share in (0.1, 0.5):
        chosen = Selection(min_game_length=0, val_split=share)
        dataset = find_samples(Source(stores=(store,)), SQUARE8.config, chosen, places).dataset
        sides = read_sides(dataset, chosen)
        facts = dataset.manifest.game_facts
        plays = [{facts[g]["play"] for g in np.unique(t.game)} for t in (sides.train, sides.val)]
        assert len(plays[0]) > 0
        assert not plays[0] & plays[1]


# --- values seen from the wrong seat, or turned the wrong way with three players


def favouring(spec, seat):
    """A net that says of every position that relative seat `seat` wins and ranks first."""
    net = net_for(spec)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.split(".")[0] in ("win", "rank"):
                parameter.zero_()
        net.win.bias[seat] = 4.0
        if spec.players > 2:
            rank = net.rank.bias.view(spec.players, spec.players)
            for other in range(spec.players):
                rank[other, 0 if other == seat else 1 + (other > seat)] = 4.0
    return net.eval()


@pytest.mark.parametrize(("players", "seat"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 1)])
def test_values_are_of_the_seat_that_the_net_means(players, seat):
    spec = BoardSpec.create("square8", players)
    position, positions = Position.of(spec), []
    while len({p.current_player for p in positions}) < players:
        positions.append(Position.parse(str(position), spec=spec))
        position.play(int(position.legal_packed()[0]))
    legal = [p.legal_packed() for p in positions]
    offsets = np.zeros(len(legal) + 1, np.int32)
    offsets[1:] = np.cumsum([len(moves) for moves in legal])
    _, values = NetEvaluator(favouring(spec, seat), spec).evaluate(
        np.concatenate([p._states for p in positions]),
        board_tables(spec),
        np.concatenate(legal),
        offsets,
    )
    for p, value in zip(positions, values, strict=True):
        assert int(value[:players].argmax()) == (p.current_player - 1 + seat) % players
        assert abs(float(value[:players].sum())) < 1e-4


@pytest.mark.parametrize("players", [2, 3, 4])
def test_targets_are_turned_to_the_mover_and_not_away_from_it(players):
    table = table_for("square8", players)
    facts = {}
    for record, _ in games(BoardSpec.create("square8", players), 4):
        facts[record.id] = record.result.ranks
    for row in range(0, len(table), 7):
        ranks, mover = facts[table.games[table.game[row]]], int(table.mover[row])
        for r in range(players):
            seat = (mover - 1 + r) % players
            best = table.rank[row, r].argmax() + 1
            if ranks.count(ranks[seat]) == 1:
                assert best == ranks[seat]
            assert (table.rank[row, r, 0] > 0) == (ranks[seat] == 1)


# --- gradients that were clipped too late, or not at all


@pytest.mark.parametrize("task_of", [conv_task, nnue_task])
def test_a_huge_loss_moves_the_weights_by_a_clipped_gradient(task_of):
    table = table_for("square8", 2)
    task = task_of(table.take(np.arange(128)), value_weight=1e6)
    with prepared(task.settings):
        session = Session(task, task.settings)
        session.take_step(task.batches(0))
        norms = [p.grad.norm() for p in task.net.parameters() if p.grad is not None]
        assert float(torch.linalg.vector_norm(torch.stack(norms))) <= 1.0 + 1e-6


# --- a model that could not be loaded was replaced by a random one


@pytest.mark.parametrize("harm", ["missing", "cut", "altered", "other board"])
def test_a_parent_that_cannot_be_loaded_is_an_error_and_no_fresh_net(store, tmp_path, harm):
    spec = BoardSpec.create("hex8", 2) if harm == "other board" else SQUARE8
    parent = init_model(spec, size="micro", seed=1, folder=tmp_path / "parents")
    data = parent.read_bytes()
    parent.chmod(0o644)
    if harm == "missing":
        parent.unlink()
    elif harm == "cut":
        parent.write_bytes(data[: len(data) // 2])
    elif harm == "altered":
        parent.write_bytes(data[:-7] + b"x" + data[-6:])
    with pytest.raises(ModelError):
        run_training(job(tmp_path, store, kind="cnn", shape=Shape(size="micro"), parent=parent))
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "objects").exists()


# --- NaN


def test_a_loss_that_is_not_finite_ends_the_run_without_a_model(store, tmp_path, monkeypatch):
    from ringrift.training import run as module

    def spoilt(*arguments, **options):
        sides = read_sides(*arguments, **options)
        win = sides.train.win.copy()
        win[5] = np.nan
        return replace(sides, train=replace(sides.train, win=win))

    monkeypatch.setattr(module, "read_sides", spoilt)
    with pytest.raises(NegativeResult, match="not finite at step"):
        run_training(job(tmp_path, store, settings={"symmetries": "none"}))
    assert not (tmp_path / "objects").exists()
    (folder,) = (tmp_path / "runs" / SQUARE8.config).iterdir()
    assert json.loads((folder / "config.json").read_text())["dataset"]
