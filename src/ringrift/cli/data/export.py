"""`ringrift data export`: stored games as datasets (`data.md` 4, 5)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.data.export_request import plans_of
from ringrift.cli.data.exporting import ExportWork
from ringrift.cli.data.parts import INPUT, OUTPUT, Db, OnlyBoard, OnlyPlayers
from ringrift.cli.heavy import NoWait
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.shared_options import DryRun, Seed

FILTERS = "Filters"
SAMPLES = "Samples"
WORK = "Work"


def export(
    db: Db = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            metavar="FILE...",
            help="JSON lines instead of a store; they pass the gate first.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    input_dir: Annotated[
        Path | None,
        typer.Option(
            "--input-dir", metavar="DIR", help="All JSON lines below DIR.", rich_help_panel=INPUT
        ),
    ] = None,
    gpu_selfplay: Annotated[
        bool,
        typer.Option(
            "--gpu-selfplay",
            help="The input is of batched self-play: left-out bookkeeping plies are put back.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="PATH",
            help="Folder of DIR/<configuration>/<id>, or one file NAME.npz [default: data/npz].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    contents: Annotated[
        str,
        typer.Option(
            "--contents",
            metavar="WHAT",
            help="states, features or both.",
            rich_help_panel=OUTPUT,
        ),
    ] = "states",
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            "--encoder-version",
            metavar="NAME",
            help="Of the features: default (planes1), v3 (planes1), v2 (planes1-basic) or nnue1.",
            rich_help_panel=OUTPUT,
        ),
    ] = "default",
    append: Annotated[
        bool,
        typer.Option(
            "--append",
            help="Extend the newest dataset of the same options, which the new one replaces.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    sample_every: Annotated[
        int,
        typer.Option(
            "--sample-every",
            min=1,
            metavar="K",
            help="Take every K-th decision.",
            rich_help_panel=SAMPLES,
        ),
    ] = 1,
    max_move_index: Annotated[
        int | None,
        typer.Option(
            "--max-move-index",
            min=0,
            metavar="N",
            help="Last ply that may give a sample.",
            rich_help_panel=SAMPLES,
        ),
    ] = None,
    analysis: Annotated[
        str,
        typer.Option(
            "--analysis",
            metavar="WHICH",
            help="Of several searches of a ply: best (most simulations), own or newest.",
            rich_help_panel=SAMPLES,
        ),
    ] = "best",
    policy_target: Annotated[
        str,
        typer.Option(
            "--policy-target",
            metavar="WHAT",
            help="auto (the search, else the move), played, mcts_visits or descent_softmax.",
            rich_help_panel=SAMPLES,
        ),
    ] = "auto",
    rank_aware_values: Annotated[
        bool,
        typer.Option(
            "--rank-aware-values/--no-rank-aware-values",
            help="Values by rank, or 1 for the winner and -1 for all others.",
            rich_help_panel=SAMPLES,
        ),
    ] = True,
    surprise_weight: Annotated[
        float,
        typer.Option(
            "--surprise-weight",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of a sample's weight that follows how far the search left its prior.",
            rich_help_panel=SAMPLES,
        ),
    ] = 0.5,
    decay_half_life: Annotated[
        float | None,
        typer.Option(
            "--decay-half-life",
            metavar="GAMES",
            help="Newer games after which a game counts half [default: none].",
            rich_help_panel=SAMPLES,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Weights of games, as data filter writes them.",
            rich_help_panel=SAMPLES,
        ),
    ] = None,
    max_games: Annotated[
        int | None,
        typer.Option(
            "--max-games", min=1, metavar="N", help="Newest games.", rich_help_panel=FILTERS
        ),
    ] = None,
    min_moves: Annotated[
        int | None,
        typer.Option(
            "--min-moves", min=0, metavar="N", help="Least plies.", rich_help_panel=FILTERS
        ),
    ] = None,
    max_moves: Annotated[
        int | None,
        typer.Option(
            "--max-moves", min=1, metavar="N", help="Most plies.", rich_help_panel=FILTERS
        ),
    ] = None,
    require_completed: Annotated[
        bool,
        typer.Option(
            "--require-completed/--no-require-completed",
            help="Leave out games that the ply limit ended.",
            rich_help_panel=FILTERS,
        ),
    ] = True,
    exclude_recovery: Annotated[
        bool,
        typer.Option(
            "--exclude-recovery", help="No games with recovery slides.", rich_help_panel=FILTERS
        ),
    ] = False,
    exclude_timeout: Annotated[
        bool,
        typer.Option(
            "--exclude-timeout", help="No games ended by a limit.", rich_help_panel=FILTERS
        ),
    ] = False,
    exclude_random: Annotated[
        bool,
        typer.Option(
            "--exclude-random", help="No games of random players.", rich_help_panel=FILTERS
        ),
    ] = False,
    ai_types: Annotated[
        list[str] | None,
        typer.Option(
            "--ai-types",
            metavar="SPEC...",
            help="Only games whose players are all of these, as gumbel or heuristic.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    min_simulations: Annotated[
        int | None,
        typer.Option(
            "--min-simulations",
            min=1,
            metavar="N",
            help="Only games searched with so many.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    window: Annotated[
        str,
        typer.Option(
            "--window",
            metavar="SAMPLES",
            help="all, a number of the newest samples, or auto: it grows with what there is.",
            rich_help_panel=FILTERS,
        ),
    ] = "all",
    window_base: Annotated[
        int,
        typer.Option(
            "--window-base",
            min=1,
            metavar="SAMPLES",
            help="Size from which --window auto grows slower than the data.",
            rich_help_panel=FILTERS,
        ),
    ] = 250_000,
    max_reuse: Annotated[
        float,
        typer.Option(
            "--max-reuse",
            metavar="PASSES",
            help="Training passes after which a game has been used up.",
            rich_help_panel=FILTERS,
        ),
    ] = 8.0,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, metavar="N", help="Processes.", rich_help_panel=WORK),
    ] = 1,
    parallel: Annotated[
        bool,
        typer.Option("--parallel", help="As many processes as cores.", rich_help_panel=WORK),
    ] = False,
    use_cache: Annotated[
        bool,
        typer.Option(
            "--use-cache/--no-use-cache",
            help="Keep what each game gives for later exports, in cache/export.",
            rich_help_panel=WORK,
        ),
    ] = True,
    force_export: Annotated[
        bool,
        typer.Option(
            "--force-export",
            help="Make everything anew, also what is there.",
            rich_help_panel=WORK,
        ),
    ] = False,
    checkpoint_interval: Annotated[
        int,
        typer.Option(
            "--checkpoint-interval",
            min=1,
            metavar="GAMES",
            help="Games after which what is finished survives a crash.",
            rich_help_panel=WORK,
        ),
    ] = 100,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint-dir",
            metavar="DIR",
            help="Folder of what is finished [default: beside the datasets].",
            rich_help_panel=WORK,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint, which happens anyway.",
            rich_help_panel=WORK,
        ),
    ] = False,
    seed: Seed = 42,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Export games to datasets, one for each configuration.

    Reads the training and validation games of canonical stores, or JSON lines, which pass the gate
    first. Writes DIR/<configuration>/<id> with manifest.json and part-00000.npz ..., whole or not at
    all: the same games and options give the same id and bytes, and nothing is made twice. An
    interrupted export goes on where it was.

    Exit code 1 when there is no sample, a game of the hold-out is inside, a recorded search did not
    arrive, a target is no legal move, or a seat has too many samples; 4 when a store is no source.

    Examples: ringrift data export --board square8 --players 2 |
    ringrift data export --db data/games/games.db --output data/npz/ --dry-run --json
    """
    given = dict(locals())
    invocation = current()
    with ExitStack() as stack:
        planned = plans_of(invocation, given, stack, heavy=not dry_run)
        ExportWork(
            invocation,
            output=output,
            workers=_cores() if parallel and workers == 1 else workers,
            append=append,
            use_cache=use_cache,
            force=force_export,
            interval=checkpoint_interval,
            checkpoints=checkpoint_dir,
            dry_run=dry_run,
        ).run(planned)


def _cores() -> int:
    from ringrift.rules.cpu import core_count

    return core_count()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", cls=list_command("--db", "--input", "--ai-types"))(export)
