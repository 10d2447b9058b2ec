"""How much of a bare loop's speed the training loop keeps, both measured in turns (training.md 5)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from ringrift.core.intervals import Interval
from ringrift.training.engine.prefetch import Prefetch, to_device
from ringrift.training.engine.session import Session, prepared
from ringrift.training.engine.tally import Tally
from ringrift.training.engine.trainer import METRICS_EVERY
from ringrift.training.engine.update import make_optimizer

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Task

PRELOADED = 8
"""Batches that the bare loop takes in turn."""
WARM_UP = 5
"""Steps that are not counted, and the least of a turn."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Samples a second of each round: of the training loop, of the bare loop, of batches alone.

    `trainer[i]` and `bare[i]` were measured one right after the other.
    """

    batch_samples: int
    steps: int
    trainer: tuple[float, ...]
    bare: tuple[float, ...]
    feed: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Speed of the training loop as a share of the bare one's, by round."""
        return tuple(a / b for a, b in zip(self.trainer, self.bare, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of that median by order statistics; None for fewer than 6 rounds."""
        return median_interval(self.ratios)

    @property
    def feed_ratio(self) -> float:
        """How many times faster batches are made than the bare loop takes them."""
        return median(self.feed) / median(self.bare)


def measure(
    make: Callable[[], Task[Any]],
    settings: TrainSettings,
    *,
    seconds: float,
    rounds: int,
    on_round: Callable[[], None] = lambda: None,
) -> Throughput:
    """Run the training loop and a bare one in turns, each with a task of its own.

    Both take the same number of steps, as many as the bare loop takes in about `seconds`.

    The training loop is what `train` runs between two epochs. The bare loop evaluates the same net,
    loss, optimiser and type of numbers on batches that lie on the device already, and does nothing
    else. A few steps of each are not counted. What comes first changes from round to round.
    """
    found: dict[str, list[float]] = {"trainer": [], "bare": [], "feed": []}
    with prepared(settings):
        trainer, bare = _Trainer(make(), settings), _Bare(make(), settings)
        ways = [("trainer", trainer.run), ("bare", bare.run)]
        for _, run in ways:
            run(WARM_UP)
        steps = round(_rate(bare.run, WARM_UP, trainer) * seconds / trainer.task.batch_samples)
        steps = max(WARM_UP, steps)
        for number in range(rounds):
            for name, run in ways if number % 2 else reversed(ways):
                found[name].append(_rate(run, steps, trainer))
            found["feed"].append(_rate(trainer.feed, steps, trainer))
            on_round()
    return Throughput(
        batch_samples=trainer.task.batch_samples,
        steps=steps,
        **{name: tuple(rates) for name, rates in found.items()},
    )


def _rate(run: Callable[[int], None], steps: int, trainer: _Trainer) -> float:
    """Return the samples a second of a run."""
    _wait(trainer.session.device)
    began = time.perf_counter()
    run(steps)
    _wait(trainer.session.device)
    return steps * trainer.task.batch_samples / (time.perf_counter() - began)


class _Trainer:
    """The training loop, without epochs' ends."""

    def __init__(self, task: Task[Any], settings: TrainSettings) -> None:
        self.task = task
        self.session = Session(task, settings)
        self._tally = Tally()

    def run(self, steps: int) -> None:
        """Take steps with batches made on the way."""
        session = self.session
        with self._prefetch() as batches:
            for _ in range(steps):
                session.take_step(batches)
                if session.step % METRICS_EVERY == 0:
                    session.readings.drain(self._tally, skips=session.scaler is not None)
        session.readings.drain(self._tally, skips=session.scaler is not None)

    def feed(self, steps: int) -> None:
        """Make batches, bring them to the device and drop them."""
        with self._prefetch() as batches:
            for _ in islice(batches, steps):
                pass

    def _prefetch(self) -> Prefetch[Any]:
        session = self.session
        return Prefetch(
            self.task,
            epoch=session.epoch,
            epochs=session.epochs,
            first=session.next_batch,
            device=session.device,
        )


class _Bare:
    """What any training in PyTorch does at least."""

    def __init__(self, task: Task[Any], settings: TrainSettings) -> None:
        self.task = task
        self.device = torch.device(settings.device)
        self.mixed = settings.mixed_precision
        self.dtype = getattr(torch, settings.amp_dtype)
        task.net.to(self.device).train()
        self.optimizer = make_optimizer(task.parameter_groups(), self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate
        self.batches: Iterator[Any] = cycle(
            [to_device(batch, self.device) for batch in islice(task.batches(0), PRELOADED)]
        )

    def run(self, steps: int) -> None:
        """Take steps with the preloaded batches."""
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.mixed):
                objective = self.task.loss(next(self.batches)).objective
            objective.backward()
            self.optimizer.step()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_interval(values: tuple[float, ...]) -> Interval | None:
    """Return the narrowest interval between order statistics that holds the median with 95 %."""
    ordered, n = sorted(values), len(values)
    inside, found = 1.0, None
    for k in range(n // 2):
        inside -= 2 * math.comb(n, k) / 2**n
        if inside < CONFIDENCE:
            break
        found = Interval(ordered[k], ordered[n - 1 - k])
    return found
