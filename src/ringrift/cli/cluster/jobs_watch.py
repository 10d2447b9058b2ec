"""`ringrift cluster jobs watch`: what happens to the jobs, as it happens."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.cluster.reaching import Kind, OfNode, Standing, known, reached
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import ConfigKey
from ringrift.core.errors import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ringrift.cluster.job_table import JobRow, Wanted

LOOK_EVERY_S = 1.0


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("watch")(watch)


def watch(
    kind: Kind = None,
    config_key: ConfigKey = None,
    status: Standing = None,
    node: OfNode = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--duration", min=0.0, metavar="S", help="Seconds to watch [default: until Ctrl-C]."
        ),
    ] = None,
) -> None:
    """Print each change of a job as it is seen, once a second.

    Reads the hub's queue and results; writes nothing. A job that ends between two looks is seen with
    its end alone. With --json one object a line, and the counts at the end. While the hub is away
    nothing is seen; what happened meanwhile is told afterwards.

    Examples: ringrift cluster jobs watch | ringrift cluster jobs watch --kind match --duration 60
    --json

    Exit codes: 0 watched, 3 no hub runs.
    """
    from ringrift.cluster.job_table import Wanted
    from ringrift.core.interrupt import cooperative_stop

    known(kind, config_key, status)
    wanted = Wanted(kind=kind, config=config_key, standing=status, node=node)
    out = current().out
    changes: Counter[str] = Counter()
    with reached() as hub, cooperative_stop() as stop:
        before = {row.id: row for row in hub.rows()}
        until_s = None if seconds is None else time.monotonic() + seconds
        while not stop.requested:
            left_s = LOOK_EVERY_S if until_s is None else until_s - time.monotonic()
            if left_s <= 0 or stop.wait(min(left_s, LOOK_EVERY_S)):
                break
            try:
                now = {row.id: row for row in hub.rows()}
            except NotRunningError as error:
                out.note(f"hub away: {error.message}")
                continue
            for row in _changed(before, now, wanted):
                changes[row.standing] += 1
                out.line(_fields(row), human=_line(row))
            before = now
        left = sum(row.result is None and wanted.has(row) for row in before.values())
    words = ", ".join(f"{count:,} {name}" for name, count in sorted(changes.items()))
    out.result(
        {"changes": dict(changes), "open": left},
        human=f"{words or 'no change'}; {left:,} jobs open",
    )


def _changed(
    before: Mapping[str, JobRow], now: Mapping[str, JobRow], wanted: Wanted
) -> Iterator[JobRow]:
    for row in now.values():
        former = before.get(row.id)
        if (former is None or former.standing != row.standing) and wanted.has(row):
            yield row


def _fields(row: JobRow) -> dict[str, Any]:
    return {"at": time.time(), **row.as_fields()}


def _line(row: JobRow) -> str:
    from ringrift.core.ids import short

    clock = time.strftime("%H:%M:%S", time.gmtime())
    where = f" on {row.node}" if row.node else ""
    error = row.result.error["message"] if row.result and row.result.error else ""
    return f"{clock} {short(row.id)} {row.kind} {row.config} {row.standing}{where} {error}".rstrip()
