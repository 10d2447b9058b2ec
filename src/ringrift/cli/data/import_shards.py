"""`ringrift data import-shards`: take the games of shards into the store (`data.md` 3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.data.shards import ShardImport


def import_shards(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Shards, or folders of shards.")
    ],
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="FILE",
            help="Game store, made if missing [default: data/games/games.db].",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Take the games of shards into a store, through the gate.

    Reads PATH and the lists beside the shards; writes to the game store. What is there already is
    left alone; what does not verify, and a damaged shard whole, goes to quarantine. A store without
    games keeps as much out of training as the store that the shards are from.

    Exit code 1 when more of a shard failed than `safety.parity_failure_rate_max` allows.

    Examples: ringrift data import-shards shards |
    ringrift data import-shards shards --db data/games/games.db --dry-run --json
    """
    from ringrift.cli.lists import expand_paths
    from ringrift.data.shards import import_shards as take
    from ringrift.data.shards import shard_files, would_import

    invocation = current()
    limit = invocation.settings().values.safety.parity_failure_rate_max
    files = shard_files(expand_paths(paths, what="PATH"))
    store = db if db is not None else invocation.paths(create=not dry_run).game_store
    with invocation.out.progress() as progress:
        task = progress.task("importing", unit="games")
        report = would_import(files, store) if dry_run else take(files, store, on_game=task.advance)
        task.finish()
    failed = [shard for shard in report.shards if shard.failed_share > limit]
    told = report.told_percent
    if told is not None and told > report.holdout_percent:
        invocation.out.note(
            f"the shards are from a store that keeps {told} % of the play out of training; "
            f"{store} keeps {report.holdout_percent} %: ringrift data holdout --reserve --percent {told}"
        )
    invocation.out.result(
        {
            "store": str(store),
            "holdout_percent": report.holdout_percent,
            "shards": [
                {
                    "path": str(shard.path),
                    "games": shard.games,
                    "skipped": shard.skipped,
                    "added": shard.added,
                    "duplicate": shard.duplicate,
                    "analyses": shard.analyses,
                    "splits": dict(shard.splits),
                    "quarantined": dict(shard.reasons),
                }
                for shard in report.shards
            ],
            "dry_run": dry_run,
        },
        human=lambda console: console.print(_table(invocation, report, store, dry_run=dry_run)),
        ok=not failed,
    )
    if failed:
        raise typer.Exit(NegativeResult.exit_code)


def _table(invocation: Invocation, report: ShardImport, store: Path, *, dry_run: bool) -> object:
    heads = ("games", "added", "there already", "skipped", "analyses", "quarantined")
    rows = [
        [
            shard.path.name,
            shard.games,
            shard.added,
            shard.duplicate,
            shard.skipped,
            shard.analyses,
            ", ".join(f"{n} {reason}" for reason, n in sorted(shard.reasons.items())) or 0,
        ]
        for shard in report.shards
    ]
    verb = "would read into" if dry_run else "read into"
    return invocation.out.table(
        [Column("shard"), *(Column(head, number=True) for head in heads)],
        rows,
        title=f"{verb} {store}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import-shards")(import_shards)
