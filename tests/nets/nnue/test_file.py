"""NNUE files: one id for one content, all that does not fit refused, no net where there is none."""

import hashlib
import json
import random

import numpy as np
import pytest

from ringrift.nets import container
from ringrift.nets.container import ModelError, read_model, write_model
from ringrift.nets.loading import open_model
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.nnue import file
from ringrift.nets.nnue.file import calibrate_nnue, init_nnue, load_nnue, save_nnue, weights_of
from ringrift.nets.nnue.network import Shape, random_weights
from ringrift.rules import BoardSpec

from .nets import CONFIGS

SPEC = BoardSpec.create("square8", 2)
TENSORS_OF_TWO_LAYERS = "524954bcf059213a028144411efafb5600df83d341c6958b4448e13d913733f7"


@pytest.fixture(autouse=True)
def nothing_verified(monkeypatch):
    monkeypatch.setattr(file, "_verified", set())


@pytest.fixture
def model(tmp_path):
    return init_nnue(SPEC, folder=tmp_path / "objects", seed=1, hidden=32, policy=True)


def code(path, spec=SPEC):
    with pytest.raises(ModelError) as caught:
        load_nnue(path, spec)
    assert str(path) in str(caught.value)
    return caught.value.code


def rewritten(path, folder, *, card=None, tensors=None):
    """Write a file that is consistent in itself, with changed card fields or tensors."""
    _, old, arrays = read_model(path)
    changed = {**arrays, **(tensors or {})}
    changed = {name: a for name, a in changed.items() if a is not None}
    return write_model(folder, changed, {**old, **(card or {})})


def test_a_new_net_says_that_its_weights_are_random(model):
    loaded = load_nnue(model, SPEC)
    assert loaded.id == model.stem
    assert loaded.card["training"] is None
    assert loaded.card["kind"] == "nnue-policy"
    assert loaded.card["encoder"]["id"] == "nnue1"
    assert loaded.card["quantisation"]["accumulator"] == "int16"
    assert loaded.card["architecture"]["hidden"] == 32
    assert model.stat().st_mode & 0o222 == 0
    assert json.loads(model.with_suffix(".json").read_text())["id"] == model.stem


def test_the_same_weights_are_the_same_file(model, tmp_path):
    again = init_nnue(SPEC, folder=tmp_path / "b", seed=1, hidden=32, policy=True, label="two")
    other = init_nnue(SPEC, folder=tmp_path / "b", seed=2, hidden=32, policy=True)
    assert again.name == model.name != other.name
    assert again.read_bytes() == model.read_bytes()


def test_the_tensors_of_two_layers_are_those_of_every_version(model):
    _, card, arrays = read_model(model)
    assert card["architecture"]["layers"] == [32, 32]
    assert card["architecture"]["name"] == "ringrift-nnue/1"
    content = hashlib.sha256()
    for name in sorted(arrays):
        content.update(name.encode() + arrays[name].tobytes())
    assert content.hexdigest() == TENSORS_OF_TWO_LAYERS


@pytest.mark.parametrize("layers", [3, 6])
def test_deeper_nets_save_and_load(layers, tmp_path):
    path = init_nnue(SPEC, folder=tmp_path, seed=1, hidden=32, layers=layers, policy=True)
    loaded = load_nnue(path, SPEC)
    assert loaded.shape.layers == layers
    assert loaded.card["architecture"]["layers"] == [32] * layers
    _, weights = weights_of(path, SPEC)
    assert np.array_equal(weights["third.bias"], np.full(32, 0.5, np.float32))
    calibrated = calibrate_nnue(loaded, (2.0, 2.0, 2.0), tmp_path)
    assert load_nnue(calibrated, SPEC).shape == loaded.shape


@pytest.mark.parametrize(("board", "players"), CONFIGS)
@pytest.mark.parametrize("policy", [False, True])
def test_every_configuration_saves_and_loads(board, players, policy, tmp_path):
    spec = BoardSpec.create(board, players)
    path = init_nnue(spec, folder=tmp_path, seed=1, hidden=32, policy=policy)
    loaded = load_nnue(path, spec)
    assert loaded.evaluator().prior == ("policy" if policy else "value")
    assert loaded.card["config"] == spec.config


