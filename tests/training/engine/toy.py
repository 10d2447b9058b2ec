"""A small task on invented samples, for everything the engine does with any task."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn

from ringrift.core.files import write_atomic
from ringrift.training.engine.run_folder import RunConfig, open_run
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.task import BatchLoss, Lineage, Term
from ringrift.training.engine.trainer import train

INPUTS, HIDDEN, CLASSES = 12, 24, 3
BOUND = 2.0
STEPS_PER_EPOCH = 20
"""With the sizes that tasks and settings have here unless told otherwise."""


class Batch(NamedTuple):
    inputs: torch.Tensor
    classes: torch.Tensor


class ToyTask:
    """Tell three classes apart that follow from the inputs; with dropout and a norm."""

    kind = "toy"

    def __init__(self, settings, *, samples=400, validation=100, seed=3, delay_s=0.0, spoil=None):
        self.settings = settings
        self.delay_s = delay_s
        self.spoil = spoil
        rng = np.random.default_rng(seed)
        inputs = rng.standard_normal((samples + validation, INPUTS)).astype(np.float32)
        teacher = rng.standard_normal((INPUTS, CLASSES)).astype(np.float32)
        classes = (np.square(inputs) @ teacher - teacher.sum(0)).argmax(1)
        self.inputs, self.classes = inputs[:samples], classes[:samples]
        self.held = Batch(torch.from_numpy(inputs[samples:]), torch.from_numpy(classes[samples:]))
        torch.manual_seed(settings.seed)
        self.net = nn.Sequential(
            nn.Linear(INPUTS, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(HIDDEN, CLASSES),
        )
        self.moments = []

    @property
    def batches_per_epoch(self):
        return max(1, len(self.inputs) // self.settings.batch_size)

    @property
    def batch_samples(self):
        return min(len(self.inputs), self.settings.batch_size)

    def batches(self, epoch, *, first=0):
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.inputs))
        size = self.batch_samples
        for k in range(first, self.batches_per_epoch):
            time.sleep(self.delay_s)
            rows = order[k * size : (k + 1) * size]
            inputs = self.inputs[rows]
            if self.spoil == (epoch, k):
                inputs[0, 0] = np.nan
            yield Batch(torch.from_numpy(inputs), torch.from_numpy(self.classes[rows]))

    def parameter_groups(self):
        decayed = [p for p in self.net.parameters() if p.dim() > 1]
        kept = [p for p in self.net.parameters() if p.dim() <= 1]
        return [
            {"params": decayed, "weight_decay": self.settings.weight_decay, "bound": BOUND},
            {"params": kept, "weight_decay": 0.0, "bound": BOUND},
        ]

    def begin_step(self, moment):
        self.moments.append(moment)

    def loss(self, batch):
        losses = nn.functional.cross_entropy(self.net(batch.inputs), batch.classes, reduction="sum")
        count = torch.tensor(float(len(batch.classes)))
        return BatchLoss(losses / count, {"policy": Term(losses, count)})

    def validate(self):
        if not len(self.held.classes):
            return {}
        logits = self.net(self.held.inputs)
        loss = float(nn.functional.cross_entropy(logits, self.held.classes))
        top = float((logits.argmax(1) == self.held.classes).float().mean())
        return {"loss": loss, "policy_loss": loss, "policy_top1": top, "sign_accuracy": None}

    def facts(self):
        return {"samples": len(self.inputs), "validation_samples": len(self.held.classes)}

    def save(self, folder, lineage):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "toy.safetensors"
        write_atomic(path, save({k: v.contiguous() for k, v in self.net.state_dict().items()}))
        self.lineage = lineage
        return path


def settings_of(**changed):
    return TrainSettings(**{"epochs": 6, "batch_size": 20, "learning_rate": 3e-3, **changed})


def config_of(settings, **changed):
    net = {"kind": "toy", "config": "square8_2p", "board": "square8", "players": 2}
    return RunConfig(settings=settings, net=net, **{"dataset": {"id": "d" * 64}, **changed})


def trained(folder, settings=None, *, task=None, fresh=False, **options):
    """Train in `folder/run`; return the report and the task."""
    settings = settings or settings_of()
    task = task or ToyTask(settings)
    with open_run(folder / "run", config_of(settings), fresh=fresh) as run:
        report = train(
            task, settings, run, models=folder / "models", lineage=Lineage(training={}), **options
        )
    return report, task


def weights(folder):
    return load_file(folder / "models" / "toy.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def train_slowly(folder, *, epochs=40, delay_s=0.002, checkpoint_s=0.05):
    """Train slowly enough to be killed."""
    from ringrift.training.engine import trainer

    trainer.CHECKPOINT_EVERY_S = checkpoint_s
    trainer.draw_curves = lambda *_: None
    settings = settings_of(epochs=epochs, early_stopping_patience=0)
    trained(Path(folder), settings, task=ToyTask(settings, delay_s=delay_s))
