"""`ringrift loop watch`: rate models that appear from elsewhere (`loop.md` 7)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.options import END, Options, asked
from ringrift.cli.option_sets import command_of, option
from ringrift.core.errors import UsageError

NAMES = (
    "profile",
    "configs",
    "seed",
    "workers",
    "no_wait",
    "metrics_port",
    "no_metrics",
    "dry_run",
)
INTERVAL_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions(Options):
    """The values of one call."""

    daemon: Annotated[
        bool, option("--daemon", panel=END, help="Go on until Ctrl-C; this is the default.")
    ] = False
    check_once: Annotated[
        bool, option("--check-once", panel=END, help="Rate what is there and end.")
    ] = False
    every: Annotated[
        float,
        option("--interval", panel=END, min=1.0, metavar="S", help="Seconds between two looks."),
    ] = INTERVAL_S
    status: Annotated[bool, option("--status", panel=END, help="Show what loop status shows.")] = (
        False
    )


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    own = [field.name for field in fields(WatchOptions) if field.name not in _inherited()]
    app.command("watch")(command_of(watch, WatchOptions, [*own, *NAMES], defaults={}, shown={}))


def watch(options: WatchOptions) -> None:
    """Give each model without a rating one calibration tournament.

    Reads the registry, not logs; writes games of the tournaments (data/games) and the event log, as
    loop run --only evaluate does. A model gets exactly one tournament: its match settings and its id
    name the job, so a second call finds nothing to do.

    Examples: ringrift loop watch --check-once | ringrift loop watch --daemon --interval 60

    was: training_completion_watcher.py
    """
    from ringrift.cli.loop.plan import show_plan
    from ringrift.cli.loop.run import execute
    from ringrift.cli.loop.status import status

    invocation = current()
    if sum((options.daemon, options.check_once, options.status)) > 1:
        raise UsageError("one at a time of --daemon, --check-once and --status")
    if options.status:
        status()
        return
    wanted = asked(
        invocation,
        options,
        settings={"loop.reconcile_seconds": options.every},
        stages=frozenset({"evaluate"}),
        until_idle=options.check_once,
        timed_work=False,
    )
    if options.dry_run:
        show_plan(invocation, wanted)
        return
    execute(invocation, wanted, no_wait=options.no_wait)


def _inherited() -> set[str]:
    return {field.name for field in fields(Options)}
