"""`ringrift doctor`: check this machine and say what to do (`core.md` 11)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.core.errors import RingriftError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.checks.model import Context
    from ringrift.cli.checks.runner import Report

app = typer.Typer(add_completion=False, help="Check this machine and say what to do.")


@app.command()
def doctor(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="At most 5 s: no torch, no compiling, no hashing, no hub server."
        ),
    ] = False,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Make missing folders, remove damaged compile caches and stale partial files.",
        ),
    ] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="Fail without a CUDA device.")] = False,
) -> None:
    """Check this machine and say what to do.

    Looks at Python, the packages and their files, compiled rules, torch and the GPU, the data root
    with its settings, ports, the hub's server, what must be reachable, clock, limits and leftovers.
    Each line is ok, warn or fail, with what was seen and what to do. Takes at most a minute, with
    --quick 5 s. Writes nothing that stays, but with --fix.

    Exit code 0 when nothing failed (warnings are allowed), 1 when something did.

    Examples: ringrift doctor --quick --json | ringrift doctor

    was: training_preflight_check.py (its resource part)
    """
    from ringrift.cli.checks.runner import run_checks
    from ringrift.cli.checks.table import ALL_CHECKS
    from ringrift.core.readings import prime

    prime()  # the use of the CPUs is a mean from here on
    invocation = current()
    context = context_of(invocation, quick=quick, gpu=gpu)
    with invocation.out.progress() as progress:
        task = progress.task("checking", total=len(ALL_CHECKS), unit="checks")

        def begin(name: str) -> None:
            task.update(task.done + 1, name=f"checking {name}")

        report = run_checks(context, ALL_CHECKS, repair=fix, on_check=begin)
        task.finish()
    invocation.out.result(
        fields_of(report, quick=quick),
        human=lambda console: show(report, console),
        ok=report.healthy,
    )
    if not report.healthy:
        raise typer.Exit(1)


def context_of(invocation: Invocation, *, quick: bool, gpu: bool) -> Context:
    """Find root and settings; what is wrong with them becomes findings, not the end."""
    from ringrift.cli.checks.model import Context
    from ringrift.core.settings_loader import load_settings

    root, root_problem = None, None
    try:
        root = invocation.known_root()
    except RingriftError as error:
        root_problem = error.message
    values, file = load_settings(environ={}).values, None
    problems: tuple[SettingsError, ...] = ()
    warnings: tuple[str, ...] = ()
    try:
        loaded = load_settings(root=root, file=invocation.options.config)
        values, file, warnings = loaded.values, loaded.file, loaded.warnings
    except SettingsError as error:
        problems = error.problems
    return Context(
        root=root,
        root_problem=root_problem,
        settings=values,
        settings_file=file,
        settings_problems=problems,
        settings_warnings=warnings,
        quick=quick,
        gpu_required=gpu,
    )


def fields_of(report: Report, *, quick: bool) -> dict[str, Any]:
    """Return the JSON result."""
    return {
        "checks": [asdict(line) for line in report.findings],
        "counts": {state: report.count(state) for state in ("ok", "warn", "fail")},
        "repaired": list(report.repaired),
        "quick": quick,
        "left_out": list(report.left_out),
        "seconds": round(report.seconds, 3),
    }


def show(report: Report, console: Console) -> None:
    """Print the lines and their number."""
    columns = [Column("state"), Column("check"), Column("seen"), Column("what to do")]
    rows = [(line.state, line.check, line.seen, line.remedy or "") for line in report.findings]
    console.print(current().out.table(columns, rows))
    for line in report.repaired:
        console.print(line, soft_wrap=True)
    counts = ", ".join(f"{report.count(state)} {state}" for state in ("ok", "warn", "fail"))
    rest = f"; left out: {', '.join(report.left_out)}" if report.left_out else ""
    console.print(f"{counts} in {report.seconds:.1f} s{rest}", soft_wrap=True)
