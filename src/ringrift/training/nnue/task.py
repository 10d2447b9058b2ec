"""A NNUE with its samples and its loss, as the training loop takes it (training.md 4, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.nets.nnue.file import save_nnue
from ringrift.nets.nnue.network import LARGEST_WEIGHT
from ringrift.training.engine.schedule import temperature
from ringrift.training.engine.task import BatchLoss, Term
from ringrift.training.nnue.measures import measure
from ringrift.training.nnue.selection import select_samples
from ringrift.training.samples.coverage import PolicyChoice, choose_policy_loss
from ringrift.training.samples.feed import Fed, is_large
from ringrift.training.samples.nnue import NnueBatch, NnueFeed, sample_bytes
from ringrift.training.samples.samplers import weighted

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Lineage, Moment
    from ringrift.training.nnue.network import NnueNet
    from ringrift.training.samples.table import SampleTable

ROUNDED_FROM = 0.8
"""Share of a training after which the rounding of the integers is simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLosses:
    """Of each sample, `[B]`: cross-entropy, the target's entropy, and what is minimised.

    `logs`: `[B, M]`, log probabilities of the moves.
    """

    cross_entropy: Tensor
    entropy: Tensor
    learned: Tensor
    logs: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLosses:
    """Losses of each sample of a batch, `[B]`, and the logits of the seats, `[B, n]`."""

    value: Tensor
    value_entropy: Tensor
    seats: Tensor
    policy: PolicyLosses | None


