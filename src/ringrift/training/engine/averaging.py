"""The exponential moving average of a net's weights, which is what is measured and saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


class Average:
    """The average of every floating tensor of a net; with `use` off, the net as it stands.

    At step t of a run the decay is min(`limit`, (1 + t) / (10 + t)).
    """

    def __init__(self, net: nn.Module, *, limit: float, use: bool) -> None:
        self._limit = limit
        self.use = use
        self._live = {n: t for n, t in net.state_dict().items() if t.is_floating_point()}
        self.tensors: dict[str, Tensor] = (
            {name: tensor.detach().clone() for name, tensor in self._live.items()} if use else {}
        )
        self._pair = (list(self.tensors.values()), [self._live[name] for name in self.tensors])

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        if self.use:
            torch._foreach_lerp_(*self._pair, 1.0 - self.decay(step))

    def decay(self, step: int) -> float:
        """Return what is kept of the average at a step, counted from 0."""
        return min(self._limit, (1 + step) / (10 + step))

    def of(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Return the averages of some tensors of the net; raises `KeyError` without."""
        names = {tensor.data_ptr(): name for name, tensor in self._live.items()}
        return [self.tensors[names[parameter.data_ptr()]] for parameter in parameters]

    def covers(self, parameters: Sequence[Tensor]) -> bool:
        """Tell whether the averages are of some parameters and of nothing else."""
        own = {tensor.data_ptr() for tensor in self._live.values()}
        return self.use and own == {parameter.data_ptr() for parameter in parameters}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the net while the block runs."""
        kept = [self._live[name].detach().clone() for name in self.tensors]
        self._put(list(self.tensors.values()))
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for name, value in zip(self.tensors, values, strict=True):
            self._live[name].copy_(value)
