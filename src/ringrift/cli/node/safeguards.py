"""`ringrift node safeguards`: breakers, spawn limits and the emergency stop (`core.md` 7)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ringrift.core.breakers import BreakerStatus
    from ringrift.core.emergency import Halt
    from ringrift.core.spawn_limits import SpawnLimits, SpawnStatus

TEST_TIMEOUT_S = 60.0


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("safeguards")(safeguards)


def safeguards(
    status: Annotated[
        bool, typer.Option("--status", help="Show halts, breakers and bounds; this is the default.")
    ] = False,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Halt: nothing new starts, loops stop.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, with --emergency.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear-emergency", help="Lift the halt.")] = False,
    config_key: Annotated[
        str | None,
        typer.Option(
            "--config-key",
            metavar="KEY",
            help="Halt or lift one configuration alone.",
            autocompletion=complete_configurations,
        ),
    ] = None,
    test_spawn: Annotated[
        bool, typer.Option("--test-spawn", help="Start a small program within the bounds.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Show what keeps failures small, halt all work, or lift a halt.

    --status reads the halt files and breakers.json in data/coordination and this user's table of
    running tasks, and writes nothing; its exit code is 1 while something is halted or a breaker is
    open. --emergency writes data/coordination/EMERGENCY_HALT, or HALT.KEY for one configuration:
    nothing new starts in this data root and loops stop after the running unit, within 5 s. Only
    --clear-emergency and loop resume remove it. --test-spawn exits 75 where a bound is reached or
    work is halted.

    Examples: ringrift node safeguards --status | ringrift node safeguards --emergency
    --reason maintenance --dry-run

    was: app/coordination/safeguards.py
    """
    run = current()
    if sum((status, emergency, clear, test_spawn)) > 1:
        raise UsageError(
            "one at a time of --status, --emergency, --clear-emergency and --test-spawn"
        )
    if reason is not None and not emergency:
        raise UsageError("--reason says why work is halted", hint="--emergency --reason TEXT")
    if config_key is not None and not (emergency or clear):
        raise UsageError("--config-key goes with --emergency or --clear-emergency")
    root = run.paths(create=False).root
    if emergency:
        _halt(root, reason or "by hand", config_key, dry_run=dry_run)
    elif clear:
        _clear(root, config_key, dry_run=dry_run)
    elif test_spawn:
        _test_spawn(root, dry_run=dry_run)
    else:
        _status(root)


def _halt(root: Path, reason: str, config: str | None, *, dry_run: bool) -> None:
    from ringrift.core.emergency import halt, halt_file, halted

    run = current()
    path = halt_file(root, _known(config))
    former = halted(root, config)
    if dry_run:
        fields = None if former is None else former.as_fields()
        words = str(former) if former else f"would write {path}: {reason}"
        run.out.result({"halt": fields, "file": str(path), "dry_run": True}, human=words)
        return
    made = halt(root, reason=reason, config=config)
    run.out.result(
        {"halt": made.as_fields(), "file": str(path), "dry_run": False},
        human=f"{made}\nto lift it: ringrift node safeguards --clear-emergency"
        + (f" --config-key {config}" if config else ""),
    )


def _clear(root: Path, config: str | None, *, dry_run: bool) -> None:
    from ringrift.core.emergency import halt_file, halts, resume

    run = current()
    path = halt_file(root, _known(config))
    before = halts(root)
    found = next((each for each in before if each.config == config), None)
    if not dry_run:
        resume(root, config)
    left = [each for each in before if each.config != config]
    verb = "would lift" if dry_run else "lifted"
    lines = [f"{verb}: {found}" if found else f"nothing to lift: there is no {path}"]
    lines += [f"still there: {each}" for each in left]
    run.out.result(
        {
            "cleared": None if found is None else found.as_fields(),
            "left": [each.as_fields() for each in left],
            "dry_run": dry_run,
        },
        human="\n".join(lines),
    )