class NnueTask(Fed[NnueBatch]):
    """The task of the kinds `nnue` and `nnue-policy`; see `training.engine.task.Task`.

    Rows of the policy are held as they play, divided by the end temperature: at temperature T the
    training multiplies logits by `temperature_end / T`, and a model needs no temperature.
    """

    def __init__(
        self,
        net: NnueNet,
        settings: TrainSettings,
        feeds: tuple[NnueFeed, NnueFeed],
        choice: PolicyChoice | None,
    ) -> None:
        self.net = net
        self.kind = net.shape.kind
        self.settings = settings
        self.choice = choice
        self.train_feed, self.val_feed = feeds
        self.sharpness = 1.0
        self._random = torch.Generator()

    @classmethod
    def of(
        cls, train: SampleTable, val: SampleTable, settings: TrainSettings, *, net: NnueNet
    ) -> NnueTask:
        """Prepare the samples of both sides for `net`.

        Raises `NegativeResult` where no training sample counts, `RefusedError` naming a sample that
        today's rules do not know.
        """
        policy = net.shape.policy
        if settings.freeze_value and not policy:
            raise UsageError(
                "with a frozen value a net without a policy learns nothing", where="--freeze-value"
            )
        train, val = (select_samples(t, settings, policy=policy) for t in (train, val))
        choice = None
        if policy:
            choice = choose_policy_loss(train, settings)
            train, val = choice.apply(train), choice.apply(val)
        counted = train.policy_weight if policy else train.value_weight
        if not (counted > 0).any():
            raise NegativeResult(
                f"zero samples: none of {len(train)} has weight for the "
                f"{'policy' if policy else 'value'}",
                where=f"dataset {train.dataset[:12]}",
            )
        train = weighted(train, settings.sampling_weights)
        streamed = settings.streaming
        if streamed is None:
            needed = sum(sample_bytes(table, policy=policy) for table in (train, val))
            streamed = is_large(needed)
        mirrored = settings.symmetries == "auto"
        feeds = (
            NnueFeed(train, policy=policy, mirrored=mirrored, streamed=streamed),
            NnueFeed(val, policy=policy, mirrored=False, streamed=streamed),
        )
        if settings.freeze_value:
            for name, parameter in net.named_parameters():
                parameter.requires_grad_(name.startswith("policy."))
        return cls(net, settings, feeds, choice)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the weights within the range of their integers, and the biases without decay.

        With a frozen value they are the policy's.
        """
        learning = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        decay = self.settings.weight_decay
        weights = [p for n, p in learning if not n.endswith("bias")]
        biases = [p for n, p in learning if n.endswith("bias")]
        return [
            {"params": weights, "weight_decay": decay, "bound": LARGEST_WEIGHT},
            {"params": biases, "weight_decay": 0.0},
        ]

    def begin_step(self, moment: Moment) -> None:
        """Set temperature, rounding, and the random numbers of the dropout."""
        self.sharpness = self.settings.temperature_end / temperature(self.settings, moment.done)
        self.net.rounding = moment.done >= ROUNDED_FROM
        if self.settings.dropout:
            self._random.manual_seed((self.settings.seed << 32) + moment.step)

    def loss(self, batch: NnueBatch) -> BatchLoss:
        """Evaluate the net on a batch; a small net of whole numbers keeps full precision."""
        with torch.autocast(batch.win.device.type, enabled=False):
            found = self.losses(batch, learning=True)
        return self._combined(found, batch)

    def losses(self, batch: NnueBatch, *, learning: bool) -> BatchLosses:
        """Return the losses of each sample; with `learning` at today's temperature, with dropout."""
        x = self.net.accumulate(batch.inputs, batch.input_ptr)
        seats = self.net.seat_logits(x)
        return BatchLosses(
            value=-(batch.win * torch.log_softmax(seats, 1)).sum(1),
            value_entropy=-torch.xlogy(batch.win, batch.win).sum(1),
            seats=seats,
            policy=self._policy(x[:, 0], batch, learning=learning)
            if self.net.shape.policy
            else None,
        )

    def validate(self) -> dict[str, float | None]:
        """Measure the integers that would play, at the end temperature."""
        return measure(self)

    def facts(self) -> dict[str, Any]:
        """Return counts of samples, how they are kept, and the policy loss that was chosen."""
        table = self.train_feed.table
        policy = None if self.choice is None else self.choice.facts()
        return {
            "samples": len(table),
            "validation_samples": len(self.val_feed),
            "policy_samples": int((table.policy_weight > 0).sum()),
            "value_samples": int((table.value_weight > 0).sum()),
            "streamed": self.train_feed.prepared is None,
            "parameters": sum(p.numel() for p in self.net.parameters()),
            "policy": policy,
        }

    def save(self, folder: Path, lineage: Lineage) -> Path:
        """Write the net with its integers below `folder`; return the path."""
        return save_nnue(
            self.net.weights(),
            self.net.shape,
            self.train_feed.table.spec,
            folder,
            training=lineage.training,
            parents=tuple(lineage.parents),
            label=lineage.label,
        )

    def _policy(self, x: Tensor, batch: NnueBatch, *, learning: bool) -> PolicyLosses:
        if learning:
            x = self._dropped(x)
        logits = self.net.move_logits(x, batch.entries, batch.entry_ptr)
        if learning:
            logits = logits * self.sharpness
        logs = move_logs(logits, batch.legal)
        # a target of 0 meets the log of an illegal move: 0 times a finite number
        cross_entropy = -(batch.target * logs).sum(1)
        entropy = -torch.xlogy(batch.target, batch.target).sum(1)
        learned = cross_entropy
        if self.choice is not None and self.choice.loss == "kl":
            learned = cross_entropy - entropy
        elif learning and self.settings.label_smoothing:
            share = self.settings.label_smoothing
            even = -logs.masked_fill(~batch.legal, 0.0).sum(1)
            even = even / batch.legal.sum(1).clamp(min=1)
            learned = (1.0 - share) * cross_entropy + share * even
        return PolicyLosses(
            cross_entropy=cross_entropy, entropy=entropy, learned=learned, logs=logs
        )

    def _combined(self, found: BatchLosses, batch: NnueBatch) -> BatchLoss:
        value = Term.of(found.value, batch.value_weight)
        terms = {"value": value, "value_entropy": Term.of(found.value_entropy, batch.value_weight)}
        objective = self.settings.value_weight * value.mean()
        if found.policy is not None:
            weight = batch.policy_weight
            terms["policy"] = Term.of(found.policy.cross_entropy, weight)
            terms["policy_entropy"] = Term.of(found.policy.entropy, weight)
            learned = Term.of(found.policy.learned, weight).mean()
            objective = objective + self.settings.policy_weight * learned
        return BatchLoss(objective=objective, terms=terms)

    def _dropped(self, x: Tensor) -> Tensor:
        """Return the inputs of the policy layer, some of them left out."""
        share = self.settings.dropout
        if not share:
            return x
        kept = torch.rand(x.shape, generator=self._random).to(x.device) >= share
        return x * kept / (1.0 - share)


def move_logs(logits: Tensor, legal: Tensor) -> Tensor:
    """Return the log probabilities of the legal moves, `[B, M]`; finite for the others."""
    return torch.log_softmax(logits.masked_fill(~legal, torch.finfo(logits.dtype).min), 1)
