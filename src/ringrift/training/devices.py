"""The device that a training runs on."""

from __future__ import annotations

import torch

from ringrift.core.errors import UsageError
from ringrift.core.limits import thread_budget
from ringrift.training.request import Machine


def find_machine(device: str) -> Machine:
    """Return what `auto`, `cpu`, `cuda` or `mps` means here.

    Raises `UsageError` for a device that is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        device = next(name for name, found in there.items() if found)
    if not there[device]:
        raise UsageError(
            f"no {device} device here", where="--device", hint="--device auto, or --device cpu"
        )
    return Machine(device=device, threads=thread_budget())
