"""Weights of a NNUE net: shapes, random start, quantisation (training.md 4).

Weights are held by name in plain dictionaries, as floats of the scale of training, where a unit
lies between 0 and 1, and as the integers that play:

| name | float | integer | scale |
|---|---|---|---|
| `inputs.weight`, `inputs.bias` | [F, H], [H] | int16; the bias int32 where sums need it | 127 |
| `first.weight`, `first.bias` | [32, 2 H], [32] | int8, int32 | 64, 8128 |
| `second.weight`, `second.bias` ... `sixth` | [32, 32], [32] | int8, int32 | 64, 8128 |
| `last.weight`, `last.bias` | [1, 32], [1] | int8, int32 | 64, 8128 |
| `policy.weight`, `policy.bias` | [64, 2 H], [64] | int8, int32 | 64, 8128 |
| `policy.rows` | [R, 64] | int8 | 64 |

There are two to six hidden layers, named by their number. The last three tensors exist in a net
with a policy head only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import UsageError
from ringrift.nets.calibration import UNCALIBRATED, Temperatures
from ringrift.nets.nnue import features
from ringrift.nets.nnue.arrays import (
    LEAST_LAYERS,
    MOST_LAYERS,
    POLICY_WIDTH,
    SMALL,
    WIDTH,
    Net,
    aligned,
)
from ringrift.nets.nnue.rows import policy_rows
from ringrift.rules.geometry import geometry

INPUT_SCALE = 127
WEIGHT_SCALE = 64
BIAS_SCALE = INPUT_SCALE * WEIGHT_SCALE
LARGEST_WEIGHT = 127 / 64
"""Weights of training are clamped to this, so that those of the layers fit int8."""

LARGEST_INT16 = 32_767
LARGEST_BIAS = 1 << 30
"""Of the layers, as an integer: with it no sum of a layer leaves int32."""

LAYERS = 2
"""Hidden layers where nobody asks for more."""

LAYER_NAMES = ("first", "second", "third", "fourth", "fifth", "sixth")

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What fixes the tensors of a net.

    `hidden` is H, `layers` the number of hidden layers behind the accumulators, 2 to 6; `policy`
    says whether it has that head.
    """

    board: str
    players: int
    hidden: int = 256
    layers: int = LAYERS
    policy: bool = False

    def __post_init__(self) -> None:
        if self.hidden < 32 or self.hidden % 32 or self.hidden > 4096:
            raise UsageError(
                f"hidden is {self.hidden}; expected a multiple of 32 up to 4096", hint="256"
            )
        if not LEAST_LAYERS <= self.layers <= MOST_LAYERS:
            raise UsageError(
                f"{self.layers} hidden layers; expected {LEAST_LAYERS} to {MOST_LAYERS}",
                hint=str(LAYERS),
            )

    @property
    def kind(self) -> str:
        """The kind of model that a card names."""
        return "nnue-policy" if self.policy else "nnue"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the hidden layers, from the accumulators on."""
        return LAYER_NAMES[: self.layers]

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        h, inputs = self.hidden, features.input_count(self.board)
        found: dict[str, tuple[int, ...]] = {
            "inputs.weight": (inputs, h),
            "inputs.bias": (h,),
            "first.weight": (WIDTH, 2 * h),
            "first.bias": (WIDTH,),
        }
        for name in self.layer_names[1:]:
            found |= {f"{name}.weight": (WIDTH, WIDTH), f"{name}.bias": (WIDTH,)}
        found |= {"last.weight": (1, WIDTH), "last.bias": (1,)}
        if self.policy:
            found["policy.weight"] = (POLICY_WIDTH, 2 * h)
            found["policy.bias"] = (POLICY_WIDTH,)
            found["policy.rows"] = (len(policy_rows(self.board).names), POLICY_WIDTH)
        return found


def random_weights(shape: Shape, *, seed: int) -> Weights:
    """Return small random weights, `float32`; about a hundred active inputs give units near 1/2."""
    spread = {
        "inputs.weight": 0.05,
        "first.weight": (2 * shape.hidden) ** -0.5 * 2,
        **{f"{name}.weight": WIDTH**-0.5 * 2 for name in LAYER_NAMES[1:]},
        "last.weight": WIDTH**-0.5,
        "policy.weight": (2 * shape.hidden) ** -0.5 * 2,
        "policy.rows": POLICY_WIDTH**-0.5 / 2,
    }
    draw = np.random.default_rng(seed)
    weights: Weights = {}
    for name, size in shape.sizes.items():
        if name in spread:
            values = draw.standard_normal(size, np.float32) * np.float32(spread[name])
            weights[name] = np.clip(values, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        else:
            level = 0.0 if name == "last.bias" else 0.5
            weights[name] = np.full(size, level, np.float32)
    return weights


def quantise(weights: Mapping[str, NDArray[Any]], shape: Shape) -> Weights:
    """Return the integers of finite float weights, rounded to the nearest even.

    Raises `UsageError` for a weight beyond 127/64 by more than a rounding, which training clamps,
    and for a bias that its integer cannot hold.
    """
    found: Weights = {}
    for name in shape.sizes:
        values = weights[name].astype(np.float64)
        layer, _, part = name.partition(".")
        most, told = 2.0, "127/64"
        if part == "bias":
            most = LARGEST_INT16 / INPUT_SCALE if layer == "inputs" else LARGEST_BIAS / BIAS_SCALE
            told = f"{most:,.0f}"
        if (worst := float(np.abs(values).max(initial=0.0))) > most:
            raise UsageError(f"tensor {name} holds {worst:.3g}; expected at most {told} in size")
        if layer == "inputs":
            found[name] = np.rint(values * INPUT_SCALE).astype(np.int32)
        elif part == "bias":
            found[name] = np.rint(values * BIAS_SCALE).astype(np.int32)
        else:
            scaled = np.rint(values * WEIGHT_SCALE)
            found[name] = np.clip(scaled, -127, 127).astype(np.int8)
    largest = largest_sum(found["inputs.weight"], found["inputs.bias"], shape)
    wide = largest > LARGEST_INT16
    found["inputs.weight"] = found["inputs.weight"].astype(np.int16)
    found["inputs.bias"] = found["inputs.bias"].astype(np.int32 if wide else np.int16)
    return found


def largest_sum(weight: NDArray[Any], bias: NDArray[Any], shape: Shape) -> int:
    """Return a bound on the size of every sum an accumulator of H units can come to hold.

    What excludes each other counts once: a cell is empty, a marker, collapsed or a stack of one
    seat, with one height and one cap; one stack may act; a number of the position has one value.
    Partial sums of an update may exceed it, but wrap and come back.
    """
    return max(
        int(_most(weight.astype(np.int64), shape, bias.astype(np.int64)).max()),
        int(_most(-weight.astype(np.int64), shape, -bias.astype(np.int64)).max()),
    )


def _most(weight: NDArray[Any], shape: Shape, bias: NDArray[Any]) -> NDArray[Any]:
    """Return the largest sum per unit: `int64[H]`."""
    players = shape.players
    n = len(geometry(shape.board).keys)
    split = features.CELL_FEATURES * n
    cell = weight[:split].reshape(n, features.CELL_FEATURES, -1)
    height = cell[:, :20].reshape(n, 4, 5, -1)[:, :players].max(2)
    cap = cell[:, features.CAP_AT : 36].reshape(n, 4, 4, -1)[:, :players].max(2)
    buried = cell[:, features.BURIED_AT : 44].reshape(n, 4, 2, -1)[:, :players].max(2)
    stack = (height + cap).max(1) + np.maximum(buried, 0).sum(1)
    marker = cell[:, features.MARKER_AT : features.MARKER_AT + players].max(1)
    collapsed = cell[:, features.COLLAPSED_AT : features.COLLAPSED_AT + players].max(1)
    best = np.maximum(np.maximum(stack, marker), np.maximum(collapsed, 0)).sum(0)
    best += np.maximum(cell[:, features.ACTING].max(0), 0)

    numbers = weight[split:]
    for r in range(players):
        own = numbers[features.SEAT_NUMBERS * r : features.SEAT_NUMBERS * (r + 1)]
        for start, stop in ((0, 8), (8, 24), (24, 40), (40, 44)):
            best += own[start:stop].max(0)
    best += np.maximum(numbers[features.PHASE_AT : features.MOVER_AT].max(0), 0)
    best += numbers[features.MOVER_AT : features.MOVER_AT + players].max(0)
    best += numbers[features.PLAYERS_AT + players - 2]
    best += np.maximum(numbers[features.FLAGS_AT :], 0).sum(0)
    return np.asarray(best + bias)


def lay_out(
    integers: Mapping[str, NDArray[Any]],
    shape: Shape,
    temperatures: Temperatures = UNCALIBRATED,
) -> Net:
    """Return quantised weights in the form that compiled code takes.

    Outputs are divided by `temperatures` where they become values.
    """
    inputs, hidden = integers["inputs.weight"].shape
    net = Net(
        inputs=aligned((inputs + 1, hidden), np.int16),
        layers=aligned((WIDTH + (POLICY_WIDTH if shape.policy else 0), 2 * hidden), np.int8),
        rows=aligned(shape.sizes.get("policy.rows", (0, POLICY_WIDTH)), np.int8),
        small=np.zeros(1, SMALL),
    )
    small = net.small[0]
    net.inputs[:-1] = integers["inputs.weight"]
    net.inputs[-1] = integers["inputs.bias"]
    net.layers[:WIDTH] = integers["first.weight"]
    small["first_bias"] = integers["first.bias"]
    for k, name in enumerate(shape.layer_names[1:]):
        small["inner"][k] = integers[f"{name}.weight"]
        small["inner_bias"][k] = integers[f"{name}.bias"]
    small["inners"] = shape.layers - 1
    small["last"] = integers["last.weight"][0]
    small["last_bias"] = integers["last.bias"][0]
    small["unit"] = BIAS_SCALE * np.array(temperatures)
    if shape.policy:
        net.layers[WIDTH:] = integers["policy.weight"]
        small["head_bias"] = integers["policy.bias"]
        net.rows[:] = integers["policy.rows"]
    turn = features.turn_table(shape.players)
    small["turn"][: turn.shape[0], : turn.shape[1]] = turn
    return net
