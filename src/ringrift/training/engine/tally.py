"""Sums of what the steps report, kept on the device until somebody looks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ringrift.core.errors import NegativeResult
from ringrift.training.engine.task import BatchLoss


class TrainingDiverged(NegativeResult):
    """A training that must not go on; `step` says where it was found."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"{what} at step {step}", hint="a lower --learning-rate")
        self.step = step


@dataclass(slots=True)
class Tally:
    """Sums over some steps: of each loss part its total and weight, of the objective the values.

    Added up one step after the other, so that a sum does not depend on where it was interrupted.
    """

    steps: int = 0
    batches: int = 0
    objective: float = 0.0
    parts: dict[str, list[float]] = field(default_factory=dict)
    grad_norm: float | None = None
    seconds: float = 0.0

    def add(self, names: Iterable[str], values: Iterable[float], objective: float) -> None:
        """Add a batch: `values` are total and weight of each name in turn."""
        self.batches += 1
        self.objective += objective
        numbers = iter(values)
        for name in names:
            sums = self.parts.setdefault(name, [0.0, 0.0])
            sums[0] += next(numbers)
            sums[1] += next(numbers)

    def losses(self) -> dict[str, float | None]:
        """Return the mean loss of each part, None where nothing had weight, and `objective`."""
        found: dict[str, float | None] = {
            name: total / weight if weight else None for name, (total, weight) in self.parts.items()
        }
        found["objective"] = self.objective / self.batches if self.batches else None
        return found


class Readings:
    """What steps leave on the device; `drain` brings it over and checks that it is finite."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._batches: list[Tensor] = []
        self._steps: list[tuple[int, int, Tensor]] = []

    def batch(self, found: BatchLoss) -> None:
        """Keep the loss of a batch."""
        self._names = tuple(found.terms)
        row = [found.objective]
        for term in found.terms.values():
            row += (term.total, term.weight)
        with torch.no_grad():
            self._batches.append(torch.stack(row))

    def step(self, step: int, grad_norm: Tensor) -> None:
        """Keep the gradient norm of the step that the batches since the last one belong to."""
        self._steps.append((step, len(self._batches), grad_norm.detach()))

    def drain(self, *tallies: Tally, skips: bool = False) -> None:
        """Add everything kept to `tallies`.

        Raises `TrainingDiverged` with the first step whose loss or gradient is not finite. With
        `skips` single steps may have such a gradient, since the loss scaler leaves them out.
        """
        if not self._steps:
            return
        rows = torch.stack(self._batches).tolist()
        norms = torch.stack([norm for _, _, norm in self._steps]).tolist()
        lost = skips and not any(map(math.isfinite, norms))
        begin = 0
        for (step, end, _), norm in zip(self._steps, norms, strict=True):
            for row in rows[begin:end]:
                if not all(map(math.isfinite, row)):
                    raise TrainingDiverged(step, "the loss is not finite")
                for tally in tallies:
                    tally.add(self._names, row[1:], row[0])
            if not math.isfinite(norm) and (lost or not skips):
                raise TrainingDiverged(step, "the gradient is not finite")
            for tally in tallies:
                tally.steps += 1
                tally.grad_norm = norm
            begin = end
        self._batches.clear()
        self._steps.clear()
