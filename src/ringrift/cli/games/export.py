"""`ringrift games export`: write stored games to files (`selfplay.md` 6, 9)."""

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
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringrift.records import Analysis, GameRecord

FORMATS = ("jsonl", "shard", "gamereplaydb", "selfplay-jsonl", "gamerecord-jsonl", "trace")


def export(
    output: Annotated[
        Path,
        typer.Option("--output", metavar="FILE", help="File to write; for shards the folder."),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="jsonl or shard, which hold all of a game; or for other programs gamereplaydb, "
            "selfplay-jsonl, gamerecord-jsonl or trace.",
        ),
    ] = "jsonl",
    snapshots: Annotated[
        int | None,
        typer.Option(
            "--snapshots",
            min=0,
            metavar="N",
            help="Moves between stored states of a gamereplaydb, 0 for none [default: 20].",
        ),
    ] = None,
    db: Db = None,
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the games, write nothing.")
    ] = False,
) -> None:
    """Write stored games and their analyses to a file, oldest first.

    Reads the game store; writes FILE whole or not at all. For other programs the best analysis of
    a game goes with its moves; a trace holds no searches, and no games that were resigned.

    Exit code 1 when no game fits.

    Examples: ringrift games export --output games.jsonl |
    ringrift games export --output replays.db --to gamereplaydb --purpose match --json
    """
    invocation = current()
    _check(output, to, snapshots)
    with open_store(invocation, db) as store:
        rows = store.rows(
            config_of(config_key),
            run=run,
            purpose=purpose_of(purpose),
            reason=reason,
            model=model_of(invocation, store, model),
            since=seconds_of(since),
            limit=limit,
        )
        told = [row["id"] for row in reversed(rows) if to != "trace" or row["end"] != "resigned"]
        left_out = len(rows) - len(told)
        if not told:
            raise NegativeResult("no stored game fits", where=str(store.path))
        if not dry_run:
            output.parent.mkdir(parents=True, exist_ok=True)
            with invocation.out.progress() as progress:
                task = progress.task("writing", total=len(told), unit="games")

                def games() -> Iterator[tuple[GameRecord, list[Analysis]]]:
                    for identity in told:
                        found = store.get(identity)
                        if found is not None:
                            several = to in ("jsonl", "shard")
                            best = [] if found[1] is None else [found[1]]
                            yield found[0], store.analyses(identity) if several else best
                        task.advance()

                _write(output, to, games(), snapshots)
                task.finish()
    verb = "would write" if dry_run else "wrote"
    text = f"{verb} {len(told):,} games to {output}"
    if left_out:
        text += f"; left out {left_out:,} that were resigned, which a trace cannot hold"
    invocation.out.result(
        {
            "games": len(told),
            "left_out": left_out,
            "output": str(output),
            "format": to,
            "dry_run": dry_run,
        },
        human=text,
    )


def _check(output: Path, to: str, snapshots: int | None) -> None:
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}", where="--to", hint=", ".join(FORMATS))
    if snapshots is not None and to != "gamereplaydb":
        raise UsageError(f"{to} has no snapshots", where="--snapshots", hint="--to gamereplaydb")
    if to == "shard":
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is no folder", where="--output", hint=str(output.parent))
    elif output.is_dir():
        raise UsageError(f"{output} is a folder", where="--output", hint=f"{output}/games.jsonl")


def _write(
    output: Path,
    to: str,
    games: Iterator[tuple[GameRecord, list[Analysis]]],
    snapshots: int | None,
) -> None:
    from ringrift.records import foreign
    from ringrift.records.jsonl import write_jsonl
    from ringrift.records.shards import write_shards

    if to == "jsonl":
        write_jsonl(output, games)
        return
    if to == "shard":
        write_shards(output, games)
        return
    pairs = ((game, analyses[0] if analyses else None) for game, analyses in games)
    if to == "gamereplaydb":
        every = foreign.SNAPSHOTS_EVERY if snapshots is None else snapshots
        foreign.write_replay_db(output, pairs, snapshots=every)
    else:
        foreign.write_lines(output, to, pairs)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)
