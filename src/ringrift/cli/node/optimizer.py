"""`ringrift node optimizer`: the aims of this machine and what the optimizer decided (`core.md` 8)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.core.optimizer_history import Entry
    from ringrift.core.targets import Hardware, Targets

SUFFIXES = (".png", ".svg")
GB = 1_000_000_000


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("optimizer")(optimizer)


def optimizer(
    status: Annotated[
        bool, typer.Option("--status", help="Only aims, slots and the newest decision.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw utilisation and workers (.png, .svg)."),
    ] = None,
    last: Annotated[
        int, typer.Option("--last", min=1, metavar="N", help="Decisions to show.")
    ] = 10,
) -> None:
    """Show the aims of this machine and the optimizer's last decisions.

    Reads the settings (resource_targets) and data/coordination/optimizer.db, which a running loop or
    node writes every 30 seconds; --plot writes FILE from all 14 days kept there. Changes nothing
    else.

    Exit code 1 when --plot finds no decision to draw.

    Examples: ringrift node optimizer --last 5 | ringrift node optimizer --status --json
    """
    from ringrift.core.files import write_atomic
    from ringrift.core.targets import detect, targets_of

    run = current()
    if plot is not None and plot.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"cannot draw a {plot.suffix or 'file without suffix'}; expected {' or '.join(SUFFIXES)}",
            where="--plot",
        )
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UsageError(f"no folder {plot.parent}", where="--plot")
    settings = run.settings().values.resource_targets
    hardware = detect()
    targets = targets_of(hardware, settings)
    if plot is None:
        entries = recorded(1 if status else last)
        run.out.result(
            {
                "targets": _targets_fields(hardware, targets),
                "decisions": [_entry_fields(entry) for entry in entries],
            },
            human=lambda console: _print(console, hardware, targets, entries, table=not status),
        )
        return
    entries = recorded(None)
    if not entries:
        raise NegativeResult(
            "the optimizer has decided nothing yet",
            where=str(database()),
            hint="again while a loop or a node runs",
        )
    from ringrift.core.optimizer_plot import draw

    write_atomic(plot, draw(entries, targets, suffix=plot.suffix.lower()))
    run.out.result(
        {"file": str(plot), "decisions": len(entries)},
        human=f"drew {len(entries)} decisions to {plot}",
    )


def database() -> Path | None:
    """Return the optimizer's database, which may not exist; `None` without a data root."""
    from ringrift.core.optimizer_history import FILE_NAME
    from ringrift.core.paths import Paths

    root = current().known_root()
    return None if root is None else Paths(root).coordination / FILE_NAME


def recorded(count: int | None) -> list[Entry]:
    """Return the newest updates of this data root, all with `None`; none before the first."""
    from ringrift.core.optimizer_history import History

    path = database()
    if path is None or not path.is_file():
        return []
    with History(path, readonly=True) as history:
        return history.last(count)


def _targets_fields(hardware: Hardware, targets: Targets) -> dict[str, Any]:
    return {
        "tier": targets.tier,
        "cpus": hardware.cpus,
        "memory_bytes": hardware.memory_bytes,
        "gpu_memory_bytes": list(hardware.gpu_memory_bytes),
        "slots": targets.slots,
        "threads": targets.threads,
        "aims": {resource: asdict(aim) for resource, aim in targets.aims.items()},
    }


def _entry_fields(entry: Entry) -> dict[str, Any]:
    fields = asdict(entry)
    at_s, decision = fields.pop("at_s"), fields.pop("decision")
    return {"at": _utc(at_s), **fields, **decision}


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _print(
    console: Console, hardware: Hardware, targets: Targets, entries: Sequence[Entry], *, table: bool
) -> None:
    out = current().out
    memory = "unknown" if hardware.memory_bytes is None else f"{hardware.memory_bytes / GB:.1f} GB"
    console.print(
        f"{targets.tier}: {hardware.cpus:g} CPUs, {memory} memory, "
        f"{len(hardware.gpu_memory_bytes)} GPUs; {targets.slots} slots, {targets.threads} threads"
    )
    heads = ("resource", "min %", "target %", "max %", "critical %")
    columns = [Column(head, number=number > 0) for number, head in enumerate(heads)]
    rows = [
        [resource, aim.minimum, aim.target, aim.maximum, aim.critical]
        for resource, aim in targets.aims.items()
    ]
    console.print(out.table(columns, rows, title="aims"))
    if not entries:
        console.print("no decision yet")
    elif table:
        console.print(_decisions(entries))
    else:
        newest = entries[-1]
        console.print(
            f"{_utc(newest.at_s)}: {newest.decision.workers} workers, "
            f"{newest.decision.games_per_hour:,.0f} games/h; {newest.decision.action}: "
            f"{newest.decision.reason}"
        )


def _decisions(entries: Sequence[Entry]) -> Any:
    heads = ("CPU %", "GPU %", "memory %", "error", "level %", "workers", "games/h")
    columns = [
        Column("time (UTC)"),
        *(Column(head, number=True) for head in heads),
        Column("action"),
        Column("reason"),
    ]
    rows = []
    for entry in entries:
        decided = entry.decision
        rows.append(
            [
                _utc(entry.at_s)[5:19].replace("T", " "),
                *(_rounded(each) for each in (entry.cpu, entry.gpu, entry.memory)),
                _rounded(decided.error),
                _rounded(decided.level),
                f"{decided.workers}/{decided.slots}",
                round(decided.games_per_hour),
                decided.action,
                decided.reason,
            ]
        )
    return current().out.table(columns, rows, title="decisions, newest last")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1) + 0.0  # never -0
