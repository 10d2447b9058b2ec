"""Say how much of a machine the work may take: its tier, its aims and its slots (`core.md` 8).

Pure functions over `Hardware`; only `detect` looks at this machine. Percentages are 0 to 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.limits import thread_budget

if TYPE_CHECKING:
    from ringrift.core.settings.machines import ResourceTargets

TierName = Literal["high_end", "mid_tier", "low_tier", "cpu_only"]
Resource = Literal["cpu", "gpu", "memory"]
RESOURCES: tuple[Resource, ...] = ("cpu", "gpu", "memory")

GB = 1_000_000_000  # makers count in powers of ten: a card sold as 40 GB has at least 40 of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Describe a machine, or the part of it that a container leaves us.

    `memory_bytes` is `None` where it cannot be read; `gpu_memory_bytes` holds each device's whole
    memory and is empty without a GPU.
    """

    cpus: float
    memory_bytes: int | None
    gpu_memory_bytes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Bound the use of one resource in percent; at `critical` nothing new starts."""

    minimum: float
    target: float
    maximum: float
    critical: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Hold what one machine aims at.

    `slots` bounds the workers; all their threads together stay within `threads`. `least` workers are
    not taken away for our own use of the processor.
    """

    tier: TierName
    aims: dict[Resource, Aim]
    slots: int
    threads: int
    least: int


def tier_of(hardware: Hardware, settings: ResourceTargets) -> TierName:
    """Return the tier: the largest GPU decides, or a great many CPUs."""
    tiers, gpu_bytes = settings.tier_overrides, max(hardware.gpu_memory_bytes, default=0)
    if gpu_bytes >= tiers.high_end.min_gpu_memory_gb * GB:
        return "high_end"
    if hardware.cpus >= tiers.high_end.min_cpus:
        return "high_end"
    if gpu_bytes >= tiers.mid_tier.min_gpu_memory_gb * GB:
        return "mid_tier"
    return "low_tier" if hardware.gpu_memory_bytes else "cpu_only"


def aims_of(hardware: Hardware, settings: ResourceTargets) -> dict[Resource, Aim]:
    """Return the aims, moved by the tier but not out of their minimum and maximum.

    Without a GPU there are none for it.
    """
    moved = getattr(settings.tier_overrides, tier_of(hardware, settings)).target_shift
    aims: dict[Resource, Aim] = {}
    for resource in RESOURCES:
        if resource == "gpu" and not hardware.gpu_memory_bytes:
            continue
        values: dict[str, Any] = {
            name: float(getattr(settings, f"{resource}_{short}"))
            for name, short in (
                ("minimum", "min"),
                ("target", "target"),
                ("maximum", "max"),
                ("critical", "critical"),
            )
        }
        target = min(max(values["target"] + moved, values["minimum"]), values["maximum"])
        aims[resource] = Aim(**{**values, "target": target})
    return aims


def slots_of(hardware: Hardware, settings: ResourceTargets, *, need_bytes: int = 0) -> int:
    """Return how many workers the machine may have, of which each needs `need_bytes` of memory.

    `need_bytes` 0 is unknown and bounds nothing. The result is 0 where not even one fits.
    """
    tier = getattr(settings.tier_overrides, tier_of(hardware, settings))
    wanted = round(hardware.cpus * settings.jobs_per_core * tier.jobs_factor)
    bounds = [
        tier.max_jobs,
        settings.max_jobs_per_node,
        max(least_of(hardware), wanted),
    ]
    if need_bytes > 0 and hardware.memory_bytes is not None:
        bounds.append(hardware.memory_bytes // need_bytes)
    return int(min(bounds))


def least_of(hardware: Hardware) -> int:
    """Return how many workers any machine may have: two, where two threads are in its budget."""
    return min(2, thread_budget(hardware.cpus))


def targets_of(hardware: Hardware, settings: ResourceTargets, *, need_bytes: int = 0) -> Targets:
    """Return all that follows from a machine and the section `resource_targets`."""
    slots = slots_of(hardware, settings, need_bytes=need_bytes)
    return Targets(
        tier=tier_of(hardware, settings),
        aims=aims_of(hardware, settings),
        slots=slots,
        threads=thread_budget(hardware.cpus),
        least=min(slots, least_of(hardware)),
    )


def detect() -> Hardware:
    """Look at this machine: what a container or an affinity leaves of it counts.

    A GPU whose memory cannot be read counts as one of the lowest tier.
    """
    from ringrift.core import cgroups, readings

    memory = readings.read_memory()
    return Hardware(
        cpus=cgroups.available_cpus(),
        memory_bytes=None if memory is None else memory.total_bytes,
        gpu_memory_bytes=tuple(
            0 if gpu.memory is None else gpu.memory.total_bytes for gpu in readings.read_gpus()
        ),
    )
