"""`ringrift data ingest`: trees of JSON lines into a store, as they grow (`data.md` 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.data.parts import INPUT, OUTPUT, OnlyBoard, OnlyPlayers, board_of
from ringrift.cli.data.pooling import (
    Mode,
    ending_of,
    mode_of,
    run_pool,
    share_limit,
    show_pool,
    with_files,
)
from ringrift.cli.heavy import ready_for
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.shared_options import DryRun

STORE = "training_aggregated.db"


def ingest(
    input_dir: Annotated[
        Path | None,
        typer.Option(
            "--input-dir",
            metavar="DIR",
            help="Folder of JSON lines [default: data/selfplay/aggregated].",
            rich_help_panel=INPUT,
        ),
    ] = None,
    output_db: Annotated[
        Path | None,
        typer.Option(
            "--output-db",
            "--output",
            metavar="FILE",
            help="Store, created or extended [default: data/games/training_aggregated.db].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    sources: Annotated[
        list[Path] | None,
        typer.Option(
            "--sources",
            metavar="NAME...",
            help="Only these folders of DIR.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    mode: Mode = "canonical",
    dry_run: DryRun = False,
) -> None:
    """Take trees of JSON lines into a store, through the gate of the pool.

    Reads every .jsonl, .jsonl.gz and .jsonl.zst below DIR, ours and foreign, each from where the run
    before stopped; a half-written last line waits for the next. Writes the store and its quarantine:
    lines that are no game are counted and named, and the others go on.

    Exit code 1 when more than safety.parity_failure_rate_max of a file failed, 5 when a file could not
    be read, 75 while another process writes the store.

    Examples: ringrift data ingest --input-dir data/selfplay |
    ringrift data ingest --input-dir data/selfplay --output-db pool.db --dry-run --json
    """
    from ringrift.data.ingest.trees import tree_files
    from ringrift.data.pool.request import PoolRequest

    invocation = current()
    paths = invocation.paths(create=False)
    folder = input_dir or paths.selfplay / "aggregated"
    request = PoolRequest(
        output=output_db or paths.games / STORE,
        board=board_of(board),
        players=players,
        legacy=mode_of(mode),
        leave_torn=True,
        dry_run=dry_run,
    )
    names = [str(name) for name in sources or ()]
    request = with_files(request, named=tree_files(folder, names), scanned=[])
    share = share_limit(invocation)
    if not dry_run:
        ready_for(invocation, cpu=False, disk_gb=0.1)
    report = run_pool(invocation, request)
    code = ending_of(report, share)
    show_pool(invocation, request, report, share, code)
    if code:
        raise typer.Exit(code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ingest", cls=list_command("--sources"))(ingest)
