"""`ringrift games list`: stored games, newest first (`selfplay.md` 6)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ringrift.cli.games.parts import (
    ConfigKey,
    Db,
    Model,
    Purpose,
    Reason,
    Run,
    Since,
    config_of,
    model_of,
    open_store,
    purpose_of,
    seconds_of,
    stamp,
)
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError


def list_games(
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows.")] = 50,
    quarantined: Annotated[
        bool,
        typer.Option(
            "--quarantined", help="What was refused, and why, by --reason, --since and --limit."
        ),
    ] = False,
) -> None:
    """List stored games, newest first.

    Reads the game store; changes nothing.

    Examples: ringrift games list --purpose match --limit 10 |
    ringrift games list --quarantined --json
    """
    invocation = current()
    if quarantined and any((config_key, run, model, purpose)):
        raise UsageError(
            "what was refused has no configuration, run, model or purpose",
            where="--quarantined",
            hint="--reason, --since or --limit",
        )
    with open_store(invocation, db) as store:
        if quarantined:
            rows = store.quarantined(limit, reason=reason, since=seconds_of(since))
            _show_quarantine(invocation, rows)
            return
        rows = store.rows(
            config_of(config_key),
            run=run,
            purpose=purpose_of(purpose),
            reason=reason,
            model=model_of(invocation, store, model),
            since=seconds_of(since),
            limit=limit,
        )
        total = store.count()
    columns = [
        Column("game"),
        Column("configuration"),
        Column("plies", number=True),
        Column("winner", number=True),
        Column("reason"),
        Column("purpose"),
        Column("split"),
        Column("agents"),
        Column("played (UTC)"),
    ]
    table = invocation.out.table(
        columns,
        [
            [
                row["id"][:12],
                row["config"],
                row["plies"],
                row["winner"] or "none",
                row["reason"],
                row["purpose"],
                row["split"],
                ", ".join(row["agents"]),
                stamp(row["played_at"]),
            ]
            for row in rows
        ],
        title=f"{len(rows):,} of {total:,} games",
    )
    shown = [
        {**row, "played_at": stamp(row["played_at"]), "ingested_at": stamp(row["ingested_at"])}
        for row in rows
    ]
    invocation.out.result({"games": shown, "total": total}, human=table)


def _show_quarantine(invocation: Invocation, rows: list[dict[str, Any]]) -> None:
    columns = [
        Column("id"),
        Column("reason"),
        Column("ply", number=True),
        Column("detail"),
        Column("source"),
    ]
    table = invocation.out.table(
        columns,
        [[row["id"][:12], row["reason"], row["ply"], row["detail"], row["source"]] for row in rows],
        title=f"{len(rows):,} refused games",
    )
    shown = [{**row, "at": stamp(row["at"])} for row in rows]
    invocation.out.result({"quarantined": shown}, human=table)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_games)
