"""The CUDA devices that nets can be evaluated on, as torch sees them."""

from __future__ import annotations

import torch


def cuda_reason(index: int) -> str | None:
    """Say why torch cannot use GPU `index`, None where it can."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built for CPUs only"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    count = torch.cuda.device_count()
    return None if index < count else f"torch finds {count} CUDA devices, counted from 0"


def cuda_name(index: int) -> str:
    """Return the name that the driver gives GPU `index`."""
    return torch.cuda.get_device_name(index)
