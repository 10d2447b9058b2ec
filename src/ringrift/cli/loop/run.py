"""`ringrift loop run`: the loop in the foreground."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.failure import INTERRUPTED
from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.loop.options import Asked, Options, asked
from ringrift.cli.option_sets import command_of

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.loop.screen import Screen
    from ringrift.core.paths import Paths
    from ringrift.core.settings import Settings
    from ringrift.loop.run_options import RunSummary

GIB = 1 << 30


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    names = [field.name for field in fields(Options)]
    app.command("run")(command_of(run, Options, names, defaults={}, shown={}))


def run(options: Options) -> None:
    """Play against itself, learn, measure and promote until stopped.

    Reads the settings and the data root; writes games (data/games), models (models/objects),
    decisions (models/decisions), the event log (logs/unified_loop/events.jsonl), the output of jobs
    (logs/jobs) and data/loop/status.json. All that it knows it reads from these, so it goes on where
    it was after any end, kill -9 included. Ctrl-C ends it in order: games under way are left and
    played again from their seeds, a training keeps its checkpoint; twice ends at once.

    Examples: ringrift loop run --profile quick --yes | ringrift loop run --profile quick
    --until beats_heuristic --max-minutes 45

    Exit codes: 0 done, also a run without end after Ctrl-C; 1 the time ran out before --until; 75
    another loop runs here, or the machine is at a limit; 130 stopped before --until or --max-cycles.

    was: unified_ai_loop.py --foreground, multi_config_training_loop.py, master_self_improvement.py
    """
    invocation = current()
    wanted = asked(invocation, options)
    if options.dry_run:
        from ringrift.cli.loop.plan import show_plan

        show_plan(invocation, wanted)
        return
    execute(invocation, wanted, no_wait=options.no_wait)


def execute(invocation: Invocation, wanted: Asked, *, no_wait: bool) -> None:
    """Run the loop to its end with its screen and print what it came to."""
    summary = run_here(invocation, wanted, no_wait=no_wait)
    unfinished = summary.ended == "stopped" and (wanted.run.until or wanted.run.max_cycles)
    missed = wanted.run.until is not None and summary.ended == "time"
    invocation.out.result(
        fields_of(summary),
        human=lambda console: show(summary, console),
        ok=not (missed or unfinished),
    )
    if missed:
        raise typer.Exit(1)
    if unfinished:
        raise typer.Exit(INTERRUPTED)


def run_here(invocation: Invocation, wanted: Asked, *, no_wait: bool) -> RunSummary:
    """Run the loop in this process with its screen."""
    invocation.paths(create=False)  # a missing root is refused before anything is waited for
    ready_for(invocation, wait=not no_wait, limits=wanted.loaded.values.limits)
    from ringrift.cli.loop.screen import Screen
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.loop.session import run as run_loop

    paths = invocation.paths()
    # What happens is told by the screen; of the log people need what went wrong.
    invocation.log_to(paths.from_setting(wanted.loaded.values.log_dir), level="warning")
    out = invocation.out
    drawn = sys.stderr.isatty() and out.show_progress is not False
    verbose = bool(invocation.options.verbose)
    with (
        cooperative_stop() as stop,
        Screen(out.console(sys.stderr), live=drawn, verbose=verbose, quiet=out.quiet) as screen,
    ):
        say_what_was_found(screen, wanted, str(paths.root))
        summary: RunSummary = run_loop(
            wanted.loaded.values, paths, wanted.run, screen, lambda: stop.requested
        )
    return with_report(summary, paths, wanted.loaded.values)


def with_report(summary: RunSummary, paths: Paths, settings: Settings) -> RunSummary:
    """Draw the report of the configurations that have a champion and say where it is.

    A child does: the loop's own process loads no plotting library.
    """
    from ringrift.loop.reporting import draw_in_child

    champions = [config for config, champion in summary.champions.items() if champion is not None]
    if summary.ended == "once" or not champions:
        return summary
    folder = paths.loop / "report"
    draw_in_child(paths, settings, champions, folder)
    return replace(summary, report=folder)


def say_what_was_found(screen: Screen, wanted: Asked, root: str) -> None:
    """Print one line of cores, memory, GPU, root, profile, configurations, seed."""
    from ringrift.core.cgroups import available_cpus
    from ringrift.core.readings import read_gpus, read_memory

    memory = read_memory()
    size = "unknown" if memory is None else f"{memory.total_bytes / GIB:.1f} GiB"
    gpus = ", ".join(gpu.name for gpu in read_gpus()) or "none"
    run_options = wanted.run
    screen.note(
        f"{available_cpus():g} cores, {size} memory, GPU {gpus}; root {root}; "
        f"profile {run_options.profile}; {', '.join(run_options.configs)}; seed {run_options.seed}"
    )


def fields_of(summary: RunSummary) -> dict[str, Any]:
    """Return the JSON result."""
    return {
        "ended": summary.ended,
        "cycles": summary.cycles,
        "seconds": round(summary.seconds, 1),
        "champions": dict(summary.champions),
        "milestones": {config: dict(found) for config, found in summary.milestones.items()},
        "report": None if summary.report is None else str(summary.report),
        "next": next_command(summary),
    }


def show(summary: RunSummary, console: Console) -> None:
    """Print how the run ended, the report and the next sensible command."""
    from ringrift.loop.lines import duration

    words = {
        "cycles": "the cycles are done",
        "milestone": "the milestone is reached",
        "time": "the time is over",
        "once": "one pass is done",
        "idle": "nothing is left to do",
        "stopped": "stopped",
    }[summary.ended]
    lines = [f"{words} after {summary.cycles} cycles in {duration(summary.seconds)}"]
    for config, champion in summary.champions.items():
        reached = summary.milestones.get(config, {})
        told = "".join(f", {name} {minutes:.1f} min" for name, minutes in reached.items())
        lines.append(f"{config}  champion {'none' if champion is None else champion[:12]}{told}")
    if summary.report is not None:
        lines.append(f"report: {summary.report}")
    lines.append(f"next: {next_command(summary)}")
    console.print("\n".join(lines), soft_wrap=True)


def next_command(summary: RunSummary) -> str:
    """Return what is sensible after this run."""
    if summary.ended == "once":
        return "ringrift loop status"
    if all(champion is None for champion in summary.champions.values()):
        return "ringrift loop run"
    config = next(c for c, champion in summary.champions.items() if champion is not None)
    return f"ringrift loop report --config-key {config}"
