"""What the convolutional net loses on a batch (training.md 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows)

from ringrift.nets.encoders import STEPS

if TYPE_CHECKING:
    from torch import Tensor

    from ringrift.nets.network import Outputs
    from ringrift.training.samples.cnn import CnnBatch

AUXILIARY = {"rank": 0.5, "owner": 0.15, "margins": 0.05}
"""Weights of the parts of the loss beside policy and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLosses:
    """Losses of each sample, `[B]`: cross-entropies, entropies of their targets, a Huber loss.

    `logs`: `[B, M]`, log probabilities of the legal moves; `rank` is None for two players.
    """

    policy: Tensor
    policy_entropy: Tensor
    value: Tensor
    value_entropy: Tensor
    rank: Tensor | None
    owner: Tensor
    margins: Tensor
    logs: Tensor


def scene_of(planes: Tensor) -> Tensor:
    """Return planes as the encoder writes them, to the bit: `float32[B, C, H, W]`."""
    # by a tensor: CUDA multiplies with the reciprocal of a number
    return planes.float() / torch.full((1,), STEPS, dtype=torch.float32, device=planes.device)


def legal_moves(batch: CnnBatch) -> Tensor:
    """Tell which places of a row are legal moves: `bool[B, M]`."""
    places = torch.arange(batch.first.shape[1], device=batch.legal_count.device)
    return places < batch.legal_count[:, None]


def legal_logits(outputs: Outputs, batch: CnnBatch) -> Tensor:
    """Return the logits of the legal moves, `float32[B, M]`, the least number where there is none."""
    table = outputs.planes.permute(0, 2, 3, 1).flatten(1)
    size, most = table.shape[1], batch.first.shape[1]
    index = torch.cat((batch.first, batch.second), 1).long()
    on_board = table.gather(1, index.clamp(0, size - 1)).float()
    scalars = outputs.scalars.gather(1, (index - size).clamp(min=0)).float()
    found = torch.where(index < size, on_board, scalars)
    logits = found[:, :most]
    if batch.second.shape[1]:
        logits = logits + torch.where(batch.second >= 0, found[:, most:], 0.0)
    return logits.masked_fill(~legal_moves(batch), torch.finfo(torch.float32).min)


def smoothed(batch: CnnBatch, share: float) -> Tensor:
    """Return the policy targets, `[B, M]`, with `share` of them spread over the legal moves."""
    if share == 0.0:
        return batch.target
    even = legal_moves(batch) / batch.legal_count[:, None]
    return (1.0 - share) * batch.target + share * even


def losses_of(outputs: Outputs, batch: CnnBatch, *, smoothing: float = 0.0) -> SampleLosses:
    """Compare all outputs, the auxiliary ones too, with the targets of a batch on their device."""
    logs = torch.log_softmax(legal_logits(outputs, batch), 1)
    target = smoothed(batch, smoothing)
    rank = None
    if outputs.rank is not None:
        each = -(batch.rank * torch.log_softmax(outputs.rank.float(), 2)).sum(2)
        rank = each.mean(1)
    return SampleLosses(
        # a target of 0 meets the log of an illegal move: 0 times a finite number
        policy=-(target * logs).sum(1),
        policy_entropy=-torch.xlogy(target, target).sum(1),
        value=-(batch.win * torch.log_softmax(outputs.win.float(), 1)).sum(1),
        value_entropy=-torch.xlogy(batch.win, batch.win).sum(1),
        rank=rank,
        owner=_owner_loss(outputs.owner, batch),
        margins=_margins_loss(outputs.margins, batch),
        logs=logs,
    )


def _owner_loss(owner: Tensor | None, batch: CnnBatch) -> Tensor:
    if owner is None:
        raise ValueError("the net was not asked for owners")
    logs = torch.log_softmax(owner.float(), 1)
    each = -logs.gather(1, batch.owner.clamp(min=0).long()[:, None])[:, 0]
    on_board = batch.owner >= 0
    return (each * on_board).sum((1, 2)) / on_board.sum((1, 2))


def _margins_loss(margins: Tensor | None, batch: CnnBatch) -> Tensor:
    if margins is None:
        raise ValueError("the net was not asked for margins")
    return F.huber_loss(margins.float(), batch.margins, reduction="none").mean((1, 2))
