"""Batched inference: the right logits, values by seat, and no influence of the batch."""

import numpy as np
import pytest
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import GLOBALS, PLANES, cell_places, encode_batch, grid
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, fresh_net, seat_values
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import entries, policy_layout

from .sampling import batch, positions
from .test_network import lively

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_logits_and_values_are_those_of_the_net(board, players):
    spec = BoardSpec.create(board, players)
    net, tables = lively(spec), board_tables(spec)
    chosen = positions(spec, 12)
    states, moves, offsets = batch(chosen)
    logits, values = NetEvaluator(net, spec).evaluate(states, tables, moves, offsets)
    assert logits.dtype == values.dtype == np.float32

    height, width = grid(board)
    planes = np.zeros((12, height, width, PLANES), np.float32)
    numbers = np.zeros((12, GLOBALS), np.float32)
    encode_batch(states, tables, planes, numbers)
    with torch.no_grad():
        outputs = net(torch.from_numpy(planes).permute(0, 3, 1, 2), torch.from_numpy(numbers))
    layout, places = policy_layout(board), cell_places(board)
    for i, position in enumerate(chosen):
        # planes at the cells in layout order, then the scalars: the table of training.md 2
        table = outputs.planes[i].flatten(1)[:, places].flatten()
        table = torch.cat((table, outputs.scalars[i])).numpy()
        assert len(table) == layout.size
        e1, e2 = entries(position._states, tables, position.legal_packed())
        expected = table[e1] + np.where(e2 >= 0, table[e2], 0)
        found = logits[offsets[i] : offsets[i + 1]]
        np.testing.assert_allclose(found, expected, atol=1e-4)
        relative = seat_values(outputs)[i].numpy()
        mover = position.current_player
        seats = [relative[(q - mover) % players] for q in range(1, players + 1)]
        np.testing.assert_allclose(values[i], seats, atol=1e-5)
    assert np.abs(values.sum(1)).max() < 1e-5


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64])
def test_neither_size_nor_order_of_a_batch_changes_a_result(size):
    spec = BoardSpec.create("square8", 2)
    evaluator, tables = NetEvaluator(lively(spec, "tiny"), spec), board_tables(spec)
    chosen = positions(spec, 128)
    states, moves, offsets = batch(chosen)
    logits, values = evaluator.evaluate(states, tables, moves, offsets)
    order = np.random.default_rng(1).permutation(128)
    for at in range(0, 128, size):
        some = order[at : at + size]
        s, m, o = batch([chosen[i] for i in some])
        part, part_values = evaluator.evaluate(s, tables, m, o)
        whole = np.concatenate([logits[offsets[i] : offsets[i + 1]] for i in some])
        assert (part == whole).all()
        assert (part_values == values[some]).all()


def test_results_are_copies_of_the_callers_own():
    spec = BoardSpec.create("square8", 2)
    evaluator, tables = NetEvaluator(lively(spec), spec), board_tables(spec)
    first, second = (batch(positions(spec, 5, seed=k)) for k in (1, 2))
    logits, values = evaluator.evaluate(first[0], tables, *first[1:])
    kept = logits.copy(), values.copy()
    evaluator.evaluate(second[0], tables, *second[1:])
    assert (logits == kept[0]).all()
    assert (values == kept[1]).all()


def test_a_net_of_another_configuration_is_refused():
    net = fresh_net(Architecture.of("square8", 2, "micro"), seed=1)
    for other in (BoardSpec.create("square8", 3), BoardSpec.create("hex8", 2)):
        with pytest.raises(UsageError, match="square8_2p cannot evaluate"):
            NetEvaluator(net, other)
