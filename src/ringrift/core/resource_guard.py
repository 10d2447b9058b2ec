"""Ask before taking disk, memory, CPU or a GPU, and reserve what a job will take (`core.md` 6).

    if can_proceed(disk_required_gb=5.0, mem_required_gb=2.0): ...
    with ResourceGuard(disk_required_gb=5.0, mem_required_gb=2.0) as guard:
        if guard.ok: ...

The functions answer for the data root of the working folder with the limits of its settings. Gigabytes
are 2**30 bytes. Readings are kept for a second, so a call costs well under 5 ms. Delivering the spool
and cleaning up never ask: they make room.
"""

from __future__ import annotations

import asyncio
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ringrift.core.host_table import HostTable
from ringrift.core.limits import Resource
from ringrift.core.log import get_logger
from ringrift.core.paths import locate_root
from ringrift.core.readings import GIB
from ringrift.core.reservations import of_other_families
from ringrift.core.resource_checks import ResourceChecks

if TYPE_CHECKING:
    from types import TracebackType

    from ringrift.core.host_table import Task
    from ringrift.core.limits import Verdict
    from ringrift.core.resource_checks import Refusal

log = get_logger(__name__)

_ASK_EVERY_S = 1.0


class Priority(IntEnum):
    """Rank work: what ranks higher goes on longer while resources run out."""

    BACKGROUND = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4


class _Current:
    """Hold the checks that the functions of this module answer with."""

    checks: ResourceChecks | None = None


def use(checks: ResourceChecks | None) -> None:
    """Answer with these checks from now on; `None` goes back to the working folder's root."""
    _Current.checks = checks


def _checks() -> ResourceChecks:
    """Return the checks of this process; the settings are read once."""
    if _Current.checks is None:
        from ringrift.core.settings_loader import load_settings

        root = locate_root()
        loaded = load_settings(root=root)
        _Current.checks = ResourceChecks(limits=loaded.values.limits, path=root or Path.cwd())
    return _Current.checks


def _fine(refusals: list[Refusal], log_warning: bool) -> bool:
    if refusals and log_warning:
        log.warning("resources exceeded", reasons="; ".join(refusal.reason for refusal in refusals))
    return not refusals


def _fields(verdict: Verdict, percent: float | None) -> dict[str, Any]:
    return {"used_percent": percent, "state": verdict.state.value}


def _space_fields(verdict: Verdict) -> dict[str, Any]:
    space = verdict.space
    return {
        **_fields(verdict, verdict.used),
        "available_gb": None if space is None else space.available_bytes / GIB,
        "total_gb": None if space is None else space.total_bytes / GIB,
    }


def check_disk_space(
    required_gb: float = 2.0, path: Path | str | None = None, log_warning: bool = True
) -> bool:
    """Return whether the disk is below critical and has this much free; `path` lies on it."""
    where = None if path is None else Path(path)
    return _fine(_checks().refusals(disk_gb=required_gb, path=where), log_warning)


def check_memory(required_gb: float = 1.0, log_warning: bool = True) -> bool:
    """Return whether memory is below critical and has this much free."""
    return _fine(_checks().refusals(memory_gb=required_gb), log_warning)


def check_cpu(log_warning: bool = True) -> bool:
    """Return whether others leave enough of the CPUs: their use and load are below critical."""
    return _fine(_checks().refusals(cpu=True), log_warning)


def check_gpu_memory(
    required_gb: float = 1.0, device_id: int = 0, log_warning: bool = True
) -> bool:
    """Return whether a GPU has this much free; true without a GPU: nothing to protect."""
    return _fine(_checks().refusals(gpu_gb=required_gb, device=device_id), log_warning)


def can_proceed(
    check_disk: bool = True,
    check_mem: bool = True,
    check_cpu_load: bool = True,
    check_gpu: bool = False,
    disk_required_gb: float = 2.0,
    mem_required_gb: float = 1.0,
    gpu_required_gb: float = 1.0,
) -> bool:
    """Return whether a job of this size may start now."""
    refusals = _checks().refusals(
        disk_gb=disk_required_gb if check_disk else None,
        memory_gb=mem_required_gb if check_mem else None,
        gpu_gb=gpu_required_gb if check_gpu else None,
        cpu=check_cpu_load,
    )
    return _fine(refusals, log_warning=True)


