"""Sections of one machine: what it aims at, what it guards against, how it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ringrift.core.settings.base import (
    CheckedSection,
    Conflict,
    Count,
    CountOrZero,
    NotNegative,
    Percent,
    Positive,
    Section,
    Share,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Points = Annotated[float, Field(ge=-100, le=100)]

AIMS = ("min", "target", "max", "critical")


class Pid(CheckedSection):
    """Set the controller that scales workers (`core.md` 8)."""

    kp: NotNegative = 0.3
    """proportional gain"""
    ki: NotNegative = 0.05
    """integral gain"""
    kd: NotNegative = 0.1
    """derivative gain"""
    integral_limit: Positive = 100
    """largest size of the integral term"""
    update_seconds: Positive = 30
    """least seconds between two decisions"""
    smoothing: Annotated[float, Field(gt=0, le=1)] = 0.3
    """weight of the newest output in the mean"""
    large_error: NotNegative = 15
    """percentage points of error above which the gains are raised"""
    large_error_gain: Positive = 1.5
    """factor of the gains above the large error"""
    small_error: NotNegative = 5
    """percentage points of error below which the gains are lowered"""
    small_error_gain: Positive = 0.7
    """factor of the gains below the small error"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("small_error", "large_error")


class HighEndTier(Section):
    """Set what a machine with a large GPU or many CPUs gets."""

    min_gpu_memory_gb: Positive = 40
    """GPU memory from which a machine belongs here"""
    min_cpus: Count = 64
    """CPUs from which a machine belongs here, with any GPU or none"""
    target_shift: Points = 5
    """percentage points added to the targets"""
    jobs_factor: Positive = 1.5
    """factor of the jobs per core"""
    max_jobs: Count = 64
    """most jobs at the same time"""


class MidTier(Section):
    """Set what a machine with a middle-sized GPU gets."""

    min_gpu_memory_gb: Positive = 12
    """GPU memory from which a machine belongs here"""
    target_shift: Points = 0
    """percentage points added to the targets"""
    jobs_factor: Positive = 1.0
    """factor of the jobs per core"""
    max_jobs: Count = 32
    """most jobs at the same time"""


class LowTier(Section):
    """Set what a machine with any other GPU gets."""

    target_shift: Points = -5
    """percentage points added to the targets"""
    jobs_factor: Positive = 0.7
    """factor of the jobs per core"""
    max_jobs: Count = 16
    """most jobs at the same time"""


class CpuTier(Section):
    """Set what a machine without a GPU gets."""

    target_shift: Points = 0
    """percentage points added to the targets"""
    jobs_factor: Positive = 0.5
    """factor of the jobs per core"""
    max_jobs: Count = 24
    """most jobs at the same time"""


class TierOverrides(Section):
    """Set what each tier of hardware changes (`core.md` 8)."""

    high_end: HighEndTier = Field(default_factory=HighEndTier)
    """large GPU or many CPUs"""
    mid_tier: MidTier = Field(default_factory=MidTier)
    """middle-sized GPU"""
    low_tier: LowTier = Field(default_factory=LowTier)
    """any other GPU"""
    cpu_only: CpuTier = Field(default_factory=CpuTier)
    """no GPU"""


