"""`ringrift games split-shards`: write stored games as shards (`selfplay.md` 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.games.parts import (
    ConfigKey,
    Db,
    Limit,
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
)
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.records.shards import ShardFile


def split_shards(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder of the shards.")],
    max_mb: Annotated[
        int, typer.Option("--max-mb", min=1, max=64, metavar="N", help="MiB of a shard at most.")
    ] = 64,
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Write stored games and their analyses as shards, oldest first.

    Reads the game store; writes files named by their content to DIR, each whole or not at all, and
    their list, as `ringrift data export-shards` does. A shard holds games of one specification, at
    most 10,000.

    Exit code 1 when no game fits.

    Examples: ringrift games split-shards --output shards |
    ringrift games split-shards --output shards --max-mb 8 --config-key square8_2p --json
    """
    from ringrift.data.shards import count_games, export_shards
    from ringrift.records.selection import Selection

    invocation = current()
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is no folder", where="--output", hint=str(output.parent))
    with open_store(invocation, db) as store:
        path = store.path
        selection = Selection(
            config=config_of(config_key),
            since=seconds_of(since),
            run=run,
            model=model_of(invocation, store, model),
            purpose=purpose_of(purpose),
            reason=reason,
        )
    total = count_games(path, selection, limit=limit)
    if not total:
        raise NegativeResult("no stored game fits", where=str(path))
    shards: tuple[ShardFile, ...] = ()
    if not dry_run:
        with invocation.out.progress() as progress:
            task = progress.task("writing", total=total, unit="games")
            shards = export_shards(
                path,
                output,
                selection,
                limit=limit,
                most_bytes=max_mb * 1024 * 1024,
                on_game=task.advance,
            ).shards
            task.finish()
    table = invocation.out.table(
        [
            Column("shard"),
            Column("configuration"),
            Column("games", number=True),
            Column("analyses", number=True),
            Column("bytes", number=True),
        ],
        [
            [shard.path.name, shard.config, shard.games, shard.analyses, shard.size_bytes]
            for shard in shards
        ],
        title=f"{total:,} games in {len(shards):,} shards in {output}",
    )
    invocation.out.result(
        {
            "games": total,
            "output": str(output),
            "shards": [
                {
                    "path": str(shard.path),
                    "sha256": shard.sha256,
                    "config": shard.config,
                    "games": shard.games,
                    "analyses": shard.analyses,
                    "bytes": shard.size_bytes,
                }
                for shard in shards
            ],
            "dry_run": dry_run,
        },
        human=f"would write {total:,} games to {output}" if dry_run else table,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("split-shards")(split_shards)
