"""`ringrift node limits`: resources against their limits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.core.limits import Verdict
    from ringrift.core.readings import Readings
    from ringrift.core.settings.limits import Limits

WATCH_EVERY_S = 5.0
_FIRST_MEAN_S = 1.0
_EXIT = {"ok": 0, "unknown": 0, "warning": 1, "critical": 75}


def register(app: typer.Typer) -> None:
    """Add the command to the group."""

    @app.command("limits")
    def limits(
        watch: Annotated[
            bool, typer.Option("--watch", help="Repeat every 5 s until Ctrl-C.")
        ] = False,
    ) -> None:
        """Show what is used of this machine, its limits and the state.

        Reads the settings (section limits) and the machine; writes nothing. Percents are of the
        disk of the data root, of memory (or the container's share), of the CPUs as used by
        processes that are not ours, and of each GPU's memory; the load is that of others. A value
        above the table's default is marked as raised. With --watch and --json one object a line.

        Examples: ringrift node limits | ringrift node limits --json

        Exit codes: 0 all below warning, 1 a warning, 75 something is critical; --watch ends with 0.
        """
        if watch:
            repeat()
        else:
            once()


def once() -> None:
    """Print one look and end with the exit code of the gravest state."""
    from ringrift.core.limits import judge, worst
    from ringrift.core.readings import prime, read

    invocation = current()
    values = invocation.settings().values.limits
    prime()
    time.sleep(_FIRST_MEAN_S)
    readings = read(place())
    verdicts = judge(readings, values)
    state = worst(verdicts)
    code = _EXIT[state]
    invocation.out.result(
        fields(readings, verdicts), human=table(readings, verdicts, values), ok=code == 0
    )
    if code:
        raise typer.Exit(code)


def repeat() -> None:
    """Print a look every five seconds until SIGINT or SIGTERM."""
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.limits import judge
    from ringrift.core.readings import prime, read

    out = current().out
    values = current().settings().values.limits
    prime()
    with cooperative_stop() as stop:
        waiting_s = _FIRST_MEAN_S
        while not stop.wait(waiting_s):
            waiting_s = WATCH_EVERY_S
            readings = read(place())
            verdicts = judge(readings, values)
            at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            if out.as_json:
                out.line({"at": at, **fields(readings, verdicts)})
            else:
                out.result({}, human=table(readings, verdicts, values, title=at))


def place() -> Path:
    """Return the folder whose disk counts: the data root, else the working folder."""
    return current().known_root() or Path.cwd()


def fields(readings: Readings, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """Return a look as it is printed with --json."""
    from ringrift.core.limits import thread_budget, worst

    return {
        "state": worst(verdicts).value,
        "cpus": readings.cpus,
        "thread_budget": thread_budget(readings.cpus),
        "limits": [
            {
                "resource": verdict.resource.value,
                "device": verdict.device,
                "used": verdict.used,
                "unit": "threads" if verdict.resource == "load" else "percent",
                "warning": verdict.warning,
                "critical": verdict.critical,
                "state": verdict.state.value,
                "raised": verdict.limit.raised,
                "available_bytes": None if space is None else space.available_bytes,
                "total_bytes": None if space is None else space.total_bytes,
                "path": None if verdict.path is None else str(verdict.path),
                "key": verdict.key,
                "reason": verdict.reason,
            }
            for verdict in verdicts
            for space in (verdict.space,)
        ],
    }


def table(
    readings: Readings,
    verdicts: tuple[Verdict, ...],
    values: Limits,
    *,
    title: str | None = None,
) -> RenderableType:
    """Return a look as people read it."""
    heads = ("used", "warning", "critical")
    columns = [
        Column("resource"),
        *(Column(f"{head} %", number=True) for head in heads),
        Column("state"),
        Column("note"),
    ]
    rows = [
        (
            verdict.name,
            *_numbers(verdict, readings.cpus),
            verdict.state.value,
            _note(verdict, readings, values),
        )
        for verdict in verdicts
    ]
    return current().out.table(columns, rows, title=title)


def _numbers(verdict: Verdict, cpus: float) -> tuple[str | None, str, str]:
    """Show use and limits as percents; a load is one of the CPUs."""
    scale = 100.0 / cpus if verdict.resource == "load" else 1.0
    used = None if verdict.used is None else f"{verdict.used * scale:.1f}"
    warning = "-" if verdict.warning is None else f"{verdict.warning * scale:g}"
    return used, warning, f"{verdict.critical * scale:g}"


def _note(verdict: Verdict, readings: Readings, values: Limits) -> str:
    from ringrift.core.limits import limit_of

    words = []
    if verdict.limit.raised:
        default = limit_of(verdict.resource, type(values)(), cpus=readings.cpus)
        words.append(f"raised above the default {_numbers_of(default.critical, verdict, readings)}")
    if verdict.limit.off:
        words.append("off")
    if verdict.space is not None:
        words.append(f"{verdict.space.available_bytes / (1 << 30):,.1f} GiB free")
    if verdict.resource == "load" and verdict.used is not None:
        words.append(f"{verdict.used:.2f} on {readings.cpus:g} CPUs")
    if verdict.path is not None:
        words.append(str(verdict.path))
    return ", ".join(words)


def _numbers_of(value: float, verdict: Verdict, readings: Readings) -> str:
    scale = 100.0 / readings.cpus if verdict.resource == "load" else 1.0
    return f"{value * scale:g}"
