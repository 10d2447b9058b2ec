"""Where games are played: what `--device auto|cpu|cuda|cuda:N` comes to on this machine.

Only convolutional nets are evaluated on a device; rules, searches and NNUE run on the CPU. Torch is
asked only where NVIDIA's driver is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ringrift.core.errors import UsageError

NVIDIA = Path("/dev/nvidiactl")
"""Device file that every machine with an NVIDIA driver has."""

NO_NET = "no convolutional net plays, and all else runs on the CPU"
CUDA = re.compile(r"cuda(?::(?P<index>\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A device by torch's name, and the words that say why it is that one."""

    name: str
    note: str

    @property
    def gpu(self) -> int | None:
        """Number of the GPU, None on the CPU."""
        return None if self.name == "cpu" else int(self.name.partition(":")[2])


def chosen_device(asked: str, *, nets: bool) -> Chosen:
    """Return the device for games in which convolutional nets play, or (`nets` False) do not.

    Raises `UsageError` for an unknown name and for a GPU that is not there or has nothing to do;
    `auto` takes the CPU then.
    """
    if asked == "cpu":
        return Chosen("cpu", "cpu")
    named = CUDA.fullmatch("cuda" if asked == "auto" else asked)
    if named is None:
        raise UsageError(
            f"unknown device {asked!r}", where="--device", hint="auto, cpu, cuda, cuda:N"
        )
    index = int(named["index"] or 0)
    reason = no_cuda(index) or (None if nets else NO_NET)
    if reason is None:
        from ringrift.nets.devices import cuda_name

        return Chosen(f"cuda:{index}", f"cuda:{index} ({cuda_name(index)})")
    if asked == "auto":
        return Chosen("cpu", f"cpu ({reason})")
    raise UsageError(f"no device {asked}: {reason}", where="--device", hint="--device cpu, or auto")


def no_cuda(index: int) -> str | None:
    """Say why GPU `index` cannot be used, None where it can."""
    if not NVIDIA.exists():
        return "no CUDA device"
    from ringrift.nets.devices import cuda_reason

    return cuda_reason(index)
