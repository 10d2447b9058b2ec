"""Dense features and the customary names for other programs."""

import numpy as np
import pytest

from ringrift.core.errors import RefusedError
from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.data.dataset.features import encoder_of
from ringrift.nets.encoder import GLOBALS, PLANES, encode_one, grid
from ringrift.nets.nnue.features import active
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.geometry import board_tables
from ringrift.rules.policy import entries

from .made_games import game, store_of

SPECS = [BoardSpec.create("square8", 2), BoardSpec.create("hex8", 3)]


def made(folder, spec, **options):
    store = store_of(folder / "g.db", [game(seed, spec) for seed in range(6)])
    plan = plan_export([store], spec.config, ExportOptions(**options))
    write_dataset(plan, dict(blocks(plan, plan.ids)), folder / "out")
    return Dataset.open(folder / "out")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.config)
def test_planes_are_those_of_the_encoder_from_the_mover_s_seat(tmp_path, spec):
    dataset = made(tmp_path, spec, contents="both", encoder="planes1-basic")
    arrays = dataset.arrays
    height, width = grid(spec.board)
    assert arrays["features"].dtype == np.float16
    assert arrays["features"].shape == (len(dataset), PLANES, height, width)
    planes = np.zeros((height, width, PLANES), np.float32)
    numbers = np.zeros(GLOBALS, np.float32)
    for i in range(0, len(dataset), 7):
        position = Position.unpack(spec, arrays["states"][i].tobytes())
        states = lay.view(np.array([position.record()], lay.STATE))
        encode_one(
            states, 0, lay.view(board_tables(spec)), position.current_player, planes, numbers
        )
        assert np.array_equal(arrays["features"][i], planes.transpose(2, 0, 1).astype(np.float16))
        assert np.array_equal(arrays["globals"][i], numbers)
    assert dataset.manifest.versions["encoder"] == encoder_of("planes1-basic").identity


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.config)
def test_targets_stand_at_their_entries_of_the_policy_layout(tmp_path, spec):
    dataset = made(tmp_path, spec, contents="both", encoder="planes1-basic")
    arrays = dataset.arrays
    pointer = arrays["policy_ptr"]
    for i in range(0, len(dataset), 5):
        position = Position.unpack(spec, arrays["states"][i].tobytes())
        here = slice(int(pointer[i]), int(pointer[i + 1]))
        states = np.array([position.record()], lay.STATE)
        moves = arrays["policy_moves"][here].astype(np.int64)
        expected = entries(states, board_tables(spec), moves)
        assert np.array_equal(arrays["policy_indices"][here], expected.T)
    assert np.array_equal(arrays["policy_values"], arrays["policy_probs"])


def test_lists_of_features_are_those_of_the_encoder(tmp_path):
    spec = SPECS[1]
    arrays = made(tmp_path, spec, contents="both", encoder="nnue1").arrays
    pointer = arrays["feature_ptr"]
    for i in range(0, len(pointer) - 1, 9):
        position = Position.unpack(spec, arrays["states"][i].tobytes())
        states = np.array([position.record()], lay.STATE)
        seats = np.array([position.current_player], np.int8)
        listed, counts = active(lay.view(states), lay.view(board_tables(spec)), spec.board, seats)
        found = arrays["feature_indices"][pointer[i] : pointer[i + 1]]
        assert found.tolist() == listed[0, : counts[0]].tolist()


def test_features_come_under_the_customary_names(tmp_path):
    spec = SPECS[0]
    dataset = made(tmp_path, spec, contents="features", encoder="planes1-basic")
    arrays = dataset.arrays
    n = len(dataset)
    assert str(arrays["board_type"]) == "square8"
    assert int(arrays["board_size"]) == 8
    assert str(arrays["policy_encoding"]) == "ringrift.policy/1"
    assert set(arrays["num_players"].tolist()) == {2}
    assert arrays["move_numbers"].tolist() == arrays["ply"].tolist()
    assert arrays["total_game_moves"].tolist() == arrays["total_plies"].tolist()
    assert len(arrays["phases"]) == len(arrays["victory_types"]) == n
    assert set(arrays["phases"].tolist()) == set(dataset.manifest.samples_by["phase"])
    assert "states" not in arrays
    with pytest.raises(RefusedError, match="features alone"):
        next(dataset.blocks())
    for part in dataset.manifest.parts:
        with np.load(dataset.path / part.name, allow_pickle=False) as file:
            assert all(not file[name].dtype.hasobject for name in file.files)


def test_the_encoder_is_part_of_the_identity(tmp_path):
    spec = SPECS[0]
    ids = {
        made(tmp_path / name, spec, **options).manifest.id
        for name, options in {
            "a": {"contents": "features", "encoder": "planes1-basic"},
            "b": {"contents": "features", "encoder": "nnue1"},
            "c": {},
        }.items()
    }
    assert len(ids) == 3
    plain = made(tmp_path / "d", spec, encoder="nnue1").manifest  # not used without features
    assert plain.id in ids
