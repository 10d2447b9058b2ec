"""Batches of samples as tensors, and what a net loses on them (training.md 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ringrift.nets.encoder import STEPS
from ringrift.rules.policy import policy_layout
from ringrift.training.replay import pad_moves
from ringrift.training.symmetry import symmetries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from ringrift.nets.network import Net, Outputs
    from ringrift.training.dataset import Samples

RANK_WEIGHT = 0.5


class Batch(NamedTuple):
    """`B` samples with at most `M` legal moves.

    `planes`: `[B, PLANES, H, W]`; `numbers`: `[B, GLOBALS]`; `first`, `second`: `int64[B, M]` into
    the policy table with one 0 appended; `target`: `[B, M]`; `legal`: `bool[B, M]`; `win`:
    `[B, n]`; `rank`: `[B, n, n]`; weights: `[B]`.
    """

    planes: Tensor
    numbers: Tensor
    first: Tensor
    second: Tensor
    target: Tensor
    legal: Tensor
    win: Tensor
    rank: Tensor
    policy_weight: Tensor
    value_weight: Tensor


class Feed:
    """Makes batches of samples; the order and the symmetries follow from seed and epoch alone."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self._grid = symmetries(samples.spec.board).grid
        self._shape = samples.planes.shape[1:]
        self._flat = samples.planes.reshape(len(samples), -1, self._shape[2])

    def epoch(self, size: int, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield the whole batches of one epoch in random order, each with a random symmetry."""
        rng = np.random.Generator(np.random.PCG64([seed, epoch]))
        order = rng.permutation(len(self.samples))
        maps = rng.integers(0, self.samples.first.shape[0], len(order))
        maps[~self.samples.symmetric] = 0
        size = min(size, len(order))
        for at in range(0, len(order) - size + 1, size):
            chosen = order[at : at + size]
            yield self.batch(chosen, maps[chosen])

    def in_order(self, size: int) -> Iterator[Batch]:
        """Yield all samples once, as they are."""
        for at in range(0, len(self.samples), size):
            chosen = np.arange(at, min(at + size, len(self.samples)))
            yield self.batch(chosen, np.zeros(len(chosen), np.int64))

    def batch(self, chosen: NDArray[np.int64], maps: NDArray[np.int64]) -> Batch:
        """Return the samples `chosen`, each under its symmetry of `maps`."""
        s = self.samples
        planes = self._flat[chosen[:, None], self._grid[maps]]
        scene = torch.from_numpy(planes).view(len(chosen), *self._shape).permute(0, 3, 1, 2)
        most = int((s.offsets[chosen + 1] - s.offsets[chosen]).max())
        shape = (len(chosen), most)
        first, second = np.empty(shape, np.int64), np.empty(shape, np.int64)
        target, legal = np.empty(shape, np.float32), np.empty(shape, np.bool_)
        last = table_size(s)
        pad_moves(
            chosen,
            maps,
            s.offsets,
            s.first,
            s.second,
            s.probabilities,
            last,
            first,
            second,
            target,
            legal,
        )
        return Batch(
            planes=scene.float().div_(STEPS),
            numbers=torch.from_numpy(s.numbers[chosen]),
            first=torch.from_numpy(first),
            second=torch.from_numpy(second),
            target=torch.from_numpy(target),
            legal=torch.from_numpy(legal),
            win=torch.from_numpy(s.win[chosen]),
            rank=torch.from_numpy(s.rank[chosen]),
            policy_weight=torch.from_numpy(s.policy_weight[chosen]),
            value_weight=torch.from_numpy(s.value_weight[chosen]),
        )


def table_size(samples: Samples) -> int:
    """Return the number of entries of the net's policy table, padding cells of the grid included."""
    layout = policy_layout(samples.spec.board)
    area = int(samples.planes.shape[1] * samples.planes.shape[2])
    return area * len(layout.planes) + len(layout.scalars)


def legal_logits(outputs: Outputs, batch: Batch) -> Tensor:
    """Return the logits of the legal moves, `[B, M]`, the least number where there is none."""
    planes = outputs.planes.permute(0, 2, 3, 1).flatten(1)
    zero = outputs.scalars.new_zeros(len(planes), 1)
    table = torch.cat((planes, outputs.scalars, zero), 1)
    logits = table.gather(1, batch.first) + table.gather(1, batch.second)
    return logits.masked_fill(~batch.legal, torch.finfo(logits.dtype).min)


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums over a batch: cross-entropies, the entropy of the policy targets, and the weights."""

    policy: Tensor
    value: Tensor
    rank: Tensor
    entropy: Tensor
    policy_weight: Tensor
    value_weight: Tensor


def loss_of(net: Net, batch: Batch) -> Loss:
    """Evaluate the net on a batch; sums are over samples, each times its weight."""
    outputs = net(batch.planes, batch.numbers)
    logs = torch.log_softmax(legal_logits(outputs, batch), 1)
    # a target of 0 meets the log of an illegal move: 0 times a finite number
    policy = -(batch.target * logs).sum(1)
    entropy = -torch.xlogy(batch.target, batch.target).sum(1)
    value = -(batch.win * torch.log_softmax(outputs.win, 1)).sum(1)
    rank = torch.zeros_like(value)
    if outputs.rank is not None:
        rank = -(batch.rank * torch.log_softmax(outputs.rank, 2)).sum((1, 2)) / batch.rank.shape[1]
    return Loss(
        policy=(policy * batch.policy_weight).sum(),
        value=(value * batch.value_weight).sum(),
        rank=(rank * batch.value_weight).sum(),
        entropy=(entropy * batch.policy_weight).sum(),
        policy_weight=batch.policy_weight.sum(),
        value_weight=batch.value_weight.sum(),
    )


def total(loss: Loss, *, policy_weight: float = 1.0, value_weight: float = 1.0) -> Tensor:
    """Return the mean loss that is minimised."""
    policy = loss.policy / loss.policy_weight.clamp(min=1e-6)
    value = (loss.value + RANK_WEIGHT * loss.rank) / loss.value_weight.clamp(min=1e-6)
    return policy_weight * policy + value_weight * value
