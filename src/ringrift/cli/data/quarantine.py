"""`ringrift data quarantine`: look at refused games, try them again, let go of them (`data.md` 2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.games.parts import Db, open_store, stamp, store_path
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ringrift.cli.invocation import Invocation
    from ringrift.records.quarantine import Entry
    from ringrift.records.store import GameStore

DROP_AFTER_DAYS = 30.0
_DAY_S = 86_400.0
_SHOWN_BYTES = 400

Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="NAME", help="Only those refused for it, as illegal_move."),
]
OlderThan = Annotated[
    float | None,
    typer.Option("--older-than-days", min=0, metavar="N", help="Only those refused so long ago."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    group = typer.Typer(add_completion=False, no_args_is_help=True)
    group.command("list")(show_list)
    group.command("show")(show)
    group.command("retry")(retry)
    group.command("drop")(drop)
    app.add_typer(group, name="quarantine", help="List, show, retry and drop refused games.")


def show_list(
    db: Db = None,
    reason: Reason = None,
    older_than_days: OlderThan = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="Newest games only.")
    ] = 50,
) -> None:
    """List the games that the gate refused, with reason and ply.

    Reads the game store and changes nothing.

    Examples: ringrift data quarantine list |
    ringrift data quarantine list --reason illegal_move --limit 10 --json
    """
    invocation = current()
    with open_store(invocation, db) as store:
        counts = store.quarantine.counts()
        entries = _chosen(store, reason, older_than_days, limit)
    total = sum(counts.values())
    by_reason = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    invocation.out.result(
        {
            "games": [_fields(entry) for entry in entries],
            "total": total,
            "reasons": counts,
        },
        human=_table(
            invocation, entries, f"{len(entries):,} of {total:,} refused games ({by_reason})"
        )
        if total
        else "no refused games",
    )


def show(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="Id in quarantine, or its first digits.")
    ],
    db: Db = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write the bytes that were refused to FILE."),
    ] = None,
) -> None:
    """Show one refused game: what is wrong, where it came from, what it holds.

    Reads the game store; with --output writes the bytes of the game as they came.

    Examples: ringrift data quarantine show 0123456789ab |
    ringrift data quarantine show 0123456789ab --output refused.bin --json
    """
    from ringrift.core.files import write_atomic

    invocation = current()
    with open_store(invocation, db) as store:
        entry, game, analysis = store.quarantine.get(store.quarantine.find(identity))
    if output is not None:
        write_atomic(output, game)
    holds = _holds(game)
    fields = {
        **_fields(entry),
        "game_bytes": len(game),
        "analysis_bytes": None if analysis is None else len(analysis),
        "record": holds,
        "output": None if output is None else str(output),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    if holds is None:
        lines.append(f"begins: {game[:_SHOWN_BYTES]!r}")
    invocation.out.result(fields, human="\n".join(lines))


def retry(
    db: Db = None,
    reason: Reason = None,
    older_than_days: OlderThan = None,
    require_completed: Annotated[
        bool,
        typer.Option(
            "--require-completed/--no-require-completed",
            help="Keep games that the ply limit cut in quarantine.",
        ),
    ] = True,
    dry_run: DryRun = False,
) -> None:
    """Take refused games through the gate again, as after a mended rule.

    Reads the bytes kept in quarantine; what holds now is added to the games, with the side that its
    play has, and leaves the quarantine. The others stay.

    Examples: ringrift data quarantine retry --dry-run |
    ringrift data quarantine retry --reason rules_version --json
    """
    from ringrift.data.quarantine import RetryReport
    from ringrift.data.quarantine import retry as again
    from ringrift.records.gate import Gate

    invocation = current()
    with open_store(invocation, db, writer=not dry_run) as store:
        entries = _chosen(store, reason, older_than_days, None)
        report = RetryReport(considered=len(entries))
        if not dry_run:
            gate = Gate(admit_imports=True, completed=require_completed)
            with invocation.out.progress() as progress:
                task = progress.task("checking", total=len(entries), unit="games")
                report = again(store, entries, gate, on_game=task.advance)
                task.finish()
    lines = [f"{report.considered:,} games {'would be ' if dry_run else ''}taken through the gate"]
    if not dry_run:
        lines.append(f"{report.added:,} added, {report.duplicate:,} were there already")
        lines += [f"{n:,} refused again: {name}" for name, n in sorted(report.reasons.items())]
        lines.append(f"{report.unreadable:,} are no records: import their source again")
    invocation.out.result(
        {
            "considered": report.considered,
            "added": report.added,
            "duplicate": report.duplicate,
            "unreadable": report.unreadable,
            "refused": dict(report.reasons),
            "dry_run": dry_run,
        },
        human="\n".join(lines),
    )


def drop(
    db: Db = None,
    reason: Reason = None,
    older_than_days: OlderThan = DROP_AFTER_DAYS,
    dry_run: DryRun = False,
) -> None:
    """Delete refused games for good, once a manifest of them is written.

    Reads the game store; writes data/quarantine/dropped-*.json (without a data root beside the
    store), then removes their bytes. Asks before; --yes answers.

    Exit code 1 when no game fits.

    Examples: ringrift data quarantine drop --older-than-days 90 --dry-run |
    ringrift data quarantine drop --reason truncated --yes --json
    """
    from ringrift.data.quarantine import drop as let_go

    invocation = current()
    path = store_path(invocation, db)
    with open_store(invocation, db) as store:
        entries = _chosen(store, reason, older_than_days, None)
    if not entries:
        raise NegativeResult("no refused game fits", where=str(path), hint="--older-than-days 0")
    manifest = None
    if not dry_run:
        if not invocation.confirm(f"Delete {len(entries):,} refused games for good?"):
            raise UsageError("nothing was deleted: not confirmed", hint="--yes")
        root = invocation.known_root()
        folder = path.parent if root is None else root / "data" / "quarantine"
        with open_store(invocation, db, writer=True) as store:
            manifest = let_go(store, entries, folder)
    verb = "would delete" if dry_run else "deleted"
    told = "" if manifest is None else f"; they are named in {manifest}"
    invocation.out.result(
        {
            "games": len(entries),
            "bytes": sum(entry.size_bytes for entry in entries),
            "manifest": None if manifest is None else str(manifest),
            "dry_run": dry_run,
        },
        human=f"{verb} {len(entries):,} refused games{told}",
    )


def _chosen(
    store: GameStore, reason: str | None, older_than_days: float | None, limit: int | None
) -> list[Entry]:
    before = None if older_than_days is None else time.time() - older_than_days * _DAY_S
    return store.quarantine.entries(reason=reason, before=before, limit=limit)


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "reason": entry.reason,
        "ply": entry.ply,
        "detail": entry.detail,
        "source": entry.source,
        "at": stamp(entry.at),
        "bytes": entry.size_bytes,
    }


def _holds(game: bytes) -> dict[str, Any] | None:
    """Say what a record holds, whatever its moves; None for what cannot be decoded."""
    from ringrift.records.game_bytes import from_bytes
    from ringrift.records.record import VerificationError

    try:
        record = from_bytes(game)
    except VerificationError:
        return None
    return {
        "id": record.id,
        "config": record.spec.config,
        "plies": len(record.moves),
        "end": record.result.end,
        "winner": record.result.winner,
        "reason": record.result.reason,
        "purpose": record.meta.purpose,
        "run": record.meta.run,
        "agents": [agent.spec for agent in record.agents],
    }


def _table(invocation: Invocation, entries: Sequence[Entry], title: str) -> RenderableType:
    columns = [
        Column("id"),
        Column("reason"),
        Column("ply", number=True),
        Column("detail"),
        Column("source"),
        Column("at (UTC)"),
    ]
    rows = [
        [e.id[:12], e.reason, "none" if e.ply is None else e.ply, e.detail, e.source, stamp(e.at)]
        for e in entries
    ]
    return invocation.out.table(columns, rows, title=title)
