"""`ringrift games export`: write stored games to files (`selfplay.md` 6, 9)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    open_store,
    purpose_of,
    seconds_of,
)
from ringrift.cli.invocation import current
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.records import Analysis, GameRecord


def export(
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="File to write.")],
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Newest games only.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the games, write nothing.")
    ] = False,
) -> None:
    """Write stored games and their analyses as JSON lines, oldest first.

    Reads the game store; writes FILE whole or not at all.

    Exit code 1 when no game fits.

    Examples: ringrift games export --output games.jsonl |
    ringrift games export --output matches.jsonl --purpose match --json
    """
    from ringrift.records.jsonl import write_jsonl

    invocation = current()
    if output.is_dir():
        raise UsageError(f"{output} is a folder", where="--output", hint=f"{output}/games.jsonl")
    with open_store(invocation, db) as store:
        rows = store.rows(
            config_of(config_key),
            run=run,
            purpose=purpose_of(purpose),
            reason=reason,
            model=model,
            since=seconds_of(since),
            limit=limit,
        )
        ids = [row["id"] for row in reversed(rows)]
        if not ids:
            raise NegativeResult("no stored game fits", where=str(store.path))
        if not dry_run:
            output.parent.mkdir(parents=True, exist_ok=True)
            with invocation.out.progress() as progress:
                task = progress.task("writing", total=len(ids), unit="games")

                def games() -> Iterator[tuple[GameRecord, list[Analysis]]]:
                    for identity in ids:
                        found = store.get(identity)
                        if found is not None:
                            yield found[0], store.analyses(identity)
                        task.advance()

                write_jsonl(output, games())
                task.finish()
    verb = "would write" if dry_run else "wrote"
    invocation.out.result(
        {"games": len(ids), "output": str(output), "dry_run": dry_run},
        human=f"{verb} {len(ids):,} games to {output}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)