class ResourceTargets(CheckedSection):
    """Set how busy a machine is meant to be; nothing here exceeds `limits`."""

    cpu_min: Percent = 60
    """percent of CPU below which workers are added"""
    cpu_target: Percent = 70
    """percent of CPU aimed at"""
    cpu_max: Percent = 80
    """percent of CPU above which workers are taken away"""
    cpu_critical: Percent = 80
    """percent of CPU at which workers go at once; at most limits.cpu_critical"""
    gpu_min: Percent = 60
    """percent of GPU below which workers are added"""
    gpu_target: Percent = 75
    """percent of GPU aimed at"""
    gpu_max: Percent = 80
    """percent of GPU above which workers are taken away"""
    gpu_critical: Percent = 80
    """percent of GPU at which workers go at once; at most limits.gpu_critical"""
    memory_min: Percent = 40
    """percent of memory below which workers are added"""
    memory_target: Percent = 60
    """percent of memory aimed at"""
    memory_max: Percent = 70
    """percent of memory above which workers are taken away"""
    memory_critical: Percent = 80
    """percent of memory at which workers go at once; at most limits.memory_critical"""
    jobs_per_core: Positive = 0.5
    """jobs per CPU before the tier's factor"""
    max_jobs_per_node: Count = 48
    """most jobs of one machine"""
    max_jobs_cluster: Count = 500
    """most jobs of all machines together"""
    scale_up_increment: Count = 4
    """most workers added by one decision"""
    scale_down_increment: Count = 2
    """most workers taken away by one decision, except at a critical limit"""
    scale_up_below: Percent = 55
    """percent of use below which workers are added"""
    scale_down_above: Percent = 80
    """percent of use above which workers are taken away"""
    hysteresis_band: NotNegative = 5
    """percentage points around a target within which nothing changes"""
    throughput_min: CountOrZero = 500
    """games per hour below which production is too low"""
    throughput_target: Count = 1000
    """games per hour aimed at"""
    throughput_max: Count = 2000
    """games per hour above which no worker is added"""
    selfplay_rate_min: CountOrZero = 100
    """least games per hour that the optimizer asks for"""
    selfplay_rate_max: Count = 5000
    """most games per hour that the optimizer asks for"""
    selfplay_rate_start: Count = 1000
    """games per hour that the optimizer starts with"""
    pid: Pid = Field(default_factory=Pid)
    """the controller"""
    tier_overrides: TierOverrides = Field(default_factory=TierOverrides)
    """what each tier of hardware changes"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the aims that are out of order.

        A lowered upper aim alone is meant: only an explicit lower one above it is a mistake.
        """
        for resource in ("cpu", "gpu", "memory"):
            yield from self._ascending(tuple(f"{resource}_{aim}" for aim in AIMS))
        yield from self._ascending(("throughput_min", "throughput_target", "throughput_max"))
        yield from self.at_most("selfplay_rate_min", "selfplay_rate_start")
        yield from self.at_most("selfplay_rate_start", "selfplay_rate_max")
        yield from self.at_most("scale_up_below", "scale_down_above")

    def _ascending(self, keys: tuple[str, ...]) -> Iterator[Conflict]:
        for index, lower in enumerate(keys[:-1]):
            if lower in self.model_fields_set:
                found = [
                    conflict
                    for upper in keys[index + 1 :]
                    for conflict in self.at_most(lower, upper)
                ]
                yield from found[:1]


class Safeguards(CheckedSection):
    """Set what keeps this machine from being overrun (`core.md` 7)."""

    max_python_processes_per_host: Count = 64
    """most Python processes of ours on this machine"""
    max_selfplay_processes: Count = 48
    """most self-play processes, capped by the thread budget"""
    max_tournament_processes: Count = 1
    """most tournament processes"""
    max_training_processes: Count = 1
    """most training processes"""
    single_orchestrator: bool = True
    """refuse a second orchestrator on this machine"""
    kill_orphans_on_start: bool = True
    """end own children of a dead run at the start"""
    process_watchdog: bool = True
    """look after running processes"""
    watchdog_interval_seconds: Positive = 60
    """seconds between two looks"""
    max_process_age_hours: Positive = 4
    """hours after which a process is ended, unless its job's time limit is longer"""
    max_subprocess_depth: Count = 2
    """most generations of processes that start processes"""
    subprocess_timeout_seconds: Positive = 3600
    """time limit of a process that has none of its own"""
    max_spawns: Count = 30
    """most processes started within spawn_window_seconds"""
    spawn_window_seconds: Positive = 60
    """seconds over which started processes are counted"""
    breaker_failures: Count = 5
    """failures in a row that open a circuit breaker"""
    breaker_open_seconds: Positive = 300
    """seconds that an open breaker lets no call through"""
    breaker_probes: Count = 3
    """calls that must pass before a breaker is closed again"""
    backpressure_soft_share: Share = 0.8
    """share of a bound above which new work waits a little"""
    backpressure_hard_share: Share = 0.95
    """share of a bound above which new work waits longer; at 1 it is refused"""
    backpressure_soft_delay_seconds: NotNegative = 1
    """the little wait"""
    backpressure_hard_delay_seconds: NotNegative = 5
    """the longer wait"""
    oom_kills: Count = 2
    """kills for want of memory within oom_window_seconds that halt everything"""
    oom_window_seconds: Positive = 600
    """seconds over which such kills are counted"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("backpressure_soft_share", "backpressure_hard_share")
        yield from self.at_most(
            "backpressure_soft_delay_seconds", "backpressure_hard_delay_seconds"
        )


class Ssh(CheckedSection):
    """Set connections to other machines by SSH."""

    max_retries: CountOrZero = 3
    """tries after the first"""
    base_delay_seconds: NotNegative = 2
    """wait before the second try; doubles from then on"""
    max_delay_seconds: NotNegative = 30
    """longest wait between two tries"""
    connect_timeout_seconds: Positive = 10
    """time limit of connecting"""
    command_timeout_seconds: Positive = 3600
    """time limit of one command"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("base_delay_seconds", "max_delay_seconds")
