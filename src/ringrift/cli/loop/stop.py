"""`ringrift loop stop`: end the loop in order."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.running import NOT_RUNNING, START_HINT, runner
from ringrift.core.errors import BusyError

if TYPE_CHECKING:
    from ringrift.core.ending import ProcessName

LOOK_EVERY_S = 0.1


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("stop")(stop)


def stop(
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, metavar="S", help="Seconds to wait for the end.")
    ] = 60.0,
    kill: Annotated[
        bool, typer.Option("--kill", help="After that end it with all it started.")
    ] = False,
) -> None:
    """Stop the loop of this data root and wait for its end.

    Reads the lock in data/coordination and writes nothing; the loop itself starts no more jobs,
    leaves games under way to be played again from their seeds, and keeps a training's checkpoint.
    Nothing is lost by --kill either: the next start goes on with what is stored.

    Examples: ringrift loop stop | ringrift loop stop --timeout 10 --kill

    Exit codes: 0 ended, 3 no loop runs, 75 it still runs after the timeout.

    was: unified_ai_loop.py --stop
    """
    from ringrift.core.ending import ProcessName, end_processes
    from ringrift.core.host_table import start_ticks

    invocation = current()
    paths = invocation.paths(create=False)
    owner = runner(paths)
    if owner is None:
        words = f"no loop runs on this data root ({paths.root}); try {START_HINT}"
        invocation.out.result({"pid": None, "seconds": 0.0}, human=words, ok=False)
        raise typer.Exit(NOT_RUNNING)
    process = ProcessName(owner.pid, start_ticks(owner.pid) or 0)
    began_s = time.monotonic()
    if process.alive:
        os.kill(owner.pid, signal.SIGTERM)
    invocation.out.note(f"stopping the loop, {owner}")
    ended = wait_for_end(process, timeout)
    if not ended and kill:
        ended = not end_processes([process], grace_s=0.0)
        invocation.out.note("it was ended at once")
    seconds = round(time.monotonic() - began_s, 1)
    if not ended:
        raise BusyError(
            f"the loop still runs after {timeout:g} s: {owner}",
            where=str(paths.root),
            hint="ringrift loop stop --kill, or a longer --timeout",
        )
    invocation.out.result(
        {"pid": owner.pid, "seconds": seconds}, human=f"the loop ended after {seconds:g} s"
    )


def wait_for_end(process: ProcessName, timeout_s: float) -> bool:
    """Wait for the end of a process; say whether it ended."""
    deadline_s = time.monotonic() + timeout_s
    while process.alive:
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(LOOK_EVERY_S)
    return True
