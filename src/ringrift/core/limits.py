"""Judge readings by the limits of the settings: the only table of thresholds (`core.md` 5).

Every other threshold refers to this one. The numbers stand in `ringrift.core.settings`, section
`limits`; here stands what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from ringrift.core.cgroups import available_cpus

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.core.readings import Readings, Space
    from ringrift.core.settings.limits import Limits

RELEASE_POINTS = 2.0  # percent points below critical from which a state counts as left
_FULL_CPUS = 2


class Resource(StrEnum):
    """Name what is limited; `gpu` is the memory of one device."""

    DISK = "disk"
    MEMORY = "memory"
    CPU = "cpu"
    GPU = "gpu"
    LOAD = "load"


class State(StrEnum):
    """Say how a reading stands to its limit; `unknown` is a reading that failed."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Hold the two thresholds of a resource, both reached when the reading equals them.

    They are percents, for `load` an average number of threads. `release` is where work that was
    held goes on. `raised` marks values above those of the table's defaults. CPUs that are busy
    harm nobody as full disks do: a critical value of 100 % switches theirs off.
    """

    resource: Resource
    warning: float | None
    critical: float
    release: float
    raised: bool

    @property
    def off(self) -> bool:
        """Whether this limit is never reached."""
        return self.resource is Resource.CPU and self.critical >= 100

    def state(self, used: float | None) -> State:
        """Return how a reading stands to this limit."""
        if used is None:
            return State.UNKNOWN
        if self.off:
            return State.OK
        if used >= self.critical:
            return State.CRITICAL
        if self.warning is not None and used >= self.warning:
            return State.WARNING
        return State.OK

    def degradation(self, used: float | None) -> int:
        """Return 0 below warning, then 1, 2 from the middle, 3 from 2 points below critical, 4."""
        state = self.state(used)
        if state is State.CRITICAL:
            return 4
        if state is not State.WARNING or used is None or self.warning is None:
            return 0
        if used >= self.critical - RELEASE_POINTS:
            return 3
        return 2 if used >= (self.warning + self.critical) / 2 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Hold the judgement of one resource: its reading, its limit and a sentence for people.

    `used` is a percent, for `load` a number of threads. `path` is the place whose disk counts, or
    the container's group that bounds the memory; `device` is the NVML number of a GPU.
    """

    limit: Limit
    used: float | None
    state: State
    reason: str
    space: Space | None = None
    path: Path | None = None
    device: int | None = None

    @property
    def resource(self) -> Resource:
        """What was judged."""
        return self.limit.resource

    @property
    def name(self) -> str:
        """The resource with the number of its device, such as `gpu 0`."""
        return self.resource if self.device is None else f"{self.resource} {self.device}"

    @property
    def warning(self) -> float | None:
        """The warning threshold."""
        return self.limit.warning

    @property
    def critical(self) -> float:
        """The critical threshold."""
        return self.limit.critical

    @property
    def degradation(self) -> int:
        """How much work to leave out, 0 to 4."""
        return self.limit.degradation(self.used)

    @property
    def key(self) -> str:
        """The settings key that moves the critical threshold."""
        if self.resource is Resource.LOAD:
            return "limits.load_critical_multiplier"
        return f"limits.{self.resource}_critical"


@lru_cache(maxsize=64)
def limit_of(resource: Resource, limits: Limits, *, cpus: float) -> Limit:
    """Return the limit of one resource; that of the load grows with the CPUs.

    Where only the critical value was lowered, below the default warning, both are that value.
    """
    defaults = type(limits)()
    if resource is Resource.LOAD:
        critical = limits.load_critical_multiplier * cpus
        return Limit(
            resource=resource,
            warning=None,
            critical=critical,
            release=critical - RELEASE_POINTS / 100 * cpus,
            raised=limits.load_critical_multiplier > defaults.load_critical_multiplier,
        )
    warning, critical = _pair(resource, limits)
    default_warning, default_critical = _pair(resource, defaults)
    return Limit(
        resource=resource,
        warning=min(warning, critical),
        critical=critical,
        release=critical - RELEASE_POINTS,
        raised=critical > default_critical or warning > default_warning,
    )


def judge(readings: Readings, limits: Limits) -> tuple[Verdict, ...]:
    """Judge a look at the machine: disk, memory, CPU, each GPU, load."""

    def limit(resource: Resource) -> Limit:
        return limit_of(resource, limits, cpus=readings.cpus)

    memory = "memory" if readings.bound is None else "the container's memory"
    gpu_limit = limit(Resource.GPU)
    load_limit = limit(Resource.LOAD)
    return (
        _of_space(
            limit(Resource.DISK), readings.disk, words="{} of the disk in use", path=readings.path
        ),
        _of_space(
            limit(Resource.MEMORY),
            readings.memory,
            words="{} of " + memory + " in use",
            path=readings.bound,
        ),
        _of_percent(limit(Resource.CPU), readings.cpu_percent, words="others use {} of the CPUs"),
        *(
            _of_space(
                gpu_limit,
                gpu.memory,
                words=f"{{}} of GPU {gpu.index}'s memory in use",
                device=gpu.index,
            )
            for gpu in readings.gpus
        ),
        Verdict(
            limit=load_limit,
            used=readings.load,
            state=load_limit.state(readings.load),
            reason=(
                "the load of others is unknown"
                if readings.load is None
                else f"load of others {readings.load:.2f} on {readings.cpus:g} CPUs, "
                f"limit {load_limit.critical:g}"
            ),
        ),
    )


def worst(verdicts: tuple[Verdict, ...]) -> State:
    """Return the gravest state; readings that failed do not count unless all did."""
    order = (State.CRITICAL, State.WARNING, State.OK, State.UNKNOWN)
    states = {verdict.state for verdict in verdicts}
    return next((state for state in order if state in states), State.UNKNOWN)


def thread_budget(cpus: float | None = None) -> int:
    """Return how many threads all our work together may keep busy.

    All CPUs up to two, else four fifths of them, rounded down; `cpus` are those that this process
    may use unless named.
    """
    cpus = available_cpus() if cpus is None else cpus
    if cpus <= _FULL_CPUS:
        return max(1, int(cpus))
    return max(_FULL_CPUS, int(cpus * 4 // 5))


def _pair(resource: Resource, limits: Limits) -> tuple[float, float]:
    return {
        Resource.DISK: (limits.disk_warning, limits.disk_critical),
        Resource.MEMORY: (limits.memory_warning, limits.memory_critical),
        Resource.CPU: (limits.cpu_warning, limits.cpu_critical),
        Resource.GPU: (limits.gpu_warning, limits.gpu_critical),
    }[resource]


def _of_percent(limit: Limit, used: float | None, *, words: str) -> Verdict:
    return Verdict(
        limit=limit, used=used, state=limit.state(used), reason=_words(limit, used, words)
    )


def _of_space(
    limit: Limit,
    space: Space | None,
    *,
    words: str,
    path: Path | None = None,
    device: int | None = None,
) -> Verdict:
    used = None if space is None else space.used_percent
    return Verdict(
        limit=limit,
        used=used,
        state=limit.state(used),
        reason=_words(limit, used, words),
        space=space,
        path=path,
        device=device,
    )


def _words(limit: Limit, used: float | None, words: str) -> str:
    shown = "an unknown share" if used is None else f"{used:.1f} %"
    if limit.warning is not None and limit.state(used) is State.WARNING:
        return f"{words.format(shown)}, warning from {limit.warning:g} %"
    return f"{words.format(shown)}, limit {limit.critical:g} %"
