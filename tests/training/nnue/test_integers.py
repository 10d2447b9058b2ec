"""The integers of nets that were trained: what plays is the reference, bit for bit (training.md 4)."""

import random

import numba
import numpy as np
import pytest
import torch

from ringrift.nets.container import read_model
from ringrift.nets.nnue import forward, reference
from ringrift.nets.nnue.accumulate import refresh, update
from ringrift.nets.nnue.file import INTEGERS, load_nnue
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.task import Lineage
from ringrift.training.engine.trainer import train

from .positions import CONFIGS, positions, reference_x, rows_of
from .tables import net_for, table_from, task_for

POSITIONS = 10_000

compiled = numba.njit(error_model="numpy")
"""Compiles a test's own kernel without the cache, which would not see it change."""


@compiled
def update_one(states, boards, net, work):
    update(states[0], boards[0], net, work, 0, 0)


@compiled
def refresh_one(states, boards, net, work):
    refresh(states[0], boards[0], net, work, 1)


def trained(spec, folder, layers):
    """Train a small net to its end, where rounding is simulated; return task and model."""
    tables = [table_from(positions(spec, n, seed=n)) for n in (192, 64)]
    net = net_for(spec, hidden=32, layers=layers)
    before = {name: weight.copy() for name, weight in net.weights().items()}
    task = task_for(
        *tables, net=net, batch_size=32, epochs=20, learning_rate=1e-2, symmetries="auto"
    )
    config = RunConfig(settings=task.settings, net={"kind": task.kind}, dataset={"id": "d"})
    with open_run(folder / "run", config) as run:
        report = train(
            task,
            task.settings,
            run,
            models=folder / "models",
            lineage=Lineage(training={"seed": 42}),
        )
    assert report.epochs[-1].validation["loss"] < report.epochs[0].validation["loss"]
    learned = task.net.weights()
    assert all((learned[name] != before[name]).any() for name in learned)
    return task, load_nnue(report.model_path, spec)


def assert_plays_as_the_reference(model, integers, count):
    """Compare `count` plies of random games, by differences and anew; return some of the positions."""
    spec, work = model.spec, model.work(places=2)
    tables, players, kept = board_tables(spec), spec.players, []
    evaluator, layers, small = model.evaluator(), model.net.layers, model.net.small[0]
    rng, position = random.Random(f"trained {spec.config}"), Position.of(spec)
    for ply in range(count):
        x = reference_x(integers, position)
        update_one(position._states, tables, model.net, work)
        refresh_one(position._states, tables, model.net, work)
        for place in (0, 1):
            spare = work.spare[0]
            forward.outputs(layers, small, work.sums, work.x, players, place, spare)
            assert np.array_equal(work.x, x)
            assert spare["z"][:players].tolist() == reference.outputs(integers, x).tolist()
        moves = position.legal_packed()
        if ply % 10 == 0:
            offsets = np.array([0, len(moves)], np.int32)
            logits, _ = evaluator.evaluate(position._states, tables, moves, offsets)
            mover = position.current_player - 1
            exact = reference.move_outputs(integers, x[mover], rows_of(position))
            assert np.array_equal(logits, (exact / 8128).astype(np.float32))
            if len(moves) > 1:
                kept.append(position.copy())
        position._play_legal(rng.choice(moves.tolist()))
        if position.is_over:
            position = Position.of(spec)
    return kept


def chances(task, chosen, *, rounding):
    """Return the probabilities to win of the net that trains, `[N, seats]` from the mover on."""
    task = task_for(table_from(chosen), net=task.net, batch_size=len(chosen))
    task.net.rounding = rounding
    batch = next(task.train_feed.in_order(len(chosen)))
    with torch.no_grad():
        logits = task.net.seat_logits(task.net.accumulate(batch.inputs, batch.input_ptr))
    return torch.softmax(logits.double(), 1).numpy()


def chances_played(model, chosen):
    """Return the same of the model that plays."""
    spec, found = model.spec, []
    evaluator, none = model.evaluator(), (np.zeros(0, np.int64), np.zeros(2, np.int32))
    for position in chosen:
        said = evaluator.predict(position._states, board_tables(spec), *none)
        found.append(np.roll(np.exp(said.win[0]), 1 - position.current_player))
    return np.array(found)


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("board", "players", "layers"),
    [
        *((*config, 2) for config in CONFIGS),
        *((*config, 3 + i % 4) for i, config in enumerate(CONFIGS)),
    ],
)
def test_ten_thousand_positions_of_each_configuration(board, players, layers, tmp_path):
    spec = BoardSpec.create(board, players)
    task, model = trained(spec, tmp_path, layers)
    assert model.shape.layers == layers
    _, _, tensors = read_model(model.path)
    integers = {
        name.removeprefix(INTEGERS): tensor
        for name, tensor in tensors.items()
        if name.startswith(INTEGERS)
    }
    chosen = assert_plays_as_the_reference(model, integers, POSITIONS)
    played = chances_played(model, chosen)
    rounded = np.abs(chances(task, chosen, rounding=True) - played)
    plain = np.abs(chances(task, chosen, rounding=False) - played)
    print(
        f"{spec.config}: {POSITIONS:,} positions exact; win probability on {len(chosen)}: rounded "
        f"mean {rounded.mean():.6f} max {rounded.max():.6f}, float mean {plain.mean():.6f} "
        f"max {plain.max():.6f}"
    )
    assert played.std() > 0.01
    assert rounded.mean() <= 0.01
    assert rounded.max() <= 0.05
