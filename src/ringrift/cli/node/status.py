"""`ringrift node status`: one page about this machine and this data root."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.node.limits import place

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_MEAN_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("status")(status)


def status() -> None:
    """Show on one page what this machine may do, does and reports.

    Reads the machine, the settings, the table of this host's tasks and, in the data root, halts,
    roles, breakers and alerts; writes nothing. The commands that say more: node limits, safeguards,
    roles, optimizer, alerts.

    Examples: ringrift node status | ringrift node status --json

    Exit codes: 0 all is well, 1 something is critical, halted, open or firing.
    """
    out = current().out
    fields = look(place())
    troubles = [words for words in (_trouble(name, fields) for name in fields) if words]
    lines = [f"{name:12s} {_words(name, value)}" for name, value in fields.items()]
    out.result({**fields, "troubles": troubles}, human="\n".join(lines), ok=not troubles)
    if troubles:
        raise typer.Exit(1)


def look(root: Path) -> dict[str, Any]:
    """Return the state of every part: names, counts and reasons, no details."""
    from ringrift.core.alerts import DATABASE, AlertBook
    from ringrift.core.breakers import read_breakers
    from ringrift.core.emergency import halts
    from ringrift.core.host_table import HostTable
    from ringrift.core.limits import State, judge
    from ringrift.core.paths import Paths
    from ringrift.core.readings import prime, read
    from ringrift.core.roles import role_states

    prime()
    time.sleep(_FIRST_MEAN_S)
    verdicts = judge(read(root), current().settings().values.limits)
    table = HostTable.find()
    tasks = [] if table is None else table.tasks()
    alerts = []
    if (path := Paths(root).coordination / DATABASE).is_file():
        with closing(AlertBook(path, readonly=True)) as book:
            alerts = book.alerts()
    return {
        "root": str(root),
        "critical": [v.reason for v in verdicts if v.state is State.CRITICAL],
        "warning": [v.reason for v in verdicts if v.state is State.WARNING],
        "halts": [str(halt) for halt in halts(root)],
        "roles": [f"{state.name}: {state.holder}" for state in role_states(root) if state.held],
        "tasks": [f"{task.category} {task.pid}: {task.command}" for task in tasks],
        "breakers": [f"{b.name}: {b.state}" for b in read_breakers(root) if b.state != "closed"],
        "alerts": [f"{a.kind} {a.subject}: {a.text}" for a in alerts if a.state == "firing"],
    }


def _trouble(name: str, fields: dict[str, Any]) -> str | None:
    """Return what is wrong in one line, None where nothing is."""
    if name in ("critical", "halts", "breakers", "alerts") and fields[name]:
        return f"{name}: {'; '.join(fields[name])}"
    return None


def _words(name: str, value: Any) -> str:
    return value if name == "root" else "; ".join(value) or "none"
