"""Find a learning rate: the loss while the rate rises over a few steps (Smith 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ringrift.training.engine.prefetch import to_device
from ringrift.training.engine.session import prepared
from ringrift.training.engine.task import Moment
from ringrift.training.engine.update import make_optimizer, put_back

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Task

STEPS = 100
LOW, HIGH = 1e-6, 1.0
SMOOTHING = 0.9
"""Decay of the running mean of the loss."""
DIVERGED = 4.0
"""A mean loss so many times the least ends the test."""
BACK = 10.0
"""The rate that is recommended is the one of the least loss divided by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """Learning rates, the smoothed loss at each, and the rate to begin with, None where none fell."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float | None


def range_test(
    task: Task[Any],
    settings: TrainSettings,
    *,
    steps: int = STEPS,
    on_step: Callable[[int], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
) -> RangeTest:
    """Raise the rate from 1e-6 to 1 over `steps` steps; the net of `task` is spoilt by it."""
    device = torch.device(settings.device)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    with prepared(settings):
        task.net.to(device).train()
        optimizer = make_optimizer(task.parameter_groups(), device)
        batches = (batch for epoch in count() for batch in task.batches(epoch))
        for step in range(steps):
            rate = LOW * (HIGH / LOW) ** (step / max(1, steps - 1))
            loss = _step(
                task,
                optimizer,
                to_device(next(batches), device),
                rate,
                Moment(step=step, steps=steps, epoch=0),
            )
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            smooth = mean / (1 - SMOOTHING ** (step + 1))
            if (
                stop()
                or not math.isfinite(smooth)
                or smooth > DIVERGED * min(losses, default=smooth)
            ):
                break
            rates.append(rate)
            losses.append(smooth)
            on_step(step + 1)
    return RangeTest(rates=tuple(rates), losses=tuple(losses), suggested=suggested(rates, losses))


def _step(
    task: Task[Any], optimizer: torch.optim.Optimizer, batch: Any, rate: float, moment: Moment
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    task.begin_step(moment)
    found = task.loss(batch)
    optimizer.zero_grad(set_to_none=True)
    found.objective.backward()
    optimizer.step()
    put_back(optimizer)
    return float(found.objective.detach())


def suggested(rates: list[float], losses: list[float]) -> float | None:
    """Return a tenth of the rate with the least loss; None where the loss never fell."""
    if not losses or min(losses) >= losses[0]:
        return None
    return rates[losses.index(min(losses))] / BACK


def draw_range(found: RangeTest, path: Path) -> None:
    """Draw loss over rate as PNG or SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(found.rates, found.losses)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss, smoothed")
    if found.suggested is not None:
        axes.axvline(found.suggested, linestyle="--", color="black", label=f"{found.suggested:.2g}")
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
