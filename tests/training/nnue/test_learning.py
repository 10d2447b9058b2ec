"""What a NNUE learns: positions by heart, a rule that features tell, and nothing where is nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift.nets.nnue import reference
from ringrift.nets.nnue.network import quantise
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.packing import unpack_batch
from ringrift.rules.position import board_view

from .positions import CONFIGS, positions, reference_x, rows_of
from .tables import first, learn, net_for, table_for, table_from, task_for

SQUARE8 = BoardSpec.create("square8", 2)
STEEP = {"learning_rate": 0.01, "warmup_epochs": 0, "weight_decay": 0.0, "epochs": 10_000}


def played(table):
    """Turn the targets into one move each, as where nothing was searched."""
    pointer = np.arange(len(table) + 1)
    rng = np.random.default_rng(3)
    places = rng.integers(table.policy_ptr[:-1], table.policy_ptr[1:])
    return replace(
        table,
        policy_ptr=pointer,
        policy_moves=table.policy_moves[places],
        policy_probs=np.ones(len(table), np.float32),
        searched=np.zeros(len(table), np.bool_),
    )


def learned_by_heart(table, *, policy, steps, hidden):
    """Train on 64 positions and measure them: (policy loss above its entropy, value error)."""
    net = net_for(table.spec, policy=policy, hidden=hidden)
    task = task_for(table, table, net=net, steps=steps, **STEEP)
    session = learn(task)
    found = session.validate()
    with session.average.in_place(), torch.no_grad():
        net.rounding = True
        batch = next(task.val_feed.in_order(64))
        seats = net.seat_logits(net.accumulate(batch.inputs, batch.input_ptr))
    error = float((torch.softmax(seats, 1) - batch.win).abs().mean())
    assert found["value_loss"] - found["value_entropy"] < 0.01
    return (found["policy_loss"] - found["policy_entropy"]) if policy else 0.0, error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "players", "policy"),
    [("square8", 2, False), ("square8", 2, True), ("hex8", 3, True)],
)
def test_64_positions_are_learned_by_heart(board, players, policy):
    table = first(table_for(board, players), 64)
    above, error = learned_by_heart(table, policy=policy, steps=250, hidden=64)
    assert above < 0.05
    assert error < 0.01


@pytest.mark.slow
def test_64_played_moves_are_learned_by_heart():
    table = played(first(table_for("square8", 2), 64))
    above, error = learned_by_heart(table, policy=True, steps=250, hidden=64)
    assert above < 0.05
    assert error < 0.01


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("policy", "searched"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_64_positions_of_each_configuration_are_learned_by_heart(board, players, policy, searched):
    table = first(table_for(board, players, 2, 200), 64)
    # a game cut off has no result: let seats win in turn
    share = np.eye(players, dtype=np.float32)[np.arange(64) % players]
    table = replace(table, win=share, value_weight=np.ones(64, np.float32))
    table = table if searched else played(table)
    above, error = learned_by_heart(table, policy=policy, steps=500, hidden=64)
    assert above < 0.05
    assert error < 0.01


def with_winners(table, ahead):
    """Let the mover win where `ahead`, else the other seat."""
    rank = np.zeros_like(table.rank)
    for r, won in enumerate((ahead, ~ahead)):
        rank[:, r, 0], rank[:, r, 1] = won, ~won
    return replace(table, rank=rank, win=rank[:, :, 0].copy())


def stacks_ahead(table):
    """Return by how many stacks the mover is ahead."""
    states = lay.zeros(len(table), lay.STATE)
    assert unpack_batch(table.states, states, board_view(table.spec)) == -1
    mover, rows = table.mover.astype(int), np.arange(len(table))
    count = states["count"].astype(int)
    return count[rows, lay.STACK + mover] - count[rows, lay.STACK + 3 - mover]


@pytest.fixture(scope="module")
def sides():
    """Positions of different games for training and validation."""
    return tuple(table_from(positions(SQUARE8, n, seed=n)) for n in (1200, 300))


@pytest.mark.slow
def test_a_winner_that_features_tell_is_found(sides):
    train, val = (
        with_winners(side, stacks_ahead(side) > 0).take(np.flatnonzero(stacks_ahead(side)))
        for side in sides
    )
    task = task_for(train, val, policy=False, learning_rate=1e-3, epochs=15, symmetries="auto")
    found = learn(task).validate()
    assert found["sign_accuracy"] > 0.75


@pytest.mark.slow
def test_shuffled_winners_teach_nothing(sides):
    rng = np.random.default_rng(11)
    train, val = (with_winners(side, rng.random(len(side)) < 0.5) for side in sides)
    task = task_for(train, val, policy=False, learning_rate=0.01, epochs=15)
    session = learn(task)
    found = session.validate()
    share = float(val.win[:, 0].mean())
    prior = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert found["value_loss"] > prior
    assert abs(found["sign_accuracy"] - 0.5) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("board", "players"), [("square8", 2), ("hex8", 3)])
def test_win_probabilities_are_those_of_the_integers(board, players):
    spec = BoardSpec.create(board, players)
    train = table_from(positions(spec, 200))
    task = task_for(train, learning_rate=3e-3, epochs=10)
    learn(task)
    assert task.net.rounding
    compare_with_integers(task.net, positions(spec, 100, seed=9))


def compare_with_integers(net, chosen):
    """Compare win probabilities and policies with the reference of the exported integers."""
    net.rounding = True
    integers = quantise(net.weights(), net.shape)
    batch = next(task_for(table_from(chosen), net=net).train_feed.in_order(len(chosen)))
    with torch.no_grad():
        x = net.accumulate(batch.inputs, batch.input_ptr)
        wins = torch.softmax(net.seat_logits(x), 1).numpy()
        logits = net.move_logits(x[:, 0], batch.entries, batch.entry_ptr).numpy()
    worst, total = [], 0
    for i, position in enumerate(chosen):
        exact, mover = reference_x(integers, position), position.current_player - 1
        z = np.roll(reference.outputs(integers, exact), -mover) / 8128
        p = np.exp(z - z.max())
        worst.append(np.abs(p / p.sum() - wins[i]).max())
        theirs = reference.move_outputs(integers, exact[mover], rows_of(position)) / 8128
        total += np.abs(theirs - logits[i, : len(theirs)]).max() > 0.02
    assert np.mean(worst) <= 0.001
    assert max(worst) <= 0.01
    assert total == 0
