"""The convolutional net with its samples and its loss, as the training loop takes it (training.md 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ringrift.core.errors import NegativeResult
from ringrift.nets.model_file import KIND, save_model
from ringrift.nets.network import MaskedNorm
from ringrift.training.convnet.loss import AUXILIARY, SampleLosses, losses_of, scene_of
from ringrift.training.convnet.measures import measure
from ringrift.training.engine.task import BatchLoss, Term
from ringrift.training.samples.cnn import CnnBatch, CnnFeed, sample_bytes
from ringrift.training.samples.feed import Fed, is_large
from ringrift.training.samples.samplers import weighted

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ringrift.nets.network import Net
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Lineage, Moment
    from ringrift.training.samples.table import SampleTable


class ConvTask(Fed[CnnBatch]):
    """The task of the kind `cnn`; see `training.engine.task.Task`."""

    kind = KIND
    net: Net

    def __init__(
        self, net: Net, settings: TrainSettings, train_feed: CnnFeed, val_feed: CnnFeed
    ) -> None:
        # the order in which convolutions of a CPU, and of tensor cores, read
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings
        self.train_feed = train_feed
        self.val_feed = val_feed

    @classmethod
    def of(
        cls, train: SampleTable, val: SampleTable, settings: TrainSettings, *, net: Net
    ) -> ConvTask:
        """Prepare the samples of both sides for `net`.

        Raises `NegativeResult` where no training sample counts, `RefusedError` naming a sample that
        does not fit today's rules.
        """
        if not ((train.policy_weight > 0) | (train.value_weight > 0)).any():
            raise NegativeResult(
                f"zero samples: none of {len(train)} has weight for policy or value",
                where=f"dataset {train.dataset[:12]}",
            )
        train = weighted(train, settings.sampling_weights)
        encoder = net.architecture.encoder
        streamed = settings.streaming
        if streamed is None:
            streamed = is_large(sample_bytes(train, encoder) + sample_bytes(val, encoder))
        train_feed, val_feed = (
            CnnFeed(
                table,
                encoder,
                mirrored=mirrored,
                workers=settings.num_workers,
                streamed=streamed,
            )
            for table, mirrored in ((train, settings.symmetries == "auto"), (val, False))
        )
        return cls(net, settings, train_feed, val_feed)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the weights, and without decay the biases and norms."""
        norms = {
            id(p) for m in self.net.modules() if isinstance(m, MaskedNorm) for p in m.parameters()
        }
        decayed, kept = list[Any](), list[Any]()
        for parameter in self.net.parameters():
            spared = parameter.dim() <= 1 or id(parameter) in norms
            (kept if spared else decayed).append(parameter)
        return [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]

    def begin_step(self, moment: Moment) -> None:
        """Change nothing: neither loss nor net depends on the time."""

    def loss(self, batch: CnnBatch) -> BatchLoss:
        """Evaluate the net on a batch that lies on its device."""
        outputs = self.net(scene_of(batch.planes), batch.numbers, auxiliary=True)
        found = losses_of(outputs, batch, smoothing=self.settings.label_smoothing)
        terms = terms_of(found, batch)
        weights = {
            "policy": self.settings.policy_weight,
            "value": self.settings.value_weight,
            **AUXILIARY,
        }
        parts = [w * terms[name].mean() for name, w in weights.items() if name in terms]
        return BatchLoss(
            objective=torch.stack(parts).sum(),
            terms={n: Term(t.total.detach(), t.weight) for n, t in terms.items()},
        )

    def validate(self) -> dict[str, float | None]:
        """Measure the net on the validation samples; empty without any."""
        return measure(self.net, self.val_feed)

    def facts(self) -> dict[str, Any]:
        """Return counts of samples, how they are kept, and the size of the net."""
        table = self.train_feed.table
        return {
            "samples": len(table),
            "validation_samples": len(self.val_feed),
            "policy_samples": int((table.policy_weight > 0).sum()),
            "searched_samples": int(((table.policy_weight > 0) & table.searched).sum()),
            "value_samples": int((table.value_weight > 0).sum()),
            "streamed": self.train_feed.prepared is None,
            "encoder": self.net.architecture.encoder,
            "parameters": sum(p.numel() for p in self.net.parameters()),
        }

    def save(self, folder: Path, lineage: Lineage) -> Path:
        """Write the net as a model below `folder`; return the path."""
        return save_model(
            self.net,
            self.train_feed.spec,
            folder,
            training=lineage.training,
            parents=lineage.parents,
            label=lineage.label,
        )


def terms_of(found: SampleLosses, batch: CnnBatch) -> dict[str, Term]:
    """Return the weighted sums of the losses of a batch by name."""
    policy, value = batch.policy_weight, batch.value_weight
    weighted: dict[str, tuple[Tensor | None, Tensor]] = {
        "policy": (found.policy, policy),
        "policy_entropy": (found.policy_entropy, policy),
        "value": (found.value, value),
        "value_entropy": (found.value_entropy, value),
        "rank": (found.rank, value),
        "owner": (found.owner, value),
        "margins": (found.margins, value),
    }
    return {
        name: Term.of(losses, weights)
        for name, (losses, weights) in weighted.items()
        if losses is not None
    }
