"""`ringrift eval aggregate`: results of several places in one table (`evaluation.md` 11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.eval.leaderboard import ALL, KINDS, board_of, configurations, rules_in
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.output import Output
    from ringrift.evaluation.aggregation import Aggregate
    from ringrift.evaluation.ratings.service import RatingSource

PARTLY_DONE = 5


def aggregate(
    collect: Annotated[
        bool,
        typer.Option("--collect", help="Add match games of the sources to data/games/games.db."),
    ] = False,
    report: Annotated[
        bool,
        typer.Option("--report", help="Print the leaderboards [default without --collect]."),
    ] = False,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Rows of each configuration.")
    ] = 5,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="PATH|HOST",
            help="Data root, store, run folder, records or results; repeat for more.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Also write the JSON result.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Unite results of several places, games and numbers apart.

    Reads stores, run folders, files of records, lists of gauntlets and foreign SQLite files with a
    table match_history. Match games are united by id and replayed before they count. Numbers without
    games behind them are listed as unverified, merged by games, and rate nobody.

    Exit code 5 where a source could not be read; it is named and the others are aggregated.

    Examples: ringrift eval aggregate --report --top 3 |
    ringrift eval aggregate --collect --source /mnt/other --dry-run --json

    was: aggregate_elo_results.py
    """
    from ringrift.evaluation.aggregation import aggregate as gather
    from ringrift.evaluation.ratings.service import RatingSource

    run = current()
    writes = collect and not dry_run
    ratings = RatingSource.of_root(run.paths(create=writes), rules_in(run))
    found = gather(ratings.store, source or (), collect=writes)
    boards = _boards(ratings, top) if report or not collect else []
    fields = {
        "collected": writes,
        "sources": [one.as_tree() for one in found.sources],
        "unverified": [claim.as_tree() for claim in found.unverified],
        "configurations": boards,
    }
    if output is not None and not dry_run:
        from ringrift.core.files import write_atomic

        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(output, json.dumps(fields, indent=1).encode() + b"\n")
    run.out.result(
        fields,
        human=lambda console: _print(console, run.out, found, boards),
        ok=not found.failed,
    )
    if found.failed:
        raise typer.Exit(PARTLY_DONE)


def _boards(source: RatingSource, top: int) -> list[dict[str, Any]]:
    boards = []
    for config in configurations(source, ALL):
        board = board_of(source, config, None, top=top, least=0, sort="elo", kinds=KINDS)
        kept = ("rank", "name", "agent_hash", "model_id", "elo", "elo_ci95", "games")
        boards.append(
            {
                "config": config,
                "games": board["games"],
                "rows": [{name: row[name] for name in kept} for row in board["rows"]],
            }
        )
    return boards


def _print(
    console: Console, out: Output, found: Aggregate, boards: Sequence[dict[str, Any]]
) -> None:
    if found.sources:
        heads = ["games", "new here", "taken", "refused", "numbers"]
        columns = [
            Column("source"),
            Column("kind"),
            *(Column(h, number=True) for h in heads),
            Column(""),
        ]
        rows: list[list[Any]] = [
            [s.path, s.kind, s.games, s.new, s.taken, s.refused, len(s.claims), s.error or ""]
            for s in found.sources
        ]
        console.print(out.table(columns, rows))
    for board in boards:
        columns = [Column("agent"), *(Column(h, number=True) for h in ("Elo", "95 %", "games"))]
        rows = [
            [
                row["name"],
                None if row["elo"] is None else f"{row['elo']:.1f}",
                None if row["elo_ci95"] is None else "{:.0f} to {:.0f}".format(*row["elo_ci95"]),
                row["games"],
            ]
            for row in board["rows"]
        ]
        title = f"{board['config']}: {board['games']:,} games"
        console.print(out.table(columns, rows, title=title))
    if found.unverified:
        heads = ["wins", "games", "rate"]
        columns = [
            Column("config"),
            Column("agent"),
            Column("against"),
            *(Column(head, number=True) for head in heads),
        ]
        rows = [
            [c.config, c.agent, c.opponent, f"{c.wins:.1f}", c.games, _rate(c.rate)]
            for c in found.unverified
        ]
        console.print(out.table(columns, rows, title="unverified: numbers without games"))
    if not boards and not found.sources:
        console.print("no match games")


def _rate(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.3f}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("aggregate", cls=list_command("--source"))(aggregate)
