"""`ringrift loop iterate`: a fixed number of cycles on one configuration (`loop.md` 6)."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.events import log_folder
from ringrift.cli.loop.iterate_options import (
    UNVERIFIED,
    IterateOptions,
    configuration,
    require_own_stores,
    settings_of,
)
from ringrift.cli.loop.options import Options, asked
from ringrift.cli.option_sets import command_of
from ringrift.cli.output import Column
from ringrift.core.errors import RefusedError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.loop.run_options import RunSummary

NAMES = ("profile", "seed", "workers", "no_wait", "metrics_port", "no_metrics", "dry_run")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    inherited = {field.name for field in fields(Options)}
    own = [field.name for field in fields(IterateOptions) if field.name not in inherited]
    app.command("iterate")(
        command_of(iterate, IterateOptions, [*own, *NAMES], defaults={}, shown={})
    )


def iterate(options: IterateOptions) -> None:
    """Run a number of cycles on one configuration, with so many games each.

    Reads and writes what loop run does, without pauses between trainings and without what comes by the
    clock: shadow evaluations and tournaments. It goes on where an earlier call was killed: games, models
    and decisions are the state. At the end a row for each cycle and the champion are printed.

    Examples: ringrift loop iterate --board square8 --iterations 10 --games-per-iter 50 | ringrift loop
    iterate --iterations 2 --dry-run

    was: run_improvement_loop.py, unified_improvement_controller.py
    """
    invocation = current()
    for name, given in (
        ("--allow-legacy", options.allow_legacy),
        ("--allow-pending-gate", options.allow_pending_gate),
    ):
        if given:
            raise RefusedError(UNVERIFIED, where=name, hint="ringrift games import")
    require_own_stores(options, invocation.paths(create=False))
    if options.state_file is not None:
        invocation.out.note("--state-file is not used: games, models and decisions are the state")
    wanted = asked(
        invocation,
        options,
        settings=settings_of(options),
        configs=(configuration(options),),
        max_cycles=options.iterations,
        timed_work=False,
    )
    if options.dry_run:
        from ringrift.cli.loop.plan import show_plan

        show_plan(invocation, wanted)
        return
    from ringrift.cli.loop.run import run_here

    began_at = time.time()
    summary = run_here(invocation, wanted, no_wait=options.no_wait)
    rows = cycle_rows(wanted.run.configs[0], began_at)
    fields_of = {
        "config": wanted.run.configs[0],
        "ended": summary.ended,
        "seconds": round(summary.seconds, 1),
        "champion": summary.champions.get(wanted.run.configs[0]),
        "iterations": rows,
    }
    invocation.out.result(fields_of, human=lambda console: show(invocation, summary, rows, console))


def cycle_rows(config: str, since: float) -> list[dict[str, Any]]:
    """Return the cycles that were decided since a moment, from the event log."""
    from ringrift.loop.cycles import CYCLES
    from ringrift.loop.events import read_events

    found = read_events(log_folder(), since=since, kinds=CYCLES, config=config)
    return [
        {
            "iteration": event["cycle"],
            "decision": event["kind"],
            **{
                name: event["data"][name]
                for name in ("games", "losses", "score", "elo_diff", "ci95", "test_games")
            },
            "candidate": event["data"]["candidate"],
            "reason": event["data"]["reason"],
        }
        for event in found
    ]


def show(
    invocation: Invocation, summary: RunSummary, rows: list[dict[str, Any]], console: Console
) -> None:
    """Print the table of the cycles and how the run ended."""
    from ringrift.cli.loop.run import show as show_summary
    from ringrift.loop.lines import signed_elo

    columns = [
        Column("iteration", number=True),
        Column("games", number=True),
        Column("loss", number=True),
        Column("score", number=True),
        Column("Elo against the champion"),
        Column("decision"),
        Column("candidate"),
    ]
    cells = [
        (
            row["iteration"],
            row["games"],
            row["losses"][-1] if row["losses"] else None,
            row["score"],
            signed_elo(row["elo_diff"], row["ci95"]),
            row["decision"],
            row["candidate"][:6],
        )
        for row in rows
    ]
    console.print(invocation.out.table(columns, cells))
    show_summary(summary, console)
