"""What changes in the course of a training: learning rate and temperature (training.md 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings

FINAL_RATE = 0.01
"""The rate ends at, and a plateau never takes it below, this share of the learning rate."""
WARMUP_SHARE = 0.05
"""A warm-up takes at most this share of the steps."""
PLATEAU_PATIENCE = 3
"""Epochs without a better validation loss that lower the rate."""
PLATEAU_FACTOR = 0.5


@dataclass(slots=True)
class Schedule:
    """The learning rate of each step: a linear warm-up, then a cosine or what plateaus leave.

    `factor` and `waited` are the state of a plateau; `observe` moves them.
    """

    settings: TrainSettings
    steps: int
    steps_per_epoch: int
    factor: float = 1.0
    waited: int = 0

    @property
    def warmup_steps(self) -> int:
        """Number of steps with a rising rate."""
        wanted = self.settings.warmup_epochs * self.steps_per_epoch
        return round(min(wanted, WARMUP_SHARE * self.steps))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        full, warm = self.settings.learning_rate, self.warmup_steps
        if step < warm:
            return full * (step + 1) / warm
        if self.settings.schedule == "plateau":
            return full * max(self.factor, FINAL_RATE)
        done = (step - warm) / max(1, self.steps - warm)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        return full * (FINAL_RATE + (1.0 - FINAL_RATE) * cosine)

    def observe(self, *, better: bool) -> None:
        """Take note of an epoch's validation."""
        self.waited = 0 if better else self.waited + 1
        if self.waited >= PLATEAU_PATIENCE:
            self.factor *= PLATEAU_FACTOR
            self.waited = 0


def temperature(settings: TrainSettings, done: float) -> float:
    """Return what policy logits are divided by when the share `done` of a training is over."""
    start, end = settings.temperature_start, settings.temperature_end
    if settings.temperature_schedule == "exponential":
        return float(start * (end / start) ** done)
    rise = 0.5 * (1.0 - math.cos(math.pi * done)) if _is_cosine(settings) else done
    return start + (end - start) * rise


def _is_cosine(settings: TrainSettings) -> bool:
    return settings.temperature_schedule == "cosine"
