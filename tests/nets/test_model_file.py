"""Model files: one id for one content, every altered byte found, nothing loaded that does not fit."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save

from ringrift.core.ids import canonical_json
from ringrift.nets import model_file
from ringrift.nets.model_file import (
    ModelError,
    init_model,
    load_model,
    model_id,
    read_card,
    save_model,
)
from ringrift.nets.network import Architecture, fresh_net
from ringrift.nets.probe import probe_positions
from ringrift.rules import BOARDS, BoardSpec

SPEC = BoardSpec.create("square8", 2)


@pytest.fixture
def model(tmp_path):
    return init_model(SPEC, size="micro", seed=1, folder=tmp_path / "objects")


@pytest.fixture(autouse=True)
def nothing_verified(monkeypatch):
    monkeypatch.setattr(model_file, "_verified", set())


def code(path, spec=SPEC):
    with pytest.raises(ModelError) as caught:
        load_model(path, spec)
    return caught.value.code


def rewritten(path, target, *, card=None, tensors=None):
    """Write a file that is consistent in itself, with changed card fields or tensors."""
    loaded = load_model(path, SPEC)
    new_card = {**loaded.card, **(card or {})}
    new_tensors = {
        **{k: v.contiguous() for k, v in loaded.net.state_dict().items()},
        **(tensors or {}),
    }
    new_tensors = {k: v.contiguous() for k, v in new_tensors.items() if v is not None}
    identity = model_id(new_tensors, new_card)
    text = canonical_json({"card": new_card, "id": identity}).decode()
    target.write_bytes(save(new_tensors, metadata={"ringrift": text}))
    return target


def test_saving_twice_gives_one_id_and_the_same_bytes(tmp_path):
    first = init_model(SPEC, size="micro", seed=1, folder=tmp_path / "a", label="one")
    second = init_model(SPEC, size="micro", seed=1, folder=tmp_path / "b", label="two")
    other = init_model(SPEC, size="micro", seed=2, folder=tmp_path / "a")
    assert first.name == second.name != other.name
    assert first.read_bytes() == second.read_bytes()
    assert init_model(SPEC, size="micro", seed=1, folder=tmp_path / "a") == first


def test_layout_of_the_folder(model):
    assert model.parent.name == model.name[:2]
    assert model.stat().st_mode & 0o222 == 0
    described = json.loads(model.with_suffix(".json").read_text())
    assert described["id"] == model.stem
    assert described["training"] is None
    assert {"created_at", "host", "label"} <= described.keys()
    assert not [p for p in model.parent.iterdir() if p.suffix == ".partial"]


def test_a_loaded_model_computes_what_was_saved(model):
    loaded = load_model(model, SPEC)
    fresh = fresh_net(Architecture.of("square8", 2, "micro"), seed=1)
    assert loaded.id == model.stem
    for a, b in zip(loaded.net.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    p = probe_positions(SPEC)
    _, values = loaded.evaluator().evaluate(p.states, p.boards, p.moves, p.offsets)
    assert values.shape == (8, 2)
    assert read_card(model) == (loaded.id, loaded.card)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("players", [2, 3, 4])
def test_every_configuration_saves_and_loads(board, players, tmp_path):
    spec = BoardSpec.create(board, players)
    path = init_model(spec, size="micro", seed=1, folder=tmp_path)
    assert load_model(path, spec).card["config"] == spec.config


def test_any_flipped_byte_is_found(model, tmp_path):
    data = model.read_bytes()
    copy = tmp_path / "copy.safetensors"
    rng = random.Random(1)
    header = 8 + int.from_bytes(data[:8], "little")
    places = [
        *range(12),
        *rng.sample(range(header), 200),
        *rng.sample(range(header, len(data)), 100),
    ]
    places += [header - 1, header, len(data) - 1]
    for place in places:
        altered = bytearray(data)
        altered[place] ^= 1 << rng.randrange(8)
        copy.write_bytes(altered)
        with pytest.raises(ModelError):
            load_model(copy, SPEC)
    copy.write_bytes(data)
    assert load_model(copy, SPEC).id == model.stem


def test_a_file_under_anothers_id_is_found(model):
    wrong = model.with_name("0" * 64 + ".safetensors")
    wrong.write_bytes(model.read_bytes())
    assert code(wrong) == "hash_mismatch"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (BoardSpec.create("square8", 3), "board_spec_hash"),
        (BoardSpec.create("hex8", 2), "board_spec_hash"),
        (BoardSpec.create("square8", 2, swap_rule=True), "board_spec_hash"),
    ],
)
def test_another_configuration_is_refused_with_both_hashes(model, spec, field):
    with pytest.raises(ModelError) as caught:
        load_model(model, spec)
    assert caught.value.code == "spec_mismatch"
    assert SPEC.hash in caught.value.detail
    assert spec.hash in caught.value.detail
    assert field in caught.value.detail


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"encoder": {"id": "planes1", "hash": "ab"}}, "unknown_encoder"),
        ({"encoder": {"id": "planes9", "hash": "ab"}}, "unknown_encoder"),
        ({"value_utility": "sum"}, "card_invalid"),
        ({"calibration": {"temperature": 0}}, "card_invalid"),
        ({"policy_layout_hash": "ab"}, "layout_mismatch"),
        ({"codec_hash": "ab"}, "spec_mismatch"),
        ({"rules_version": "0"}, "spec_mismatch"),
        ({"schema": 2}, "card_invalid"),
        ({"kind": "nnue"}, "card_invalid"),
        ({"parents": None}, "card_invalid"),
        ({"probe": {"positions": "ab", "outputs": []}}, "probe_mismatch"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(model, tmp_path, change, expected):
    assert code(rewritten(model, tmp_path / "x.safetensors", card=change)) == expected


def test_tensors_that_do_not_fit_are_refused(model, tmp_path):
    target = tmp_path / "x.safetensors"
    assert code(rewritten(model, target, tensors={"win.bias": torch.zeros(3)})) == "shape_mismatch"
    assert code(rewritten(model, target, tensors={"win.bias": None})) == "shape_mismatch"
    assert code(rewritten(model, target, tensors={"more": torch.zeros(1)})) == "shape_mismatch"
    nan = torch.tensor([0.0, float("nan")])
    assert code(rewritten(model, target, tensors={"win.bias": nan})) == "not_finite"
    assert code(
        rewritten(model, target, tensors={"win.bias": torch.ones(2) * torch.tensor([1, -1])})
    ) == ("probe_mismatch")


def test_what_is_no_model_file_is_refused(model, tmp_path):
    data = model.read_bytes()
    target = tmp_path / "x.safetensors"
    for content, expected in (
        (b"", "empty"),
        (data[:5], "truncated"),
        (data[:100], "truncated"),
        (data[:-1], "truncated"),
        (b"\x00" * 100, "not_safetensors"),
        (b"PK\x03\x04" + b"\x00" * 100, "unsafe_pickle"),
        (save({"a": torch.zeros(1)}), "card_missing"),
        (save({"a": torch.zeros(1)}, metadata={"ringrift": "{}"}), "card_invalid"),
    ):
        target.write_bytes(content)
        assert code(target) == expected


def test_a_missing_file_never_yields_a_model(model):
    loaded = load_model(model, SPEC)
    assert loaded.id
    model.unlink()
    assert code(model) == "missing"
    assert code(model.parent) == "missing"


def test_training_facts_and_parents_are_part_of_the_identity(model, tmp_path):
    net = load_model(model, SPEC).net
    facts = {"games": 3, "seed": 1}
    parents = ({"id": model.stem, "role": "warm_start"},)
    child = save_model(net, SPEC, tmp_path, training=facts, parents=parents)
    _, card = read_card(child)
    assert child.stem != model.stem
    assert card["training"] == facts
    assert card["parents"] == list(parents)


def test_a_file_of_an_older_architecture_is_refused(model, tmp_path):
    card = load_model(model, SPEC).card
    older = {**card["architecture"], "name": "ringrift-cnn/1"}
    assert code(rewritten(model, tmp_path / "x.safetensors", card={"architecture": older})) == (
        "card_invalid"
    )


def test_a_net_of_the_small_encoder_saves_and_loads(model, tmp_path):
    path = init_model(SPEC, size="micro", seed=1, folder=tmp_path, encoder="planes1-basic")
    loaded, other = load_model(path, SPEC), load_model(model, SPEC)
    assert loaded.card["encoder"]["id"] == "planes1-basic"
    assert other.card["encoder"]["id"] == "planes1"
    assert loaded.net.stem.weight.shape[1] == 32
    assert other.net.stem.weight.shape[1] == 43


def test_a_calibrated_model_divides_its_values(model, tmp_path):
    plain = load_model(model, SPEC)
    parents = ({"id": plain.id, "role": "calibrated_from"},)
    path = save_model(
        plain.net,
        SPEC,
        tmp_path,
        training=None,
        parents=parents,
        calibration={"temperature": 2.0},
    )
    cooled = load_model(path, SPEC)
    assert cooled.id != plain.id
    p = probe_positions(SPEC)
    asked = (p.states, p.boards, p.moves, p.offsets)
    one, two = (m.evaluator().predict(*asked) for m in (plain, cooled))
    assert (one.logits == two.logits).all()
    gap, halved = (q.win[:, 0] - q.win[:, 1] for q in (one, two))
    assert halved == pytest.approx(gap / 2, abs=1e-6)


def test_values_by_win_are_said_by_the_card(tmp_path):
    spec = BoardSpec.create("square8", 3)
    shape = Architecture.of("square8", 3, "micro")
    nets = [fresh_net(s, seed=1) for s in (shape, replace(shape, value_utility="win"))]
    paths = [save_model(net, spec, tmp_path, training=None) for net in nets]
    loaded = [load_model(path, spec) for path in paths]
    assert [m.card["value_utility"] for m in loaded] == ["rank", "win"]
    assert loaded[1].net.architecture.value_utility == "win"
    p = probe_positions(spec)
    said = loaded[1].evaluator().predict(p.states, p.boards, p.moves, p.offsets)
    assert said.values == pytest.approx((3 * np.exp(said.win) - 1) / 2, abs=1e-6)
