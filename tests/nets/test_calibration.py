"""Temperatures of a card: read, refused, and what they do to values."""

import math

import numpy as np
import pytest

from ringrift.core.errors import NegativeResult
from ringrift.nets.calibration import (
    UNCALIBRATED,
    calibration_field,
    temperature_rows,
    temperatures_of,
)
from ringrift.nets.container import ModelError, read_model
from ringrift.nets.nnue import forward
from ringrift.nets.nnue.evaluator import NnueEvaluator
from ringrift.nets.nnue.file import calibrate_nnue, init_nnue, load_nnue
from ringrift.nets.probe import probe_positions
from ringrift.rules import BoardSpec, Position
from ringrift.rules import layout as lay
from ringrift.rules.position import board_view

SPEC = BoardSpec.create("square8", 2)


def test_a_card_has_one_temperature_or_three():
    assert temperatures_of({"calibration": None}, "x") == UNCALIBRATED == (1.0, 1.0, 1.0)
    assert temperatures_of({"calibration": {"temperature": 2}}, "x") == (2.0, 2.0, 2.0)
    card = {"calibration": {"temperature": [1, 2.5, 20]}}
    assert temperatures_of(card, "x") == (1.0, 2.5, 20.0)


@pytest.mark.parametrize(
    "field",
    [
        {"temperature": 0.04},
        {"temperature": 21.0},
        {"temperature": math.nan},
        {"temperature": True},
        {"temperature": "2"},
        {"temperature": [1.0, 2.0]},
        {"temperature": [1.0, 2.0, None]},
        {"temperature": 2.0, "bias": 1.0},
        {},
        [1.0],
        2.0,
    ],
)
def test_any_other_field_is_an_error_that_shows_it(field):
    with pytest.raises(ModelError, match="card field calibration: found") as raised:
        temperatures_of({"calibration": field}, "model.safetensors")
    assert (raised.value.code, raised.value.ref) == ("card_invalid", "model.safetensors")


def test_temperatures_multiply_and_stay_in_their_range():
    plain, card = {"calibration": None}, {"calibration": {"temperature": [2.0, 1.0, 1.0]}}
    assert calibration_field(plain, (1.5, 1.5, 1.5), "x") == {"temperature": 1.5}
    assert calibration_field(card, (1.5, 1.5, 3.0), "x") == {"temperature": [3.0, 1.5, 3.0]}
    with pytest.raises(NegativeResult, match="a temperature of 40"):
        calibration_field(card, (20.0, 1.0, 1.0), "x")


def test_the_third_is_that_of_the_nearest_threshold():
    """Rings / T or territory / TM of the leading seat, whichever is further."""
    spec = SPEC
    rings, territory = spec.ring_threshold, spec.territory_minimum
    states = lay.zeros(5, lay.STATE)
    states[:] = Position.of(spec)._states[0]
    states["elim"][1, 2] = math.ceil(rings / 3)
    states["terr"][2, 1] = math.ceil(2 * territory / 3)
    states["elim"][3] = math.ceil(rings / 3) - 1
    states["terr"][4, 1], states["elim"][4, 2] = territory, rings
    rows = temperature_rows(lay.view(states), board_view(spec), (1.0, 2.0, 3.0))
    assert rows.tolist() == [1.0, 2.0, 3.0, 1.0, 3.0]


# --- NNUE


def evaluated(model, prior=None):
    p = probe_positions(model.spec)
    asked = (p.states, p.boards, p.moves, p.offsets)
    if prior is None:
        return model.evaluator().predict(*asked)
    return NnueEvaluator(model.net, model.spec, wide=model.wide, prior=prior).evaluate(*asked)


@pytest.fixture(params=[2, 3])
def model(request, tmp_path):
    spec = BoardSpec.create("square8", request.param)
    path = init_nnue(spec, folder=tmp_path / "objects", seed=5, hidden=32, policy=True)
    return load_nnue(path, spec)


def test_a_calibrated_copy_has_the_same_tensors_and_softer_values(model, tmp_path):
    path = calibrate_nnue(model, (2.0, 2.0, 2.0), tmp_path / "objects")
    copy = load_nnue(path, model.spec)
    assert copy.id != model.id
    assert copy.card["calibration"] == {"temperature": 2.0}
    assert copy.card["parents"] == [{"id": model.id, "role": "calibrated_from"}]
    same = {**copy.card, **{n: model.card[n] for n in ("calibration", "parents", "probe")}}
    assert same == model.card
    for (_, one), (_, other) in zip(
        sorted(read_model(model.path)[2].items()), sorted(read_model(path)[2].items()), strict=True
    ):
        assert np.array_equal(one, other)
    before, after = evaluated(model), evaluated(copy)
    assert np.array_equal(before.logits, after.logits)
    halved = before.win / 2.0
    halved -= np.log(np.exp(halved).sum(1, keepdims=True))
    assert after.win == pytest.approx(halved, abs=1e-12)
    if model.spec.players == 2:
        expected = np.tanh(np.arctanh(before.values.astype(float)) / 2.0)
        assert after.values == pytest.approx(expected, abs=1e-6)
        assert after.values[:, 0] == pytest.approx(2.0 * np.exp(after.win[:, 0]) - 1.0, abs=1e-6)
    assert after.values.sum(1) == pytest.approx(0.0, abs=1e-6)


def test_calibrating_again_multiplies(model, tmp_path):
    once = load_nnue(calibrate_nnue(model, (2.0, 2.0, 2.0), tmp_path), model.spec)
    twice = load_nnue(calibrate_nnue(once, (1.5, 1.0, 1.0), tmp_path), model.spec)
    assert twice.card["calibration"] == {"temperature": [3.0, 2.0, 2.0]}
    assert twice.card["parents"] == [{"id": once.id, "role": "calibrated_from"}]


def test_the_third_of_each_position_chooses_its_temperature(model, tmp_path):
    path = calibrate_nnue(model, (1.0, 4.0, 9.0), tmp_path)
    copy = load_nnue(path, model.spec)
    p = probe_positions(model.spec)
    states = p.states[:3].copy()
    states["elim"][1, 1] = states["elim"][2, 1] = model.spec.ring_threshold - 1
    states["elim"][1, 1] = math.ceil(model.spec.ring_threshold / 3)
    moves, offsets = np.zeros(0, np.int64), np.zeros(4, np.int32)
    before, after = (
        m.evaluator().predict(states, p.boards, moves, offsets).win for m in (model, copy)
    )
    for i, temperature in enumerate((1.0, 4.0, 9.0)):
        ratio = (before[i, 0] - before[i, 1]) / (after[i, 0] - after[i, 1])
        assert ratio == pytest.approx(temperature)


def test_searches_see_the_calibrated_value(model, tmp_path):
    """The compiled function that searches call, and priors made of the values after each move."""
    copy = load_nnue(calibrate_nnue(model, (3.0, 3.0, 3.0), tmp_path), model.spec)
    p = probe_positions(model.spec)
    out = np.zeros(model.spec.players)
    state = p.states[2:3]
    forward.evaluate(lay.view(state)[0], board_view(model.spec)[0], copy.net, copy.work(), out)
    _, values = evaluated(copy, prior="value")
    assert out == pytest.approx(values[2], abs=1e-6)
    softer, sharper = evaluated(copy, prior="value")[0], evaluated(model, prior="value")[0]
    assert np.abs(softer).sum() < np.abs(sharper).sum()
