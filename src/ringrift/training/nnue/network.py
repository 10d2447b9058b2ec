"""A NNUE in torch: the float net of training.md 4, with the rounding of its integers on request.

Tensors have the names, shapes and scale of `nets.nnue.network`. With `rounding` every weight lies on
its integer grid and every layer ends in `>> 6`, in whole numbers that float32 holds exactly: the
outputs are those of the integers that play. Gradients pass a rounding unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ringrift.nets.nnue.network import INPUT_SCALE, WEIGHT_SCALE, Shape, Weights
from ringrift.training.nnue.bags import on_grid, sum_entries, sum_rows
from ringrift.training.nnue.seats import seat_inputs


class NnueNet(nn.Module):
    """The net of one `Shape`; parameters are named as its `sizes`."""

    def __init__(self, shape: Shape, weights: Mapping[str, NDArray[Any]]) -> None:
        super().__init__()
        self.shape = shape
        self.rounding = False
        for name, size in shape.sizes.items():
            part, _, tensor = name.partition(".")
            if not hasattr(self, part):
                self.add_module(part, nn.Module())
            value = torch.from_numpy(np.array(weights[name], np.float32).reshape(size))
            self.get_submodule(part).register_parameter(tensor, nn.Parameter(value))

    def accumulate(self, inputs: Tensor, input_ptr: Tensor) -> Tensor:
        """Return what the layers of each seat get, `[B, n, 2 H]`: own units, largest of the others'.

        Arguments are those of `samples.nnue.NnueBatch`.
        """
        unit = float(INPUT_SCALE) if self.rounding else 1.0
        table, grid = self.get_parameter("inputs.weight"), unit if self.rounding else None
        sums = sum_rows(table, inputs, input_ptr, grid=grid)
        return seat_inputs(sums, self._scaled("inputs.bias", unit), self.shape.players, unit=unit)

    def seat_logits(self, x: Tensor) -> Tensor:
        """Return the logits of the seats, `[B, n]`."""
        for name in self.shape.layer_names:
            x = self._layer(name, x)
        return self._output(self._affine("last", x).squeeze(2))

    def move_logits(self, x: Tensor, entries: Tensor, pointer: Tensor) -> Tensor:
        """Return the logits of all places for moves, `[B, M]`; `x`: `[B, 2 H]` of the movers.

        A move is the sum of some of the products of the policy layer with all rows, `[B, R]`.
        """
        products = self._layer("policy", x) @ self._scaled("policy.rows", self._step).T
        return self._output(sum_entries(products, entries, pointer)).view(len(x), -1)

    def weights(self) -> Weights:
        """Return the tensors as `save_nnue` takes them."""
        return {
            name: tensor.detach().to("cpu", torch.float32).numpy().copy()
            for name, tensor in self.named_parameters()
        }

    @property
    def _step(self) -> float:
        return float(WEIGHT_SCALE) if self.rounding else 1.0

    def _scaled(self, name: str, scale: float) -> Tensor:
        tensor = self.get_parameter(name)
        return on_grid(tensor, scale) if self.rounding else tensor

    def _affine(self, name: str, x: Tensor) -> Tensor:
        unit = float(INPUT_SCALE) if self.rounding else 1.0
        weight = self._scaled(f"{name}.weight", self._step)
        return functional.linear(x, weight, self._scaled(f"{name}.bias", unit * self._step))

    def _layer(self, name: str, x: Tensor) -> Tensor:
        z = self._affine(name, x)
        if not self.rounding:
            return z.clamp(0.0, 1.0)
        shifted: Tensor = _Shifted.apply(z)
        return shifted.clamp(0.0, INPUT_SCALE)

    def _output(self, z: Tensor) -> Tensor:
        return z / (INPUT_SCALE * WEIGHT_SCALE) if self.rounding else z


def seat_values(logits: Tensor) -> Tensor:
    """Return the value of each seat, `[B, n]`: the Plackett-Luce expectation of the ranks."""
    n = logits.shape[1]
    differences = logits[:, :, None] - logits[:, None, :]
    return torch.tanh(differences / 2).sum(2) / (n - 1)


class _Shifted(torch.autograd.Function):
    """Whole numbers divided by 64, rounded down; the gradient is that of the division."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return (values / WEIGHT_SCALE).floor_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] / WEIGHT_SCALE
