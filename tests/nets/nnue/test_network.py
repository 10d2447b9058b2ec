"""Weights: what rounding makes of them, and when an accumulator needs 32 bits."""

import numpy as np
import pytest

from ringrift.core.errors import UsageError
from ringrift.nets.nnue import reference
from ringrift.nets.nnue.network import Shape, largest_sum, quantise, random_weights

from ..sampling import positions
from .nets import CONFIGS, made, reference_x

SHAPE = Shape(board="square8", players=2, hidden=32, policy=True)


def zeros(shape=SHAPE):
    return {name: np.zeros(size, np.float32) for name, size in shape.sizes.items()}


@pytest.mark.parametrize("hidden", [0, 16, 100, 5000])
def test_a_width_that_no_vector_fits_is_refused(hidden):
    with pytest.raises(UsageError, match="hidden"):
        Shape(board="square8", players=2, hidden=hidden)


@pytest.mark.parametrize("layers", [0, 1, 7])
def test_a_number_of_layers_that_no_file_holds_is_refused(layers):
    with pytest.raises(UsageError, match="hidden layers"):
        Shape(board="square8", players=2, layers=layers)


def test_layers_are_named_by_their_number():
    deep = Shape(board="square8", players=2, hidden=32, layers=4)
    inner = [name for name in deep.sizes if deep.sizes[name] == (32, 32)]
    assert inner == ["second.weight", "third.weight", "fourth.weight"]
    assert Shape(board="square8", players=2, hidden=32, layers=2) == Shape(
        board="square8", players=2, hidden=32
    )


def test_weights_are_rounded_at_their_scales():
    weights = zeros()
    weights["inputs.weight"][5, 3] = 1.0
    weights["inputs.bias"][3] = -0.5
    weights["first.weight"][1, 2] = 127 / 64
    weights["first.bias"][1] = 0.25
    weights["policy.rows"][7, 1] = -1.0
    made_ = quantise(weights, SHAPE)
    assert made_["inputs.weight"][5, 3] == 127
    assert made_["inputs.bias"][3] == -64
    assert made_["first.weight"][1, 2] == 127
    assert made_["first.bias"][1] == 2032
    assert made_["policy.rows"][7, 1] == -64
    assert {n: a.dtype.name for n, a in made_.items() if n.startswith(("inputs", "first"))} == {
        "inputs.weight": "int16", "inputs.bias": "int16", "first.weight": "int8",
        "first.bias": "int32",
    }  # fmt: skip


def test_weights_beyond_the_clamp_are_refused():
    weights = zeros()
    weights["second.weight"][0, 0] = 2.1
    with pytest.raises(UsageError, match=r"second\.weight"):
        quantise(weights, SHAPE)


def test_the_same_seed_gives_the_same_weights():
    a, b = (random_weights(SHAPE, seed=7) for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in SHAPE.sizes)
    other = random_weights(SHAPE, seed=8)
    assert not np.array_equal(a["inputs.weight"], other["inputs.weight"])


def test_what_excludes_each_other_counts_once():
    weight = np.zeros((3590, 32), np.int16)
    bias = np.zeros(32, np.int16)
    weight[0:5, 0] = 100  # heights of seat 0's stack on one cell: one of them
    weight[20:24, 0] = 10  # and one cap
    weight[44, 0] = 105  # a marker there instead
    assert largest_sum(weight, bias, SHAPE) == 110
    weight[53 + 44, 0] = 1000  # a marker on the next cell
    bias[0] = 7
    assert largest_sum(weight, bias, SHAPE) == 1117
    weight[53 * 64 + 176 : 53 * 64 + 183, 1] = -2000  # one phase; the smallest sum counts too
    assert largest_sum(weight, bias, SHAPE) == 2000


@pytest.mark.parametrize(("board", "players"), CONFIGS)
def test_no_position_exceeds_the_largest_sum(board, players):
    spec, shape, integers, _ = made(board, players)
    bound = largest_sum(integers["inputs.weight"], integers["inputs.bias"], shape)
    for position in positions(spec, 10):
        inputs = [reference.active_inputs(position._states[0], spec, 1)]
        assert np.abs(reference.accumulators(integers, inputs)).max() <= bound


def test_wide_accumulators_where_sums_need_them():
    weights = zeros()
    weights["inputs.weight"][:, 0] = 1.9
    wide = quantise(weights, SHAPE)
    assert wide["inputs.bias"].dtype == np.int32
    weights["inputs.weight"][:, 0] = 0.5
    assert quantise(weights, SHAPE)["inputs.bias"].dtype == np.int16


@pytest.mark.parametrize("layers", range(2, 7))
def test_deep_fresh_nets_tell_positions_apart(layers):
    spec, _, integers, _ = made("square8", 2, layers=layers)
    z = [reference.outputs(integers, reference_x(integers, p)) for p in positions(spec, 20)]
    assert np.ptp(z) > 800


def test_fresh_nets_tell_positions_apart():
    """Random weights leave neither every unit at 0 nor at its clip."""
    spec, _, integers, _ = made("square8", 2, hidden=256)
    states = [p._states[0] for p in positions(spec, 20)]
    sums = reference.accumulators(integers, [reference.active_inputs(s, spec, 1) for s in states])
    x = np.clip(sums, 0, 127)
    assert ((x > 0) & (x < 127)).mean() > 0.3
