"""Averages, imports, exports and comparisons of real models."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from ringrift.core.errors import DataError, RefusedError, UsageError
from ringrift.models.averaging import average
from ringrift.models.comparing import compare
from ringrift.models.exporting import export
from ringrift.models.importing import import_model
from ringrift.nets.container import ModelError, read_model
from ringrift.nets.loading import open_model
from ringrift.nets.model_file import init_model, load_model
from ringrift.nets.network import Architecture, fresh_net
from ringrift.nets.nnue.file import init_nnue, weights_of
from ringrift.rules import BoardSpec

SQUARE8 = BoardSpec.create("square8", 2)
HEX8 = BoardSpec.create("hex8", 3)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "objects"


@pytest.fixture(scope="module")
def nets(objects):
    return [init_model(HEX8, size="micro", seed=seed, folder=objects) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def nnues(objects):
    return [
        init_nnue(SQUARE8, folder=objects, seed=seed, hidden=32, policy=True) for seed in (1, 2)
    ]


def tensors(path):
    return read_model(path)[2]


# --- averages


def test_an_average_of_nets_is_the_mean_of_their_tensors(nets, objects):
    made = average(nets, objects, label="soup")
    loaded = load_model(made, HEX8)
    for name, tensor in loaded.net.state_dict().items():
        parts = [tensors(path)[name].astype(np.float64) for path in nets]
        assert np.array_equal(tensor.numpy(), np.mean(parts, axis=0).astype(np.float32)), name
    assert [p["id"] for p in loaded.card["parents"]] == sorted(path.stem for path in nets)
    assert {p["role"] for p in loaded.card["parents"]} == {"averaged"}
    assert loaded.card["training"]["models"] == 3
    probes = [read_model(path)[1]["probe"]["outputs"] for path in (made, nets[0])]
    assert probes[0] != probes[1]
    assert average(list(reversed(nets)), objects) == made


def test_an_average_of_nnues_is_quantised_anew(nnues, objects):
    made = average(nnues, objects)
    open_model(made, SQUARE8)  # whose integers are those of its floats
    _, weights = weights_of(made, SQUARE8)
    name = "first.weight"
    mean = (tensors(nnues[0])[name].astype(np.float64) + tensors(nnues[1])[name]) / 2
    assert np.array_equal(weights[name], mean.astype(np.float32))


def test_only_models_of_one_architecture_have_an_average(nets, nnues, objects, tmp_path):
    with pytest.raises(UsageError, match="1 model; expected two"):
        average([nets[0], nets[0]], objects)
    with pytest.raises(UsageError, match=r"differ in kind: (cnn|nnue-policy) and"):
        average([nets[0], nnues[0]], objects)
    tiny = init_model(HEX8, size="tiny", seed=1, folder=tmp_path)
    with pytest.raises(UsageError, match=r"differ in tensor blocks\."):
        average([nets[0], tiny], objects)


# --- export and import


def test_safetensors_is_the_file_itself(nets, tmp_path, objects):
    made = export(nets[0], "safetensors", tmp_path / "a" / "net.safetensors")
    assert (made.id, made.difference) == (nets[0].stem, None)
    assert (tmp_path / "a" / "net.safetensors").read_bytes() == nets[0].read_bytes()
    other = tmp_path / "objects"
    assert import_model(tmp_path / "a" / "net.safetensors", HEX8, "cnn", other).stem == made.id
    with pytest.raises(UsageError, match="for hex8_3p; asked for cnn for square8_2p"):
        import_model(tmp_path / "a" / "net.safetensors", SQUARE8, "cnn", other)


@pytest.mark.parametrize("form", ["torch", "safetensors", "wrapped"])
def test_a_state_dict_comes_back_as_it_went(nets, tmp_path, form):
    file = tmp_path / "weights.pt"
    export(nets[0], "torch", file)
    state = torch.load(file, weights_only=True)
    if form == "safetensors":
        file.write_bytes(safetensors_bytes(state))
    elif form == "wrapped":
        torch.save({"epoch": 3, "model_state_dict": state}, file)
    made = import_model(file, HEX8, "cnn", tmp_path / "objects", label="theirs")
    assert all(np.array_equal(tensors(made)[n], t) for n, t in tensors(nets[0]).items())
    _, card, _ = read_model(made)
    assert card["architecture"]["size"] == "micro"
    assert card["training"]["made_by"] == "import"  # not null, which says random weights
    load_model(made, HEX8)


def test_the_encoder_of_a_state_dict_shows_in_its_inputs(tmp_path):
    shape = Architecture.of("hex8", 3, "micro", encoder="planes1-basic")
    torch.save(fresh_net(shape, seed=1).state_dict(), tmp_path / "weights.pt")
    made = import_model(tmp_path / "weights.pt", HEX8, "cnn", tmp_path / "objects")
    assert load_model(made, HEX8).net.architecture.encoder == "planes1-basic"


def test_a_nnue_comes_back_as_it_went(nnues, tmp_path):
    export(nnues[0], "torch", tmp_path / "weights.pt")
    made = import_model(tmp_path / "weights.pt", SQUARE8, "nnue-policy", tmp_path / "objects")
    assert all(np.array_equal(tensors(made)[n], t) for n, t in tensors(nnues[0]).items())
    with pytest.raises(DataError, match=r"a nnue of square8_2p.*unexpected policy\.bias"):
        import_model(tmp_path / "weights.pt", SQUARE8, "nnue", tmp_path / "objects")


@pytest.fixture
def state(nets):
    return {name: torch.from_numpy(array.copy()) for name, array in tensors(nets[0]).items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("win.bias"), r"micro net of hex8_3p: missing win\.bias"),
        (lambda s: s.update(extra=torch.zeros(2)), "unexpected extra"),
        (
            lambda s: s.update({"win.bias": torch.zeros(7)}),
            r"of another shape win\.bias \[7\] for \[3\]",
        ),
        (lambda s: s.update({"win.bias": [1, 2]}), r"win\.bias: found a list; expected a tensor"),
        (lambda s: s.clear(), r"missing .* and \d+ more"),
    ],
)
def test_a_state_dict_of_something_else_is_named(state, tmp_path, change, message):
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=message):
        import_model(tmp_path / "weights.pt", HEX8, "cnn", tmp_path / "objects")
    assert not (tmp_path / "objects").exists()


def test_weights_that_are_not_finite_are_refused(state, tmp_path):
    state["win.bias"][0] = float("nan")
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=r"not_finite: tensor win\.bias"):
        import_model(tmp_path / "weights.pt", HEX8, "cnn", tmp_path / "objects")


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_does_something_is_refused_and_does_nothing(tmp_path, legacy):
    canary, file = tmp_path / "canary", tmp_path / "weights.pt"
    if legacy:
        file.write_bytes(pickle.dumps({"a": Canary(canary)}))
    else:
        torch.save({"a": Canary(canary)}, file)
    with pytest.raises(RefusedError, match="unsafe_pickle"):
        import_model(file, HEX8, "cnn", tmp_path / "objects")
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary))).close()
    assert canary.exists()  # it would have


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut off", b"text", b"\x80\x02"])
def test_what_holds_no_weights_is_told(tmp_path, data):
    (tmp_path / "weights.pt").write_bytes(data)
    with pytest.raises((DataError, ModelError)):
        import_model(tmp_path / "weights.pt", HEX8, "cnn", tmp_path / "objects")
    with pytest.raises(UsageError, match="no file"):
        import_model(tmp_path / "nothing.pt", HEX8, "cnn", tmp_path / "objects")


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
def test_onnx_computes_what_torch_computes(nets, tmp_path, objects, masked):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    path = nets[0] if masked else init_model(SQUARE8, size="micro", seed=1, folder=objects)
    made = export(path, "onnx", tmp_path / "net.onnx")
    assert made.difference <= 1e-4
    session = onnxruntime.InferenceSession((tmp_path / "net.onnx").read_bytes())
    assert [i.name for i in session.get_inputs()] == ["planes", "globals"]
    names = ["policy_planes", "policy_scalars", "win"] + (["rank"] if masked else [])
    assert [o.name for o in session.get_outputs()] == names


def test_a_nnue_has_no_onnx_form(nnues, tmp_path):
    with pytest.raises(UsageError, match="'nnue-policy' has no ONNX form"):
        export(nnues[0], "onnx", tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(nets, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="needs the package onnx"):
        export(nets[0], "onnx", tmp_path / "net.onnx")


# --- comparisons


def test_distances_of_two_models(nets, nnues):
    found = compare(nets[0], nets[1])
    assert (found.first, found.second) == (nets[0].stem, nets[1].stem)
    assert found.fields == ()
    (stem,) = [tensor for tensor in found.tensors if tensor.name == "stem.weight"]
    a, b = (tensors(path)["stem.weight"].astype(np.float64) for path in nets[:2])
    assert stem.distance == pytest.approx(np.sqrt(((a - b) ** 2).sum()))
    assert stem.share == pytest.approx(stem.distance / np.sqrt((a**2).sum()))
    assert stem.largest == pytest.approx(np.abs(a - b).max())
    assert abs(stem.cosine) < 0.2
    everything = sum(tensor.distance**2 for tensor in found.tensors)
    assert found.distance == pytest.approx(np.sqrt(everything))
    same = compare(nets[0], nets[0])
    assert (same.distance, same.fields) == (0.0, ())
    other = compare(nets[0], nnues[0])
    assert "kind" in {field.name for field in other.fields}
    assert "first.weight" in other.only_second
