"""`ringrift data pool`: the store that training reads, through one gate (`data.md` 1, 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.data.parts import GAME, INPUT, OUTPUT, OnlyBoard, OnlyPlayers, board_of
from ringrift.cli.data.pooling import (
    GATE,
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

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.data.pool.report import PoolReport
    from ringrift.data.pool.request import PoolRequest


def pool(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "--output-db",
            metavar="FILE",
            help="Store, created or extended [default: data/games/games.db].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    input_db: Annotated[
        list[Path] | None,
        typer.Option(
            "--input-db",
            "--db",
            metavar="FILE",
            help="Store, shard, journal, JSON lines or GameReplayDB; also a folder or pattern.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    scan_dir: Annotated[
        list[Path] | None,
        typer.Option(
            "--scan-dir",
            metavar="DIR",
            help="Take every file of games below DIR; repeat for more.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    holdout_db: Annotated[
        Path | None,
        typer.Option(
            "--holdout-db",
            metavar="FILE",
            help="Write the hold-out games to FILE too.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quarantine_db: Annotated[
        Path | None,
        typer.Option(
            "--quarantine-db",
            metavar="FILE",
            help="Write the refused games to FILE too.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    require_completed: Annotated[
        bool,
        typer.Option(
            "--require-completed/--no-require-completed",
            help="Refuse games that the ply limit cut; else they enter as max_plies.",
            rich_help_panel=GATE,
        ),
    ] = True,
    include_tournament: Annotated[
        bool,
        typer.Option(
            "--include-tournament",
            help="Count tournament games in the report; they are stored and never trainable anyway.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    holdout_source_substring: Annotated[
        list[str] | None,
        typer.Option(
            "--holdout-source-substring",
            metavar="TEXT",
            help="Part of a source's name that makes its games matches, beside tournament, "
            "elo_tournament, evaluation and eval; repeat for more.",
            rich_help_panel=GATE,
        ),
    ] = None,
    mode: Mode = "canonical",
    recheck_existing: Annotated[
        bool,
        typer.Option(
            "--recheck-existing",
            help="Take games of an older gate through this one, and mark datasets stale that hold "
            "one that fails.",
            rich_help_panel=GATE,
        ),
    ] = False,
    parallel_workers: Annotated[
        int, typer.Option("--parallel-workers", min=1, metavar="N", help="Processes of the gate.")
    ] = 1,
    report_json: Annotated[
        Path | None,
        typer.Option(
            "--report-json",
            metavar="FILE",
            help="Write the report to FILE.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, metavar="N", help="Games considered at most.", rich_help_panel=GAME
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Build the store that training reads: every game through one gate.

    Each game is replayed from its own bytes; what fails goes to quarantine with ply and reason.
    Self-play is split into training, validation and hold-out by its moves; matches are kept and
    never trained on. Reads the inputs, without any data/selfplay/** and data/games/*.db; writes the
    store, data/registry.json, and notes how far each input was read, so that a second run goes on
    there. Nothing is lost if it is killed.

    Exit code 1 when more than safety.parity_failure_rate_max of an input failed, 5 when an input
    could not be read, 75 while another process writes the store.

    Examples: ringrift data pool --output data/games/canonical.db |
    ringrift data pool --input-db games.jsonl --output pool.db --dry-run --json
    """
    from ringrift.core.files import write_atomic
    from ringrift.data.pool.request import PoolRequest
    from ringrift.data.pool.scanning import default_inputs, folder_inputs, named_inputs

    invocation = current()
    paths = invocation.paths(create=False)
    request = PoolRequest(
        output=output or paths.game_store,
        holdout=holdout_db,
        quarantine=quarantine_db,
        board=board_of(board),
        players=players,
        completed=require_completed,
        count_matches=include_tournament,
        match_sources=tuple(holdout_source_substring or ()),
        legacy=mode_of(mode),
        workers=parallel_workers,
        limit=limit,
        dry_run=dry_run,
    )
    named = named_inputs(input_db or [], option="--input-db")
    scanned = folder_inputs(scan_dir or [], option="--scan-dir")
    if not (input_db or scan_dir):
        scanned = default_inputs(paths.selfplay, paths.games)
    request = with_files(request, named=named, scanned=scanned)
    share = share_limit(invocation)
    if not dry_run:
        ready_for(invocation, cpu=False, disk_gb=0.1)
    report = run_pool(invocation, request)
    if recheck_existing:
        _recheck(invocation, request, report, paths.npz)
    code = ending_of(report, share)
    fields = show_pool(invocation, request, report, share, code)
    if report_json is not None and not dry_run:
        report_json.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(report_json, (json.dumps(fields, indent=1) + "\n").encode())
    if code:
        raise typer.Exit(code)


def _recheck(
    invocation: Invocation, request: PoolRequest, report: PoolReport, datasets: Path
) -> None:
    from ringrift.data.pool.rechecking import recheck_older
    from ringrift.data.registry import register

    if not request.output.is_file():
        return
    with invocation.out.progress() as progress:
        task = progress.task("rechecking", unit="games")
        found = recheck_older(
            request.output,
            datasets,
            dry_run=request.dry_run,
            on_progress=lambda games, plies: task.update(
                games, name=f"rechecking ({plies:,} plies)"
            ),
        )
        task.finish()
    report.rechecked, report.withdrawn = found.games, len(found.failures)
    report.stale = [str(path) for path in found.stale]
    if found.games and not request.dry_run:
        register(invocation.paths().root, request.output)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pool", cls=list_command("--input-db", "--db"))(pool)
