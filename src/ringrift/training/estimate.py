"""How large a net is, how many steps a training takes and how long, measured on a few of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ringrift.training.demo import random_games
from ringrift.training.engine.prefetch import Prefetch
from ringrift.training.engine.session import Session, prepared
from ringrift.training.run import Job, begin, gather
from ringrift.training.sources import Places, Selection, Source

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.request import Request

STEPS = 2
MEASURED_SAMPLES = 32
"""Samples of the batches that are timed, at most: their speed is taken for that of larger ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Parameters of the net; steps and seconds, None where the number of samples is unknown."""

    parameters: int
    steps: int | None
    seconds: float | None


def estimate(
    request: Request, samples: int | None, parent: Path | None, transfer: Path | None
) -> Estimate:
    """Time a few steps of a request's net on random games and multiply; writes nothing that stays."""
    batch = min(request.settings.batch_size, MEASURED_SAMPLES)
    settings = replace(request.settings, batch_size=batch, policy_loss="ce")
    small = replace(
        request, settings=settings, selection=Selection(max_samples=batch, val_split=0.0)
    )
    with TemporaryDirectory(prefix="ringrift-estimate-") as name:
        folder = Path(name)
        store = random_games(folder / "games.db", request.config, 1, batch)
        job = Job(
            request=small,
            source=Source(stores=(store,)),
            places=Places(npz=folder / "npz", cache=folder / "cache"),
            objects=folder / "objects",
            runs=folder / "runs",
            parent=parent,
            transfer=transfer,
        )
        _, task = begin(job, gather(job).sides)
        rate = _samples_per_s(task, settings)
    parameters = sum(p.numel() for p in task.net.parameters())
    if samples is None:
        return Estimate(parameters=parameters, steps=None, seconds=None)
    o = request.settings
    per_epoch = -(-max(1, samples // o.batch_size) // o.gradient_accumulation_steps)
    steps = per_epoch * o.epochs if o.steps is None else min(o.steps, per_epoch * o.epochs)
    seconds = steps * o.gradient_accumulation_steps * min(o.batch_size, samples) / rate
    return Estimate(parameters=parameters, steps=steps, seconds=round(seconds, 1))


def _samples_per_s(task: Any, settings: TrainSettings) -> float:
    """Return the speed of a few steps after the first, which compiles and warms up."""
    with prepared(settings):
        session = Session(task, settings)
        with Prefetch(task, epoch=0, epochs=STEPS + 1, first=0, device=session.device) as batches:
            session.take_step(batches)
            began_s = time.monotonic()
            for _ in range(STEPS):
                session.take_step(batches)
            spent_s = time.monotonic() - began_s
    taken: int = STEPS * task.batch_samples * settings.gradient_accumulation_steps
    return taken / max(spent_s, 1e-9)
