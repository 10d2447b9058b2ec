"""`ringrift node roles`: who does what on this host (`core.md` 7)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ringrift.core.host_table import Task
    from ringrift.core.roles import RoleState

MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("roles")(roles)


def roles(
    status: Annotated[
        bool, typer.Option("--status", help="Show roles and running tasks; this is the default.")
    ] = False,
    check_role: Annotated[
        str | None,
        typer.Option("--check-role", metavar="ROLE", help="Exit 0 if it is free, 75 if held."),
    ] = None,
    device: Annotated[
        int | None,
        typer.Option("--device", min=0, help="GPU, with --check-role training [default: any]."),
    ] = None,
    cleanup: Annotated[
        bool, typer.Option("--cleanup", help="Remove what ended processes left behind.")
    ] = False,
    kill_category: Annotated[
        str | None,
        typer.Option(
            "--kill-category", metavar="CATEGORY", help="End this root's tasks of a category."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Show who holds each role and what runs on this host, or end tasks.

    Roles are orchestrator, training (one per GPU), tournament, collector, provisioner and guard;
    their locks are in data/coordination/roles, those of training in the folder that this user's
    data roots share on this host, with the table of running tasks. --status and --check-role write
    nothing. --kill-category asks first, then sends SIGTERM to this user's registered tasks of the
    category in this data root and SIGKILL after 10 s; it exits 5 when one survives. A pid that
    belongs to another process by now is never signalled.

    Examples: ringrift node roles --status | ringrift node roles --check-role orchestrator

    was: app/distributed/cluster_coordinator.py
    """
    run = current()
    if sum((status, check_role is not None, cleanup, kill_category is not None)) > 1:
        raise UsageError("one at a time of --status, --check-role, --cleanup and --kill-category")
    if device is not None and check_role != "training":
        raise UsageError("--device goes with --check-role training")
    root = run.paths(create=False).root
    if check_role is not None:
        _check(root, check_role, device)
    elif cleanup:
        _cleanup(root, dry_run=dry_run)
    elif kill_category is not None:
        _kill(root, kill_category, dry_run=dry_run)
    else:
        _status(root)


def _status(root: Path) -> None:
    from ringrift.core.roles import role_states

    run = current()
    states = role_states(root, _devices())
    tasks = _tasks()
    run.out.result(
        {
            "roles": [state.as_fields() for state in states],
            "tasks": [_task_fields(task) for task in tasks],
        },
        human=lambda console: _print(console, states, tasks),
    )


def _check(root: Path, name: str, device: int | None) -> None:
    from ringrift.core.roles import role_named, role_state

    run = current()
    role = role_named(name)
    devices = _devices() if role == "training" and device is None else (device,)
    states = [role_state(root, role, each) for each in devices]
    free = [state for state in states if not state.held]
    holders = "; ".join(
        f"{state.name} is held by {state.holder or 'another process'}" for state in states
    )
    run.out.result(
        {"role": role, "free": bool(free), "states": [state.as_fields() for state in states]},
        human=f"{free[0].name} is free" if free else holders,
        ok=bool(free),
    )
    if not free:
        raise typer.Exit(75)


def _cleanup(root: Path, *, dry_run: bool) -> None:
    from ringrift.core.roles import find_dead, remove_dead

    run = current()
    tasks, notes = find_dead(root) if dry_run else remove_dead(root)
    verb = "would remove" if dry_run else "removed"
    run.out.result(
        {
            "tasks": [_task_fields(task) for task in tasks],
            "files": [str(note) for note in notes],
            "dry_run": dry_run,
        },
        human=f"{verb} {len(tasks)} rows of ended tasks and {len(notes)} notes of roles",
    )


def _kill(root: Path, category: str, *, dry_run: bool) -> None:
    from ringrift.core.roles import end_tasks

    run = current()
    tasks = [task for task in _tasks() if task.category == category and task.root == str(root)]
    if dry_run or not tasks:
        pids = ", ".join(str(task.pid) for task in tasks)
        words = f"would end {pids}" if tasks else f"no task of category {category!r} in {root}"
        fields = [_task_fields(task) for task in tasks]
        run.out.result({"tasks": fields, "dry_run": dry_run}, human=words)
        return
    pids = ", ".join(str(task.pid) for task in tasks)
    if not run.confirm(f"End {len(tasks)} tasks of category {category!r} in {root} (pid {pids})?"):
        raise NegativeResult("nothing was ended")
    ended = end_tasks(tasks)
    ok = all(each.result == "ended" for each in ended)
    run.out.result(
        {
            "tasks": [{**_task_fields(each.task), "result": each.result} for each in ended],
            "dry_run": False,
        },
        human=run.out.table(
            [Column("pid", number=True), Column("command"), Column("result")],
            [(each.task.pid, each.task.command, each.result) for each in ended],
        ),
        ok=ok,
    )
    if not ok:
        raise typer.Exit(5)


def _print(console: Console, states: list[RoleState], tasks: list[Task]) -> None:
    out = current().out
    columns = [
        Column("role"),
        Column("state"),
        Column("pid", number=True),
        Column("host"),
        Column("started"),
        Column("command"),
    ]
    console.print(out.table(columns, [_role_row(state) for state in states]))
    if not tasks:
        console.print("no registered task runs")
        return
    heads = [
        Column("pid", number=True),
        Column("category"),
        Column("started"),
        Column("memory MiB", number=True),
        Column("GPU MiB", number=True),
        Column("job"),
        Column("root"),
        Column("command"),
    ]
    rows = [
        (
            task.pid,
            task.category,
            _utc(task.started_at),
            task.needs_memory_bytes // MIB,
            task.needs_gpu_bytes // MIB,
            task.job or "-",
            task.root or "-",
            task.command,
        )
        for task in tasks
    ]
    console.print(out.table(heads, rows))


def _role_row(state: RoleState) -> tuple[Any, ...]:
    holder = state.holder
    if holder is None:
        nobody = None if state.held else "-"
        return (state.name, "held" if state.held else "free", *[nobody] * 4)
    return (state.name, "held", holder.pid, holder.host, holder.started_at, holder.command)


def _devices() -> tuple[int | None, ...]:
    """Return the places for training: one per GPU, or one for a host without."""
    from ringrift.core.readings import read_gpus

    return tuple(gpu.index for gpu in read_gpus()) or (None,)


def _tasks() -> list[Task]:
    from ringrift.core.host_table import HostTable

    table = HostTable.find()
    return [] if table is None else table.tasks()


def _task_fields(task: Task) -> dict[str, Any]:
    fields = asdict(task)
    for name in ("id", "start_ticks"):
        del fields[name]
    times = {name: _utc(fields[name]) for name in ("started_at", "registered_at")}
    return {**fields, **times}


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
