"""Speed of the trainers on games made for it: the training loop beside a bare one (training.md 5)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringrift.agents.benchmarks.results import Check, Figure
from ringrift.data.dataset import Dataset, ExportOptions, blocks, plan_export, write_dataset
from ringrift.training.demo import random_games
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.engine.throughput import Throughput, measure
from ringrift.training.samples.table import SampleTable, read_tables
from ringrift.training.tasks import start_net, task_of

if TYPE_CHECKING:
    from ringrift.training.engine.task import Task
    from ringrift.training.request import Kind, Machine, Shape

BATCH_SIZES: dict[Kind, int] = {"cnn": 256, "nnue": 512, "nnue-policy": 256}
LEAST_RATIO: dict[Kind, float] = {"cnn": 0.95, "nnue": 0.90, "nnue-policy": 0.90}
"""Share of the bare loop's speed that each trainer must reach."""
MANY_EPOCHS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedResult:
    """What was measured of a kind: as a row, as figures, and what is demanded of them."""

    row: dict[str, Any]
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]


def random_samples(config: str, *, samples: int, seed: int) -> tuple[SampleTable, SampleTable]:
    """Return both sides of a dataset of random games with at least `samples` training samples."""
    with tempfile.TemporaryDirectory() as name:
        store = random_games(Path(name) / "games.db", config, seed, samples)
        plan = plan_export([store], config, ExportOptions())
        write_dataset(plan, dict(blocks(plan, plan.ids)), Path(name) / "dataset")
        return read_tables(Dataset.open(Path(name) / "dataset"))


def measure_kind(
    kind: Kind,
    tables: tuple[SampleTable, SampleTable],
    *,
    shape: Shape,
    machine: Machine,
    batch_size: int | None,
    seconds: float,
    rounds: int,
    seed: int,
    streaming: bool = False,
    on_round: Callable[[], None] = lambda: None,
) -> SpeedResult:
    """Measure the trainer of a kind; on CUDA both loops compute in bfloat16.

    With `streaming` the positions of the convolutional net are encoded anew in every epoch.
    """
    on_gpu = machine.device == "cuda"
    settings = TrainSettings(
        epochs=MANY_EPOCHS,
        seed=seed,
        batch_size=batch_size or BATCH_SIZES[kind],
        policy_weight=0.0 if kind == "nnue" else 1.0,
        device=machine.device,
        threads=machine.threads,
        num_workers=machine.workers,
        streaming=streaming,
        mixed_precision=on_gpu,
        deterministic=not on_gpu,
    )
    spec = tables[0].spec
    parameters = 0

    def make() -> Task[Any]:
        nonlocal parameters
        net = start_net(kind, spec, shape, seed=seed).net
        parameters = sum(p.numel() for p in net.parameters())
        return task_of(kind, *tables, settings, net)

    found = measure(make, settings, seconds=seconds, rounds=rounds, on_round=on_round)
    words = [kind, spec.config, machine.device, *(["streaming"] if streaming else [])]
    case = " ".join(words)
    row = {
        "kind": kind,
        "configuration": spec.config,
        "device": machine.device,
        "threads": machine.threads,
        "streaming": streaming,
        "numbers": settings.amp_dtype if on_gpu else "float32",
        "parameters": parameters,
        "batch_samples": found.batch_samples,
        "steps": found.steps,
        **_spreads(found),
    }
    figures = tuple(
        Figure(case=case, name=name, unit=unit, samples=samples)
        for name, unit, samples in (
            ("trainer_samples_per_s", "samples/s", found.trainer),
            ("bare_samples_per_s", "samples/s", found.bare),
            ("feed_samples_per_s", "samples/s", found.feed),
            ("ratio", "of the bare loop", found.ratios),
        )
    )
    checks = (
        Check(case=case, name="ratio", unit="of the bare loop", found=found.ratio,
              wanted=LEAST_RATIO[kind]),
        Check(case=case, name="feed", unit="of the bare loop", found=found.feed_ratio, wanted=1.0),
    )  # fmt: skip
    return SpeedResult(row=row, figures=figures, checks=checks)


def _spreads(found: Throughput) -> dict[str, Any]:
    interval = found.interval
    rates = {"trainer": found.trainer, "bare": found.bare, "feed": found.feed}
    spreads = {
        f"{name}_samples_per_s": Figure(
            case="", name=name, unit="samples/s", samples=samples
        ).spread()
        for name, samples in rates.items()
    }
    return {
        **spreads,
        "ratio": found.ratio,
        "ratio_low": None if interval is None else interval.low,
        "ratio_high": None if interval is None else interval.high,
        "feed_ratio": found.feed_ratio,
    }
