"""What a kind of net brings to the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a loss over a batch, as 0-dimensional tensors on the net's device.

    `total` is the sum of the samples' losses, each times its weight; `weight` the sum of weights.
    """

    total: Tensor
    weight: Tensor

    @classmethod
    def of(cls, losses: Tensor, weights: Tensor) -> Term:
        """Sum the losses of samples, `[B]`, each times its weight, `[B]`."""
        return cls((losses * weights).sum(), weights.sum())

    def mean(self) -> Tensor:
        """Return the mean loss by weight, 0 where nothing has any."""
        return self.total / self.weight.clamp(min=1e-6)


@dataclass(frozen=True, slots=True)
class BatchLoss:
    """`objective` is minimised; `terms` are reported, by name.

    Names: `policy`, `policy_entropy` (of the targets), `value`, `value_entropy`, and those of the
    kind: `rank`, `owner`, `margins`.
    """

    objective: Tensor
    terms: Mapping[str, Term]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a training stands: `step` of `steps`, both counted in optimiser steps, and the epoch."""

    step: int
    steps: int
    epoch: int

    @property
    def done(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self.step / max(1, self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a card says of where a model comes from (models.md 1)."""

    training: Mapping[str, Any]
    parents: Sequence[Mapping[str, str]] = ()
    label: str | None = None


B = TypeVar("B")


class Task(Protocol, Generic[B]):
    """A net with its samples and its loss. A batch is a `NamedTuple` of tensors.

    The order of samples and everything random in a batch follow from seed and epoch alone, so that
    `batches(epoch, first=k)` yields what `batches(epoch)` yields from its batch k on.
    """

    kind: str

    @property
    def net(self) -> nn.Module:
        """The net that learns."""
        ...

    @property
    def batches_per_epoch(self) -> int:
        """Number of whole batches of an epoch, at least 1."""
        ...

    @property
    def batch_samples(self) -> int:
        """Number of samples of a batch."""
        ...

    def batches(self, epoch: int, *, first: int = 0) -> Iterator[B]:
        """Yield the batches of an epoch on the CPU, each in memory of its own.

        Called in a thread of its own, which is an epoch ahead while `validate` runs.
        """
        ...

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters that learn, those without weight decay apart.

        A group may name a `bound`: its weights are kept within -bound ... bound.
        """
        ...

    def begin_step(self, moment: Moment) -> None:
        """Set what changes in the course of a training: temperature, simulated rounding."""
        ...

    def loss(self, batch: B) -> BatchLoss:
        """Evaluate the net on a batch that lies on its device."""
        ...

    def validate(self) -> dict[str, float | None]:
        """Measure the net as it stands on the validation samples; empty without any.

        `loss` is the objective at unit weights, by which epochs are compared; with it
        `policy_loss`, `value_loss`, `policy_top1`, `policy_top3`, `policy_top5`, `sign_accuracy`,
        None where there is nothing to measure it on.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """Return what the report says of samples and targets: counts, coverage, chosen losses."""
        ...

    def save(self, folder: Path, lineage: Lineage) -> Path:
        """Write the net as it stands as a model under `folder`; return its path."""
        ...
