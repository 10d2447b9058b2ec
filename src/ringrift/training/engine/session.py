"""One training in memory: net, average, optimiser, schedule, random states, and its steps."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from ringrift.core.errors import DataError
from ringrift.training.engine.averaging import Average
from ringrift.training.engine.schedule import Schedule
from ringrift.training.engine.tally import Readings
from ringrift.training.engine.task import Moment
from ringrift.training.engine.update import Update

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Task

B = TypeVar("B")

SWITCH_S = 1e-4
"""How long the thread that makes batches may keep the interpreter from the steps: with Python's own
5 ms a step of a NNUE took a fifth longer."""

_NET, _AVERAGE, _OPTIMIZER, _RANDOM = "net.", "average.", "optimizer.", "random."


class Session(Generic[B]):
    """The state of a training; use it within `prepared`.

    `step` counts optimiser steps that were taken; step k of an epoch takes the batches from
    `k * gradient_accumulation_steps` on, the last one those that are left.
    """

    def __init__(self, task: Task[B], settings: TrainSettings) -> None:
        self.task = task
        self.settings = settings
        self.device = torch.device(settings.device)
        self.steps_per_epoch = -(-task.batches_per_epoch // settings.gradient_accumulation_steps)
        self.steps = settings.epochs * self.steps_per_epoch
        if settings.steps is not None:
            self.steps = min(self.steps, settings.steps)
        self.epochs = -(-self.steps // self.steps_per_epoch)
        self.schedule = Schedule(settings, self.steps, self.steps_per_epoch)
        self.readings = Readings()
        self.step = 0
        task.net.to(self.device).train()
        self.average = Average(task.net, limit=settings.ema_decay, use=settings.use_ema)
        self.update = Update(
            task.parameter_groups(), self.average, limit=settings.grad_clip, device=self.device
        )
        self._dtype = getattr(torch, settings.amp_dtype)
        scaled = settings.mixed_precision and settings.amp_dtype == "float16"
        self.scaler = torch.amp.GradScaler("cuda") if scaled else None

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, counted from 0."""
        return self.step // self.steps_per_epoch

    @property
    def next_batch(self) -> int:
        """The batch of the epoch that the next step begins with."""
        return self.step % self.steps_per_epoch * self.settings.gradient_accumulation_steps

    def moment(self) -> Moment:
        """Return where the training stands."""
        return Moment(step=self.step, steps=self.steps, epoch=self.epoch)

    def take_step(self, batches: Iterator[B]) -> None:
        """Take one optimiser step with the next batches."""
        count = min(
            self.settings.gradient_accumulation_steps,
            self.task.batches_per_epoch - self.next_batch,
        )
        self.task.begin_step(self.moment())
        for parameter in self.update.parameters:
            parameter.grad = None
        for _ in range(count):
            self._backward(next(batches), count)
        norm = self.update.take(self.schedule.rate(self.step), self.step, self.scaler)
        self.readings.step(self.step + 1, norm)
        self.step += 1

    def _backward(self, batch: B, count: int) -> None:
        with torch.autocast(
            self.device.type, dtype=self._dtype, enabled=self.settings.mixed_precision
        ):
            found = self.task.loss(batch)
        objective = found.objective if count == 1 else found.objective / count
        if self.scaler is not None:
            objective = self.scaler.scale(objective)
        objective.backward()
        self.readings.batch(found)

    def validate(self) -> dict[str, float | None]:
        """Measure the averaged weights on the validation samples."""
        with self.averaged():
            return self.task.validate()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the net be what is measured, with the averaged weights, while the block runs."""
        net = self.task.net.eval()
        with self.average.in_place(), torch.no_grad():
            yield
        net.train()

    def best_tensors(self) -> dict[str, Tensor]:
        """Return the weights that `validate` measures, on the CPU, by their name in the net."""
        state = {**self.task.net.state_dict(), **self.average.tensors}
        return {name: _stored(tensor) for name, tensor in state.items()}

    @torch.no_grad()
    def adopt(self, tensors: Mapping[str, Tensor]) -> None:
        """Put stored weights into the net."""
        for name, tensor in self.task.net.state_dict().items():
            tensor.copy_(tensors[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return everything a checkpoint holds as tensors, on the CPU."""
        found = {_NET + name: _stored(t) for name, t in self.task.net.state_dict().items()}
        found |= {_AVERAGE + name: _stored(t) for name, t in self.average.tensors.items()}
        for index, parameter in enumerate(self.update.parameters):
            for name, value in self.update.optimizer.state.get(parameter, {}).items():
                found[f"{_OPTIMIZER}{index}.{name}"] = _stored(torch.as_tensor(value))
        found[_RANDOM + "cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            found[_RANDOM + "cuda"] = torch.cuda.get_rng_state(self.device)
        return found

    def state(self) -> dict[str, Any]:
        """Return the rest of a checkpoint as JSON."""
        return {
            "step": self.step,
            "schedule": {"factor": self.schedule.factor, "waited": self.schedule.waited},
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; raises `DataError` where it is of another net."""
        live = {_NET + name: t for name, t in self.task.net.state_dict().items()}
        live |= {_AVERAGE + name: t for name, t in self.average.tensors.items()}
        with torch.no_grad():
            for name, tensor in live.items():
                if name not in tensors or tensors[name].shape != tensor.shape:
                    raise DataError(f"a checkpoint of another net: tensor {name}")
                tensor.copy_(tensors[name])
        self._restore_optimizer(tensors)
        torch.set_rng_state(tensors[_RANDOM + "cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors[_RANDOM + "cuda"], self.device)
        self.step = int(state["step"])
        self.schedule.factor = float(state["schedule"]["factor"])
        self.schedule.waited = int(state["schedule"]["waited"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])

    def _restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the optimiser's state, each tensor laid out in memory as its parameter is."""
        optimizer, parameters = self.update.optimizer, self.update.parameters
        for name, value in tensors.items():
            if not name.startswith(_OPTIMIZER):
                continue
            index, _, key = name.removeprefix(_OPTIMIZER).partition(".")
            parameter = parameters[int(index)]
            state = optimizer.state[parameter]
            if value.shape == parameter.shape and key != "step":
                state[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
            else:
                fused = optimizer.param_groups[0].get("fused")
                state[key] = value.to(parameter.device) if fused else value.clone()
        self.update.restored()


def _stored(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


@contextmanager
def prepared(settings: TrainSettings) -> Iterator[None]:
    """Set threads, determinism, random states for a training; the former ones come back.

    Deterministic sums of a GPU need a fixed workspace, which CUDA reads when it starts.
    """
    device = torch.device(settings.device)
    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    switch_s = sys.getswitchinterval()
    if settings.deterministic and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        try:
            torch.set_num_threads(settings.threads)
            # `use_deterministic_algorithms` says the same and imports the compiler: seconds
            torch.set_deterministic_debug_mode("error" if settings.deterministic else "default")
            memory.fill_uninitialized_memory = False
            torch.manual_seed(settings.seed)
            sys.setswitchinterval(SWITCH_S)
            yield
        finally:
            sys.setswitchinterval(switch_s)
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(mode)
            memory.fill_uninitialized_memory = filled
