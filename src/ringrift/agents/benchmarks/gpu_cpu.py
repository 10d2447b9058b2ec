"""Measure evaluation and random playouts of a batch on one CPU core and on a CUDA device."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import fmean, pstdev
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import evaluation
from ringrift.agents.benchmarks.positions import random_positions
from ringrift.agents.benchmarks.results import Check, Figure
from ringrift.agents.listing import scratch
from ringrift.agents.weights import default_profile
from ringrift.core.errors import DataError
from ringrift.rules import BoardSpec
from ringrift.rules import layout as lay
from ringrift.rules.cpu import MAX_PLIES, playout_range
from ringrift.rules.geometry import board_tables

LEAST_SPEEDUP = 3.0
TOLERANCE = 1e-6

Operation = Literal["evaluation", "playout"]
Device = Literal["cpu", "gpu"]
OPERATIONS: tuple[Operation, ...] = ("evaluation", "playout")

Work = Callable[[], NDArray[Any]]
"""Does one iteration over the batch and returns its results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times of the iterations of one operation on one device, in ms; `states` positions each."""

    device: Device
    states: int
    samples_ms: tuple[float, ...]

    @property
    def throughput(self) -> float:
        """Positions, or games, per second at the mean time."""
        return 1000 * self.states / fmean(self.samples_ms)

    def as_tree(self) -> dict[str, float]:
        """Return mean, least, greatest and standard deviation in ms, and the throughput."""
        return {
            "avg_ms": fmean(self.samples_ms),
            "min_ms": min(self.samples_ms),
            "max_ms": max(self.samples_ms),
            "std_ms": pstdev(self.samples_ms),
            "throughput_per_s": self.throughput,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePair:
    """One operation on one configuration: its times on the CPU, and on the GPU if there is one."""

    config: str
    operation: Operation
    cpu: Timing
    gpu: Timing | None

    @property
    def speedup(self) -> float | None:
        """Mean time on the CPU over that on the GPU."""
        if self.gpu is None:
            return None
        return fmean(self.cpu.samples_ms) / fmean(self.gpu.samples_ms)

    def as_tree(self) -> dict[str, Any]:
        """Return the pair as it is published."""
        return {
            "configuration": self.config,
            "operation": self.operation,
            "states": self.cpu.states,
            "cpu": self.cpu.as_tree(),
            "gpu": None if self.gpu is None else self.gpu.as_tree(),
            "speedup": self.speedup,
        }

    def figures(self) -> list[Figure]:
        """Return the times as figures."""
        return [
            Figure(
                case=f"{self.config} {self.operation}",
                name=f"{timing.device}_ms",
                unit="ms",
                samples=timing.samples_ms,
                better="lower",
                statistic="mean",
            )
            for timing in (self.cpu, self.gpu)
            if timing is not None
        ]

    def check(self) -> Check | None:
        """Return the demand on the speed-up, None without a GPU."""
        if self.speedup is None:
            return None
        return Check(
            case=f"{self.config} {self.operation}",
            name="speed-up of the GPU",
            unit="x",
            found=self.speedup,
            wanted=LEAST_SPEEDUP,
        )


def gpu_reason() -> str | None:
    """Say why nothing can be measured on a GPU; None where it can."""
    if find_spec("numba.cuda") is None:
        return "numba.cuda is not installed (the extra gpu)"
    from ringrift.rules import gpu

    return None if gpu.available() else "no CUDA device"


def measure_devices(
    spec: BoardSpec,
    *,
    states: int,
    iterations: int,
    seed: int,
    gpu: bool,
    on_iteration: Callable[[], None] = lambda: None,
) -> list[DevicePair]:
    """Measure evaluation of `states` positions and as many random games, `iterations` times each.

    A first iteration compiles and is not counted. Raises `DataError` where the devices disagree.
    """
    sample = random_positions(spec, states, seed=seed)
    found = []
    for operation in OPERATIONS:
        on_cpu, on_gpu = _works(operation, spec, sample, seed, gpu=gpu)
        expected = on_cpu()
        cpu = _timed("cpu", on_cpu, states, iterations, on_iteration)
        timing = None
        if on_gpu is not None:
            _compare(f"{spec.config} {operation}", expected, on_gpu())
            timing = _timed("gpu", on_gpu, states, iterations, on_iteration)
        found.append(DevicePair(config=spec.config, operation=operation, cpu=cpu, gpu=timing))
    return found


def _works(
    operation: Operation, spec: BoardSpec, sample: NDArray[Any], seed: int, *, gpu: bool
) -> tuple[Work, Work | None]:
    if operation == "evaluation":
        return _evaluations(spec, sample, gpu=gpu)
    return _playouts(spec, len(sample), seed, gpu=gpu)


def _evaluations(spec: BoardSpec, sample: NDArray[Any], *, gpu: bool) -> tuple[Work, Work | None]:
    profile = default_profile(spec.config)
    weights, gain = profile.effective(), profile.gain
    boards, work, view = lay.view(board_tables(spec)), lay.view(scratch()), lay.view(sample)

    def on_cpu() -> NDArray[Any]:
        values = np.zeros((len(sample), spec.players))
        evaluation.evaluate_all(view, len(sample), boards, work, weights, gain, values)
        return values

    if not gpu:
        return on_cpu, None
    from ringrift.agents.benchmarks.evaluation_gpu import evaluate_on_gpu

    return on_cpu, lambda: evaluate_on_gpu(spec, sample, weights, gain)


def _playouts(spec: BoardSpec, games: int, seed: int, *, gpu: bool) -> tuple[Work, Work | None]:
    boards, work = lay.view(board_tables(spec)), lay.view(scratch())
    state = lay.view(lay.zeros(1, lay.STATE))
    out = np.zeros(spec.max_moves + 32, np.int64)

    def on_cpu() -> NDArray[Any]:
        results = np.zeros((games, 4), np.int64)
        playout_range(state, boards, work, out, seed, 0, games, MAX_PLIES, results)
        return results

    if not gpu:
        return on_cpu, None
    from ringrift.rules.gpu import random_playouts

    def on_gpu() -> NDArray[Any]:
        played = random_playouts(spec, games, seed=seed)
        return np.stack([played.winner, played.reason, played.plies, played.hash], axis=1)

    return on_cpu, on_gpu


def _timed(
    device: Device, work: Work, states: int, iterations: int, on_iteration: Callable[[], None]
) -> Timing:
    samples = []
    for _ in range(iterations):
        begun_s = time.perf_counter()
        work()
        samples.append((time.perf_counter() - begun_s) * 1000)
        on_iteration()
    return Timing(device=device, states=states, samples_ms=tuple(samples))


def _compare(what: str, expected: NDArray[Any], found: NDArray[Any]) -> None:
    if not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
        row = int(np.argmax(np.abs(found - expected).max(axis=1)))
        raise DataError(
            f"{what}: the devices disagree on position {row}: {expected[row].tolist()} on the CPU, "
            f"{found[row].tolist()} on the GPU"
        )
