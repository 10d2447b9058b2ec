"""`ringrift games merge`: the union of several files of games (`selfplay.md` 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.games.parts import ConfigKey, Limit, Model, Purpose, Reason, Run, Since
from ringrift.cli.games.several import existing, selection_of
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import DryRun

if TYPE_CHECKING:
    from ringrift.records.merging import MergeReport

PARTLY_DONE = 5


def merge(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="FILE.db, FILE.jsonl, or a folder for shards.")
    ],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Stores, shards, journals, JSON lines.")
    ],
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Merge files of games into one: the union by id, in the order of the ids.

    Reads IN, which may be stores, shards and JSON lines in any mix; writes OUT. A store is added
    to, every game verified; a file appears whole. Nothing is deleted.

    Exit code 1 when no game fits, 4 when an id comes with different bytes, 5 when the store put
    games into quarantine, 6 for a file that cannot be read.

    Examples: ringrift games merge all.jsonl data/games/games.db games.jsonl |
    ringrift games merge shards data/games/games.db --config-key square8_2p --json
    """
    from ringrift.cli.lists import expand_paths
    from ringrift.records.merging import merge_games

    invocation = current()
    selection = selection_of(
        invocation,
        config_key=config_key,
        since=since,
        run=run,
        model=model,
        purpose=purpose,
        reason=reason,
    )
    paths = existing(expand_paths(inputs, what="IN"))
    with invocation.out.progress() as progress:
        task = progress.task("reading", unit="games")
        report = merge_games(
            output, paths, selection, limit=limit, dry_run=dry_run, on_game=task.advance
        )
        task.finish()
    quarantined = sum(report.quarantined.values())
    invocation.out.result(
        {
            "games": report.games,
            "analyses": report.analyses,
            "output": str(output),
            "kind": report.kind,
            "inputs": [
                {"path": str(i.path), "kind": i.kind, "games": i.games, "new": i.new}
                for i in report.inputs
            ],
            "shards": [str(shard.path) for shard in report.shards],
            "added": report.added,
            "quarantined": dict(report.quarantined),
            "dry_run": dry_run,
        },
        human=_text(report, output, dry_run=dry_run),
        ok=not quarantined,
    )
    if quarantined:
        raise typer.Exit(PARTLY_DONE)


def _text(report: MergeReport, output: Path, *, dry_run: bool) -> str:
    lines = [f"{i.path} ({i.kind}): {i.games:,} games, {i.new:,} new" for i in report.inputs]
    verb = "would write" if dry_run else "wrote"
    lines.append(f"{verb} {report.games:,} games and {report.analyses:,} analyses to {output}")
    if report.added is not None:
        lines.append(f"{report.added:,} were not there yet")
    lines += [f"in quarantine: {count:,} {reason}" for reason, count in report.quarantined.items()]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("merge")(merge)