def _test_spawn(root: Path, *, dry_run: bool) -> None:
    import os
    import subprocess
    import sys
    import time

    from ringrift.core.spawn_limits import DEPTH_VARIABLE
    from ringrift.core.spawning import SpawnLimiter, shown_command

    run = current()
    code = f"import os; print(os.environ['{DEPTH_VARIABLE}'], os.getsid(0))"
    argv = [sys.executable, "-I", "-c", code]
    if dry_run:
        run.out.result(
            {"command": shown_command(argv), "dry_run": True},
            human=f"would start: {shown_command(argv)}",
        )
        return
    before_s = time.monotonic()
    limiter = SpawnLimiter(root, limits=_limits())
    with limiter.spawn(
        argv,
        category="test",
        timeout_s=TEST_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        said, _ = child.process.communicate()
        exit_code = child.wait()
    depth, _, session = said.strip().partition(" ")
    apart = session == str(child.pid) and child.pid != os.getsid(0)
    ok = exit_code == 0 and apart
    fields: dict[str, Any] = {
        "exit_code": exit_code,
        "depth": int(depth) if depth.isdecimal() else None,
        "own_session": apart,
        "timed_out": child.timed_out,
        "seconds": round(time.monotonic() - before_s, 3),
        "dry_run": False,
    }
    where = "a session of its own" if apart else "our session"
    words = f"started at depth {depth} in {where}, exit code {exit_code}, {fields['seconds']} s"
    run.out.result(fields, human=words, ok=ok)
    if not ok:
        raise typer.Exit(1)


def _status(root: Path) -> None:
    from ringrift.core.breakers import read_breakers
    from ringrift.core.emergency import halts
    from ringrift.core.spawn_limits import spawn_status

    run = current()
    found = halts(root)
    breakers = read_breakers(root)
    spawns = spawn_status(_limits())
    ok = not found and all(breaker.state != "open" for breaker in breakers)
    run.out.result(
        {
            "halted": bool(found),
            "halts": [each.as_fields() for each in found],
            "breakers": [_breaker_fields(breaker) for breaker in breakers],
            "spawns": _spawn_fields(spawns),
        },
        human=lambda console: _print(console, found, breakers, spawns),
        ok=ok,
    )
    if not ok:
        raise typer.Exit(1)


def _print(
    console: Console, found: list[Halt], breakers: list[BreakerStatus], spawns: SpawnStatus
) -> None:
    out = current().out
    for each in found:
        console.print(str(each), soft_wrap=True)
    if not found:
        console.print("not halted")
    console.print(
        f"{spawns.recent_spawns} of at most {spawns.max_spawns} programs started in the last "
        f"{spawns.window_s:g} s; depth {spawns.depth} of at most {spawns.max_depth}",
        soft_wrap=True,
    )
    uses = [
        (use.category, use.running, use.bound, use.pressure.state, f"{use.pressure.delay_s:g}")
        for use in spawns.uses
    ]
    heads = [
        Column("processes"),
        Column("running", number=True),
        Column("at most", number=True),
        Column("pressure"),
        Column("wait s", number=True),
    ]
    console.print(out.table(heads, uses))
    if not breakers:
        console.print("no breaker has counted a failure")
        return
    columns = [
        Column("breaker"),
        Column("state"),
        Column("failures", number=True),
        Column("pid", number=True),
        Column("opened"),
        Column("last error"),
    ]
    rows = [
        (
            breaker.name,
            breaker.state,
            breaker.failures,
            breaker.pid,
            breaker.opened_at or "never",
            breaker.last_error,
        )
        for breaker in breakers
    ]
    console.print(out.table(columns, rows))


def _breaker_fields(breaker: BreakerStatus) -> dict[str, Any]:
    fields = asdict(breaker)
    del fields["start_ticks"]
    return fields


def _spawn_fields(spawns: SpawnStatus) -> dict[str, Any]:
    fields = asdict(spawns)
    fields["uses"] = [
        {
            "category": use.category,
            "running": use.running,
            "bound": use.bound,
            "pressure": use.pressure.state,
            "delay_s": use.pressure.delay_s,
        }
        for use in spawns.uses
    ]
    return fields


def _limits() -> SpawnLimits:
    from ringrift.core.limits import thread_budget
    from ringrift.core.spawn_limits import SpawnLimits

    settings = current().settings().values.safeguards
    return SpawnLimits.from_settings(settings, threads=thread_budget())


def _known(config: str | None) -> str | None:
    from ringrift.core.settings import CONFIGURATIONS

    if config is not None and config not in CONFIGURATIONS:
        raise UsageError(
            f"unknown configuration {config!r}; expected one of {', '.join(CONFIGURATIONS)}",
            where="--config-key",
        )
    return config