def wait_for_resources(
    timeout: float = 300.0,
    check_interval: float = 10.0,
    disk_required_gb: float = 2.0,
    mem_required_gb: float = 1.0,
) -> bool:
    """Wait up to `timeout` seconds until a job of this size may start; return whether it may."""
    checks = _checks()

    def ready() -> bool:
        return not checks.refusals(disk_gb=disk_required_gb, memory_gb=mem_required_gb, cpu=True)

    done = checks.wait(timeout, check_interval, ready)
    if not done:
        log.warning("resources did not get free", waited_s=timeout)
    return done


def get_resource_status() -> dict[str, Any]:
    """Return all readings with their states, as plain data.

    `disk`, `memory` and each of `gpus` have used_percent, available_gb, total_gb and state; of
    `cpu` the percent is the use by others, of `load` it is that of the CPUs in `total_cpus`.
    """
    checks = _checks()
    cpus = checks.readings().cpus
    by_resource: dict[str, Any] = {"gpus": []}
    for verdict in checks.verdicts():
        if verdict.resource is Resource.GPU:
            by_resource["gpus"].append({"device_id": verdict.device, **_space_fields(verdict)})
        elif verdict.resource is Resource.CPU:
            by_resource["cpu"] = {**_fields(verdict, verdict.used), "total_cpus": cpus}
        elif verdict.resource is Resource.LOAD:
            percent = None if verdict.used is None else 100.0 * verdict.used / cpus
            by_resource["load"] = {
                **_fields(verdict, percent),
                "total_cpus": cpus,
                "load_1min": verdict.used,
            }
        else:
            by_resource[verdict.resource] = _space_fields(verdict)
    return {**by_resource, "degradation": degradation()}


def degradation(*, gpu: bool = False) -> int:
    """Return how much work to leave out, 0 (none) to 4 (all); GPUs count if asked for.

    The worst of disk, memory, CPU and load: 0 below warning, 1 from warning, 2 from the middle of
    warning and critical, 3 from two points below critical, 4 at critical.
    """
    return max(
        verdict.degradation
        for verdict in _checks().verdicts()
        if gpu or verdict.resource is not Resource.GPU
    )


def should_proceed(priority: Priority | int) -> bool:
    """Return whether work of this priority may go on: its priority exceeds the degradation."""
    return priority > degradation()


class ResourceGuard:
    """Reserve resources while the block runs; `ok` says whether they were there.

    Entering never raises for lack of resources: look at `ok` and `reasons`. With `wait_timeout`
    seconds it waits for them. The reservation ends with the block or with the process. Works with
    `async with` too, where waiting does not hold up the event loop.
    """

    def __init__(
        self,
        disk_required_gb: float = 2.0,
        mem_required_gb: float = 1.0,
        gpu_required_gb: float = 0.0,
        wait_timeout: float = 0.0,
    ) -> None:
        self.ok = False
        self.reasons: tuple[str, ...] = ()
        self._disk_gb = disk_required_gb
        self._memory_gb = mem_required_gb
        self._gpu_gb = gpu_required_gb
        self._wait_s = wait_timeout
        self._task: Task | None = None

    def __enter__(self) -> Self:
        _checks().wait(self._wait_s, _ASK_EVERY_S, self._reserve)
        self._say()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    async def __aenter__(self) -> Self:
        deadline_s = time.monotonic() + self._wait_s
        while not await asyncio.to_thread(self._reserve):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            await asyncio.sleep(min(_ASK_EVERY_S, left_s))
        self._say()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._release)

    def _reserve(self) -> bool:
        checks = _checks()

        def accept(others: list[Task]) -> bool:
            # Read inside: what a task took since it registered must not count twice or not at all.
            refusals = checks.refusals(
                disk_gb=self._disk_gb,
                memory_gb=self._memory_gb,
                gpu_gb=self._gpu_gb or None,
                cpu=True,
                tasks=of_other_families(others),
                fresh=True,
            )
            self.reasons = tuple(refusal.reason for refusal in refusals)
            return not refusals

        with HostTable.open() as table:
            self._task = table.add(
                category="guard",
                command=Path(sys.argv[0]).name or "python",
                root=checks.path,
                memory_bytes=int(self._memory_gb * GIB),
                disk_bytes=int(self._disk_gb * GIB),
                disk_path=checks.path,
                device=0 if self._gpu_gb else None,
                gpu_bytes=int(self._gpu_gb * GIB),
                accept=accept,
            )
        self.ok = self._task is not None
        return self.ok

    def _say(self) -> None:
        if not self.ok:
            log.warning("resources refused", reasons="; ".join(self.reasons))

    def _release(self) -> None:
        if self._task is not None:
            with HostTable.open() as table:
                table.remove(self._task)
        self._task, self.ok = None, False
