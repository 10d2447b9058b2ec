"""The net in torch: with rounding the integers themselves, equivariant, every input of use."""

import numpy as np
import pytest
import torch

from ringrift.nets.nnue import reference
from ringrift.nets.nnue.network import LARGEST_WEIGHT, quantise
from ringrift.rules import BOARDS, BoardSpec
from ringrift.training.engine.update import put_back
from ringrift.training.nnue.network import seat_values

from .positions import CONFIGS, positions, reference_x, rows_of
from .tables import net_for, table_for, table_from, task_for


def batch_of(chosen, net):
    """All positions as one batch."""
    task = task_for(table_from(chosen), net=net, batch_size=len(chosen))
    return next(task.train_feed.in_order(len(chosen)))


def evaluated(net, batch):
    """Return the logits of seats and of places for moves."""
    x = net.accumulate(batch.inputs, batch.input_ptr)
    return net.seat_logits(x), net.move_logits(x[:, 0], batch.entries, batch.entry_ptr)


def whole(logits):
    """Return logits in units of the integers, 1 / 8128."""
    return (logits.double() * 8128).round().long().tolist()


@pytest.mark.parametrize(
    ("board", "players", "layers"),
    [*((*config, 2) for config in CONFIGS), *(("square8", 2, layers) for layers in range(3, 7))],
)
def test_with_rounding_outputs_are_the_integers(board, players, layers):
    spec = BoardSpec.create(board, players)
    chosen, net = positions(spec, 8), net_for(spec, hidden=64, layers=layers)
    net.rounding = True
    with torch.no_grad():
        seats, moves = evaluated(net, batch_of(chosen, net))
    integers = quantise(net.weights(), net.shape)
    for i, position in enumerate(chosen):
        x, mover = reference_x(integers, position), position.current_player - 1
        z = np.roll(reference.outputs(integers, x), -mover)
        assert whole(seats[i]) == z.tolist()
        exact = reference.move_outputs(integers, x[mover], rows_of(position))
        assert whole(moves[i, : len(exact)]) == exact.tolist()


@pytest.mark.parametrize("board", BOARDS)
def test_rounding_changes_little(board):
    spec = BoardSpec.create(board, 2)
    net, chosen = net_for(spec, hidden=64), positions(spec, 20)
    batch = batch_of(chosen, net)
    with torch.no_grad():
        exact = evaluated(net, batch)
        net.rounding = True
        rounded = evaluated(net, batch)
    for a, b in zip(exact, rounded, strict=True):
        assert not torch.equal(a, b)
        assert (a - b)[:, :2].abs().mean() < 0.1


@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("rounding", [False, True])
def test_seats_that_change_places_change_outputs(players, rounding):
    spec = BoardSpec.create("square8", players)
    net = net_for(spec)
    net.rounding = rounding
    batch = batch_of(positions(spec, 10), net)
    pieces = np.split(batch.inputs.numpy(), batch.input_ptr.numpy()[1:-1])
    turned = [pieces[i + (r + 1) % players] for i in range(0, len(pieces), players)
              for r in range(players)]  # fmt: skip
    pointer = np.cumsum([0, *(len(piece) for piece in turned)]).astype(np.int32)
    with torch.no_grad():
        before = net.seat_logits(net.accumulate(batch.inputs, batch.input_ptr))
        inputs = torch.from_numpy(np.concatenate(turned))
        after = net.seat_logits(net.accumulate(inputs, torch.from_numpy(pointer)))
    # sums of floats depend on the place in a batch, those of whole numbers do not
    difference = (before.roll(-1, 1) - after).abs().max()
    assert difference == 0 if rounding else difference < 1e-6
    assert len(before.unique()) > 10
    values = seat_values(before)
    assert values.sum(1).abs().max() < 1e-6


@pytest.mark.parametrize("players", [2, 3])
def test_the_value_of_seats_is_that_of_the_engine(players):
    z = torch.tensor([[300.0, -900.0, 4000.0][:players]])
    expected = reference.values(z[0].numpy())
    assert np.allclose(seat_values(z / 8128)[0].numpy(), expected, atol=1e-6)


def test_every_active_input_changes_an_output():
    spec = BoardSpec.create("square8", 2)
    net = net_for(spec, hidden=64)
    batch = batch_of(positions(spec, 20), net)
    active = batch.inputs.unique().long()
    with torch.no_grad():
        before = torch.cat([t.flatten() for t in evaluated(net, batch)])
        for i in active[:: max(1, len(active) // 60)].tolist():
            net.inputs.weight[i] += 0.1
            after = torch.cat([t.flatten() for t in evaluated(net, batch)])
            assert (after != before).any(), i
            net.inputs.weight[i] -= 0.1
    for rounding in (False, True):
        net.rounding = rounding
        seats, moves = evaluated(net, batch)
        net.zero_grad()
        ((seats**2).sum() + (moves**2).sum()).backward()
        moved = net.inputs.weight.grad.abs().sum(1) > 0
        assert moved[active].all()
        assert int(moved.sum()) == len(active)


def test_weights_beyond_their_integers_are_put_back():
    net = net_for(BoardSpec.create("square8", 2))
    with torch.no_grad():
        net.first.weight[3, 4] = -5.0
        net.policy.rows[7, 7] = 9.0
        net.first.bias[2] = 3.0
    put_back(torch.optim.AdamW(task_for(table_for("square8", 2), net=net).parameter_groups()))
    assert net.first.weight[3, 4] == -LARGEST_WEIGHT
    assert net.policy.rows[7, 7] == LARGEST_WEIGHT
    assert net.first.bias[2] == 3.0
    assert quantise(net.weights(), net.shape)["policy.rows"].max() == 127
