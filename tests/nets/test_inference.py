"""Batched inference: the right logits, values by seat, and no influence of the batch."""

import numpy as np
import pytest
import torch

from ringrift.core.errors import UsageError
from ringrift.nets.encoder import cell_places
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, fresh_net, seat_values
from ringrift.rules import BOARDS, BoardSpec
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import entries, policy_layout

from .sampling import batch, encoded, positions
from .test_network import lively

CONFIGS = [(board, players) for board in BOARDS for players in (2, 3, 4)]


@pytest.mark.parametrize("encoder", ["planes1", "planes1-basic"])
@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_logits_and_values_are_those_of_the_net(board, players, encoder):
    spec = BoardSpec.create(board, players)
    net, tables = lively(spec, encoder=encoder), board_tables(spec)
    chosen = positions(spec, 12)
    states, moves, offsets = batch(chosen)
    logits, values = NetEvaluator(net, spec).evaluate(states, tables, moves, offsets)
    assert logits.dtype == values.dtype == np.float32

    planes, numbers = encoded(chosen, encoder)
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


@pytest.mark.parametrize("players", [2, 3])
def test_predictions_are_those_that_values_come_from(players):
    spec = BoardSpec.create("square8", players)
    net, tables = lively(spec), board_tables(spec)
    chosen = positions(spec, 70)
    asked = batch(chosen)
    for temperatures in ((1.0, 1.0, 1.0), (2.0, 3.0, 4.0)):
        evaluator = NetEvaluator(net, spec, temperatures=temperatures)
        logits, values = evaluator.evaluate(asked[0], tables, *asked[1:])
        found = evaluator.predict(asked[0], tables, *asked[1:])
        assert (found.logits == logits).all()
        assert (found.values == values).all()
        assert np.exp(found.win).sum(1) == pytest.approx(np.ones(70))
        if players == 2:
            np.testing.assert_allclose(2 * np.exp(found.win) - 1, values, atol=1e-5)
            assert found.rank is None
        else:
            expected = np.exp(found.rank) @ np.linspace(1, -1, players)
            expected -= expected.mean(1, keepdims=True)
            expected /= np.maximum(1, np.abs(expected).max(1, keepdims=True))
            np.testing.assert_allclose(expected, values, atol=1e-5)


def test_a_temperature_divides_the_logits_of_values_and_no_others():
    spec = BoardSpec.create("square8", 2)
    net, tables = lively(spec), board_tables(spec)
    asked = batch(positions(spec, 40))
    plain = NetEvaluator(net, spec).predict(asked[0], tables, *asked[1:])
    cooled = NetEvaluator(net, spec, temperatures=(2.0, 2.0, 2.0))
    found = cooled.predict(asked[0], tables, *asked[1:])
    assert (found.logits == plain.logits).all()
    gap, halved = (p.win[:, 0] - p.win[:, 1] for p in (plain, found))
    np.testing.assert_allclose(halved, gap / 2, atol=1e-5)


@pytest.mark.parametrize("players", [2, 4])
def test_without_moves_the_values_are_the_same(players):
    spec = BoardSpec.create("square8", players)
    evaluator, tables = NetEvaluator(lively(spec), spec), board_tables(spec)
    states, moves, offsets = batch(positions(spec, 70))
    _, values = evaluator.evaluate(states, tables, moves, offsets)
    none, bounds = np.zeros(0, np.int64), np.zeros(71, np.int32)
    logits, alone = evaluator.evaluate(states, tables, none, bounds)
    assert len(logits) == 0
    assert (alone == values).all()
