"""Check the machine before a heavy command starts (`core.md` 5 and 7).

    ready_for(current(), gpu=True, wait=not no_wait)

An emergency stop, or disk, memory or GPU at their limit, end the command at once with exit 75; CPU and
load of others are waited for. Nothing is written before.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringrift.cli.invocation import Invocation
    from ringrift.core.resource_checks import Refusal, ResourceChecks
    from ringrift.core.settings.limits import Limits

SAY_EVERY_S = 30.0
LOOK_EVERY_S = 2.0

NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait",
        help="End with 75 at once where CPU or load of others would be waited for "
        "[else up to limits.wait_seconds].",
        rich_help_panel="Limits",
    ),
]


def ready_for(
    invocation: Invocation,
    *,
    producing: bool = True,
    gpu: bool = False,
    cpu: bool = True,
    memory_gb: float = 1.0,
    disk_gb: float = 2.0,
    wait: bool = True,
    config: str | None = None,
    limits: Limits | None = None,
) -> None:
    """Return when this machine can take the command; raise `BusyError` (exit 75) if not.

    Call it before any folder or file is made. `producing` commands write much: the disk counts and
    they need `disk_gb` (2**30 bytes) free; `gpu` is for those that use one; without `cpu` nothing is
    waited for, as suits a command that may have nothing to do; a configuration's own
    halt file counts where `config` names it. `limits` are those of the command's settings, which
    are loaded here otherwise.
    """
    from ringrift.core.emergency import refuse_halted
    from ringrift.core.readings import prime
    from ringrift.core.resource_checks import ResourceChecks

    root = invocation.known_root() or Path.cwd()
    refuse_halted(root, config)
    if limits is None:
        limits = invocation.settings().values.limits
    prime()
    checks = ResourceChecks(limits=limits, path=root)

    def refuse() -> None:
        refusals = checks.refusals(
            disk_gb=disk_gb if producing else None,
            memory_gb=memory_gb,
            gpu_gb=0.0 if gpu else None,
        )
        if refusals:
            raise busy(refusals[0])

    refuse()
    if cpu:
        _wait_for_others(checks, refuse, say=invocation.out.note, wait=wait)


def busy(refusal: Refusal) -> BusyError:
    """Return the error of a refusal: resource, use, limit, place and what would help."""
    from ringrift.core.watch import busy as of_verdict

    error = of_verdict(refusal.verdict)
    message = refusal.reason
    if not message.startswith(refusal.verdict.name):
        message = f"{refusal.verdict.name}: {message}"
    return BusyError(message, where=error.where, hint=error.hint)


def _wait_for_others(
    checks: ResourceChecks,
    refuse: Callable[[], None],
    *,
    say: Callable[[str], None],
    wait: bool,
) -> None:
    from ringrift.core.cpu_account import LEAST_APART_S

    time.sleep(LEAST_APART_S)  # from the first sample to the first mean
    started_s = said_s = time.monotonic()
    limit_s = checks.limits.wait_seconds if wait else 0.0
    refusals = checks.refusals(cpu=True, fresh=True)
    while refusals:
        waited_s = time.monotonic() - started_s
        if waited_s >= limit_s:
            raise busy(refusals[0])
        if said_s == started_s or time.monotonic() - said_s >= SAY_EVERY_S:
            said_s = time.monotonic()
            say(
                f"waiting for {refusals[0].verdict.name}: {refusals[0].reason}; "
                f"{waited_s:.0f} of {limit_s:g} s"
            )
        time.sleep(min(LOOK_EVERY_S, max(0.0, limit_s - waited_s)))
        refuse()
        refusals = checks.refusals(cpu=True)