def test_training_goes_on_from_the_float_weights(model):
    shape, weights = weights_of(model, SPEC)
    assert shape == Shape(board="square8", players=2, hidden=32, policy=True)
    expected = random_weights(shape, seed=1)
    assert all(np.array_equal(weights[name], expected[name]) for name in shape.sizes)


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    assert code(tmp_path / "none.safetensors") == "missing"
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        open_model(tmp_path / "none.safetensors", SPEC)


def test_altered_bytes_are_found(model, tmp_path):
    data, rng = model.read_bytes(), random.Random(1)
    copy = tmp_path / "copy.safetensors"
    for place in [0, 8, *rng.sample(range(len(data)), 60), len(data) - 1]:
        altered = bytearray(data)
        altered[place] ^= 1 << rng.randrange(8)
        copy.write_bytes(altered)
        with pytest.raises(ModelError):
            load_nnue(copy, SPEC)
    copy.write_bytes(data[:-1])
    assert code(copy) == "truncated"
    copy.write_bytes(b"")
    assert code(copy) == "empty"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (BoardSpec.create("square8", 3), "spec_mismatch"),
        (BoardSpec.create("hex8", 2), "spec_mismatch"),
        (BoardSpec.create("square8", 2, swap_rule=True), "spec_mismatch"),
    ],
)
def test_another_configuration_is_refused(model, spec, expected):
    assert code(model, spec) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"encoder": {"id": "nnue2", "hash": "ab"}}, "unknown_encoder"),
        ({"policy_layout_hash": "ab"}, "layout_mismatch"),
        ({"kind": "cnn"}, "card_invalid"),
        ({"kind": "nnue"}, "shape_mismatch"),
        ({"architecture": {}}, "card_invalid"),
        ({"architecture": {"hidden": 32}}, "card_invalid"),
        ({"architecture": {"hidden": 64, "layers": [32, 32]}}, "shape_mismatch"),
        ({"architecture": {"hidden": 32, "layers": [32, 32, 32]}}, "shape_mismatch"),
        ({"architecture": {"hidden": 32, "layers": [32, 64]}}, "card_invalid"),
        ({"architecture": {"hidden": 32, "layers": [32] * 7}}, "card_invalid"),
        ({"architecture": {"hidden": 32, "layers": 2}}, "card_invalid"),
        ({"probe": {"positions": "ab", "outputs": []}}, "probe_mismatch"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(model, tmp_path, change, expected):
    assert code(rewritten(model, tmp_path / "x", card=change)) == expected


def test_tensors_that_do_not_fit_are_refused(model, tmp_path):
    _, _, arrays = read_model(model)
    folder = tmp_path / "x"

    def change(**tensors):
        named = {name.replace("_", "."): array for name, array in tensors.items()}
        return code(rewritten(model, folder, tensors=named))

    assert change(last_bias=None) == "shape_mismatch"
    assert change(q_last_bias=np.zeros(2, np.int32)) == "shape_mismatch"
    assert change(more=np.zeros(1, np.float32)) == "shape_mismatch"
    assert change(last_bias=np.array([np.nan], np.float32)) == "not_finite"
    # integers that are not those of the floats, and integers of another type
    assert change(q_last_bias=arrays["q.last.bias"] + 1) == "probe_mismatch"
    assert change(q_inputs_bias=arrays["q.inputs.bias"].astype(np.int32)) == "probe_mismatch"


def test_weights_that_are_no_net_are_not_saved(tmp_path):
    shape = Shape(board="square8", players=2, hidden=32)
    weights = random_weights(shape, seed=1)
    weights["first.bias"][0] = np.inf
    with pytest.raises(ModelError, match=r"first\.bias"):
        save_nnue(weights, shape, SPEC, tmp_path, training=None)
    assert not list(tmp_path.iterdir())


def test_files_open_by_the_kind_their_card_names(model, tmp_path):
    assert open_model(model, SPEC).id == model.stem
    convolutional = init_model(SPEC, size="micro", seed=1, folder=tmp_path / "objects")
    assert open_model(convolutional, SPEC).id == convolutional.stem
    assert code(convolutional) == "card_invalid"
    with pytest.raises(ModelError, match="card_invalid"):
        load_model(model, SPEC)
    assert container.read_card(model)[1]["kind"] == "nnue-policy"
