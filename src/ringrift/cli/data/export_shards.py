"""`ringrift data export-shards`: write stored games as shards that travel (`data.md` 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.games.parts import Db, store_path
from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError


def export_shards(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder of the shards.")],
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            min=0,
            metavar="SEQ",
            help="Only games stored after this number, as the export before printed it.",
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids", metavar="FILE", help="Only the games of this list of ids, one a line."
        ),
    ] = None,
    db: Db = None,
    dry_run: DryRun = False,
) -> None:
    """Write verified games and their analyses as shards, for other hosts.

    Reads the game store; writes files named by their content to DIR, each whole or not at all, and
    their list export-*.json, which says how the store splits. Prints the number after which the
    next export goes on.

    Exit code 6 for an id that is no game of the store.

    Examples: ringrift data export-shards --output shards |
    ringrift data export-shards --since 1200 --output shards --json
    """
    from ringrift.data import shards

    invocation = current()
    if since is not None and ids is not None:
        raise UsageError("both --since and --ids", where="--ids", hint="one of the two")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is no folder", where="--output", hint=str(output.parent))
    path = store_path(invocation, db)
    wanted = None if ids is None else shards.read_id_list(ids)
    if wanted is None:
        total = shards.count_games(path, after_seq=since or 0)
    else:
        shards.check_known(path, wanted)
        total = len(set(wanted))
    done = shards.ShardExport(
        games=total, analyses=0, games_upto=shards.newest_seq(path), shards=(), list_path=None
    )
    if total and not dry_run:
        with invocation.out.progress() as progress:
            task = progress.task("writing", total=total, unit="games")
            done = shards.export_shards(
                path, output, after_seq=since or 0, ids=wanted, on_game=task.advance
            )
            task.finish()
    verb = "would write" if dry_run else "wrote"
    text = f"{verb} {done.games:,} games to {output}; go on with --since {done.games_upto}"
    table = invocation.out.table(
        [
            Column("shard"),
            Column("configuration"),
            Column("games", number=True),
            Column("analyses", number=True),
            Column("bytes", number=True),
        ],
        [[s.path.name, s.config, s.games, s.analyses, s.size_bytes] for s in done.shards],
        title=text,
    )
    invocation.out.result(
        {
            "games": done.games,
            "analyses": None if dry_run else done.analyses,
            "games_upto": done.games_upto,
            "output": str(output),
            "list": None if done.list_path is None else str(done.list_path),
            "shards": [
                {
                    "path": str(shard.path),
                    "sha256": shard.sha256,
                    "config": shard.config,
                    "games": shard.games,
                    "analyses": shard.analyses,
                    "bytes": shard.size_bytes,
                }
                for shard in done.shards
            ],
            "dry_run": dry_run,
        },
        human=table if done.shards else text,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export-shards")(export_shards)
