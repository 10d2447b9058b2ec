"""Positions of stored games before a net: the same whoever makes them, and nothing lost."""

from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import DataError
from ringrift.data.walk import choices, state_hashes
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, fresh_net
from ringrift.nets.nnue.file import init_nnue, load_nnue
from ringrift.records.store import GameStore
from ringrift.rules import BoardSpec, Position
from ringrift.rules.geometry import board_tables
from ringrift.training.measuring.games import find_games
from ringrift.training.measuring.positions import positions_of_dataset, positions_of_games
from ringrift.training.measuring.predicting import predict

from .games import games
from .trained import dataset_of

SPEC = BoardSpec.create("square8", 3)
ARRAYS = (
    *("states", "mover", "ply", "legal_count", "policy_ptr", "policy_moves", "policy_probs"),
    *("searched", "policy_weight", "value_weight", "win", "rank", "owner", "margins", "game"),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store of games by three seats, and those games."""
    path = tmp_path_factory.mktemp("stored") / "games.db"
    played = games(SPEC, 30, cheap=0.2)
    with GameStore.open(path, writer=True) as store:
        store.ingest(played)
    return path, {record.id: (record, analysis) for record, analysis in played}


def arrays_of(table):
    return {name: getattr(table, name) for name in ARRAYS}


def assert_same(one, other):
    for name, array in arrays_of(one).items():
        assert np.array_equal(array, getattr(other, name)), name


def test_store_dataset_and_memory_give_the_same_positions(stored, tmp_path):
    path, played = stored
    side = find_games([path], SPEC, "train")
    (positions,) = side.positions()
    assert_same(positions.table, positions_of_games([played[i] for i in side.ids], SPEC).table)
    dataset = dataset_of(path, SPEC, tmp_path, splits=("train",), surprise_weight=0.0)
    assert dataset.manifest.game_ids == side.ids
    of_dataset = positions_of_dataset(dataset)
    assert of_dataset.agents == positions.agents
    assert_same(positions.table, of_dataset.table)
    assert positions.table.games == side.ids


def test_of_a_dataset_with_validation_games_only_these_are_taken(stored, tmp_path):
    dataset = dataset_of(stored[0], SPEC, tmp_path)
    assert 0 < dataset.manifest.val_samples < dataset.manifest.samples
    assert len(positions_of_dataset(dataset)) == dataset.manifest.val_samples


def test_a_draw_is_a_part_and_always_the_same(stored):
    side = find_games([stored[0]], SPEC, "train")
    some = side.drawn(7)
    assert (len(some), some.ids) == (7, tuple(sorted(some.ids)))
    assert set(some.ids) < set(side.ids)
    assert some.ids != side.ids[:7]
    left_out = frozenset(set(side.ids) - set(some.ids))
    assert side.drawn(7).ids == side.without(left_out).drawn(9).ids == side.only(set(some.ids)).ids
    assert set(side.drawn(6).ids) < set(some.ids)


def test_games_of_other_rules_are_none_of_them(stored):
    other = BoardSpec.create("square8", 3, base_line_length=4)
    assert len(find_games([stored[0]], other, "train")) == 0


def test_two_stores_with_the_same_games_give_each_once(stored, tmp_path):
    path, played = stored
    with GameStore.open(tmp_path / "other.db", writer=True) as store:
        store.ingest(list(played.values())[:20])
    one, both = (
        find_games([path], SPEC, "train"),
        find_games([path, tmp_path / "other.db"], SPEC, "train"),
    )
    assert both.ids == one.ids
    assert len(both.state_hashes()) == len(one.state_hashes())


def test_hashes_and_decisions_are_those_of_the_replayed_game(stored):
    path, played = stored
    side = find_games([path], SPEC, "holdout")
    (positions,) = side.positions()
    table = positions.table
    found = predict(evaluator_of(SPEC), table)
    decisions = positions.decisions()
    for number, identity in enumerate(side.ids):
        record, _ = played[identity]
        mine = table.game == number
        movers, counts = choices(record)
        assert np.array_equal(found.hashes[mine], state_hashes(record)[table.ply[mine]])
        assert np.array_equal(table.ply[mine], np.flatnonzero(counts >= 2))
        assert np.array_equal(decisions[mine], np.cumsum(counts >= 2)[table.ply[mine]])
        assert np.array_equal(table.mover[mine], movers[table.ply[mine]])
    assert np.isin(found.hashes, side.state_hashes()).all()


def evaluator_of(spec):
    return NetEvaluator(fresh_net(Architecture.of(spec.board, spec.players, "micro"), seed=1), spec)


@pytest.mark.parametrize("kind", ["cnn", "nnue"])
def test_what_the_net_says_of_one_position_stands_in_its_row(stored, tmp_path, kind):
    path, played = stored
    side = find_games([path], SPEC, "holdout")
    (positions,) = side.positions()
    table = positions.table
    net = evaluator_of(SPEC)
    if kind == "nnue":
        file = init_nnue(SPEC, folder=tmp_path, seed=1, hidden=32, policy=True)
        net = load_nnue(file, SPEC).evaluator()
    found = predict(net, table)
    rows = np.linspace(0, len(table) - 1, 12).astype(int)
    for row in rows.tolist():
        record, _ = played[side.ids[table.game[row]]]
        position = Position.of(SPEC)
        for move in record.moves[: table.ply[row]]:
            position.play(move)
        moves = position.legal_packed()
        offsets = np.array([0, len(moves)], np.int32)
        said = net.predict(position._states, board_tables(SPEC), moves, offsets)
        seats = [(position.current_player - 1 + r) % 3 for r in range(3)]
        assert found.values[row] == pytest.approx(said.values[0, seats], abs=1e-5)
        assert found.win[row] == pytest.approx(said.win[0, seats], abs=1e-5)
        assert (found.rank is None) == (kind == "nnue")
        if found.rank is not None:
            assert found.rank[row] == pytest.approx(said.rank[0, seats], abs=1e-5)
        target = dict(zip(*targets(table, row), strict=True))
        shares = np.array([target.get(move, 0.0) for move in moves.tolist()])
        logs = said.logits - np.log(np.exp(said.logits.astype(float)).sum())
        assert found.policy[row] == pytest.approx(-(shares * logs).sum(), abs=1e-4)
        used = shares[shares > 0]
        assert found.entropy[row] == pytest.approx(-(used * np.log(used)).sum(), abs=1e-5)
        assert found.top1[row] == (shares[said.logits.argmax()] == shares.max())


def targets(table, row):
    entries = slice(table.policy_ptr[row], table.policy_ptr[row + 1])
    return table.policy_moves[entries].tolist(), table.policy_probs[entries].tolist()


def test_a_damaged_position_or_target_is_named(stored):
    (positions,) = find_games([stored[0]], SPEC, "train").positions()
    table = positions.table
    net = evaluator_of(SPEC)
    states = table.states.copy()
    states[300, 0] = 9
    moves = table.policy_moves.copy()
    moves[table.policy_ptr[40]] = -1
    for damaged, row in (
        (replace(table, states=states), 300),
        (replace(table, policy_moves=moves), 40),
    ):
        with pytest.raises(DataError, match="damaged") as raised:
            predict(net, damaged)
        assert f"game {table.games[table.game[row]]} ply {table.ply[row]}" in str(raised.value)
