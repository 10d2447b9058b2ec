"""`ringrift eval tournament`: all models of a configuration against each other (`evaluation.md` 9)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.eval.distributed import Distributed, need_bus
from ringrift.cli.eval.options import MODELS, AllWorkers, NnueOnly
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.shared_options import DryRun, Seed
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.eval.tournament_rounds import Tournaments
    from ringrift.core.interrupt import Stop

GAMES, REPEAT, OUTPUT = "Games", "Repeating", "Output"
QUICK_GAMES, QUICK_MEETINGS = 10, 10


def tournament(
    run_it: Annotated[
        bool, typer.Option("--run", help="Play; else the plan is shown.", rich_help_panel=GAMES)
    ] = False,
    leaderboard_only: Annotated[
        bool,
        typer.Option("--leaderboard-only", help="Only the leaderboard.", rich_help_panel=OUTPUT),
    ] = False,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    all_configs: Annotated[
        bool, typer.Option("--all-configs", help="All twelve.", rich_help_panel="Game")
    ] = False,
    games: Annotated[
        int,
        typer.Option(
            "--games",
            min=1,
            metavar="N",
            help="Games of each pairing, in whole blocks.",
            rich_help_panel=GAMES,
        ),
    ] = 10,
    top_n: Annotated[
        int | None,
        typer.Option(
            "--top-n",
            min=1,
            metavar="N",
            help="The strongest N models; unrated ones, the newest first, come after.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    mcts_sims: Annotated[
        int,
        typer.Option(
            "--mcts-sims",
            min=1,
            metavar="N",
            help="Simulations a move of the models.",
            rich_help_panel=MODELS,
        ),
    ] = 50,
    ai_type: Annotated[
        str,
        typer.Option("--ai-type", metavar="KIND", help="How models play.", rich_help_panel=MODELS),
    ] = "descent",
    both_ai_types: Annotated[
        bool,
        typer.Option(
            "--both-ai-types/--no-both-ai-types",
            help="Each model also as mcts.",
            rich_help_panel=MODELS,
        ),
    ] = True,
    include_nnue: Annotated[
        bool,
        typer.Option("--include-nnue", help="NNUE models too.", rich_help_panel=MODELS),
    ] = False,
    nnue_only: NnueOnly = False,
    include_baselines: Annotated[
        bool,
        typer.Option(
            "--include-baselines/--no-baselines",
            help="The fixed agents of evaluation.baseline_models.",
            rich_help_panel=MODELS,
        ),
    ] = True,
    baselines_only: Annotated[
        bool, typer.Option("--baselines-only", help="No models.", rich_help_panel=MODELS)
    ] = False,
    elo_matchmaking: Annotated[
        bool,
        typer.Option(
            "--elo-matchmaking",
            help="Pair by what games tell, as with more than ten agents.",
            rich_help_panel=GAMES,
        ),
    ] = False,
    elo_range: Annotated[
        float,
        typer.Option(
            "--elo-range",
            min=0.0,
            metavar="ELO",
            help="Furthest apart of a pairing that are no neighbours.",
            rich_help_panel=GAMES,
        ),
    ] = 200.0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="--run with 10 games and 10 pairings at most.", rich_help_panel=GAMES
        ),
    ] = False,
    archive: Annotated[
        bool,
        typer.Option(
            "--archive",
            help="Mark models as archived that are surely below --archive-threshold.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    archive_threshold: Annotated[
        float,
        typer.Option(
            "--archive-threshold", metavar="ELO", help="See --archive.", rich_help_panel=OUTPUT
        ),
    ] = 1400.0,
    continuous: Annotated[
        bool,
        typer.Option("--continuous", help="--run until SIGTERM.", rich_help_panel=REPEAT),
    ] = False,
    continuous_interval: Annotated[
        float,
        typer.Option(
            "--continuous-interval",
            min=1.0,
            metavar="SECONDS",
            help="Between two tournaments.",
            rich_help_panel=REPEAT,
        ),
    ] = 900.0,
    checkpoint_watch: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint-watch",
            metavar="DIR",
            help="Register the models that appear in a folder; with --continuous.",
            rich_help_panel=REPEAT,
        ),
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="STORE",
            help="Game store [default: data/games/games.db].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="DIR", help="Draw the leaderboard.", rich_help_panel=OUTPUT),
    ] = None,
    workers: AllWorkers = None,
    distributed: Distributed = False,
    seed: Seed = 42,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Let all models of a configuration meet, and rank them.

    Reads models and stored games; with --run plays what is missing on open openings into
    data/games/games.db, writes the fit to data/ratings and a report to data/tournaments. Up to ten
    agents meet each other; more, or with --elo-matchmaking, meet in rounds those about whom games
    tell most, until every error to the mean of the field is below 35 Elo or the games of a round
    robin are played. The same line goes on after a stop; another sample needs another --seed.

    Exit code 0 for --continuous that was told to stop, 2 for a field of fewer than two agents, 3 for
    --distributed where no loop runs on the data root, 5 where a game was aborted twice or a job failed.

    Examples: ringrift eval tournament --baselines-only |
    ringrift eval tournament --board hex8 --quick --include-nnue --archive

    was: run_model_elo_tournament.py
    """
    from ringrift.cli.eval.tournament_rounds import Order, Tournaments
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.core.settings.configurations import CONFIGURATIONS

    run = current()
    need_bus(run, distributed, db)
    named = config_of(board, players, config_key)
    if all_configs and named is not None:
        raise UsageError("--all-configs and one configuration", where="--all-configs")
    if baselines_only and not include_baselines:
        raise UsageError("--no-baselines and --baselines-only leave nobody", where="--no-baselines")
    if checkpoint_watch is not None and not continuous:
        raise UsageError("--checkpoint-watch needs --continuous", where="--checkpoint-watch")
    order = Order(
        configs=tuple(CONFIGURATIONS) if all_configs else (named or "square8_2p",),
        games=QUICK_GAMES if quick else games,
        most_meetings=QUICK_MEETINGS if quick else None,
        top_n=top_n,
        sims=mcts_sims,
        kinds=tuple(dict.fromkeys([*(["mcts"] if both_ai_types else []), ai_type])),
        models=() if baselines_only else _kinds(include_nnue=include_nnue, nnue_only=nnue_only),
        baselines=include_baselines,
        matchmaking=elo_matchmaking,
        reach_elo=elo_range,
        archive_below=archive_threshold if archive else None,
        seed=seed,
        workers=workers,
        distributed=distributed,
        store=db,
        plot=plot,
    )
    work = Tournaments(run, order)
    if leaderboard_only:
        work.show(work.leaderboards())
        return
    if dry_run or not (run_it or quick or continuous):
        work.show(work.look())
        return
    run.paths(create=False)
    ready_for(run, wait=not no_wait, cpu=not distributed, disk_gb=0.5)
    with ExitStack() as stack:
        stop = stack.enter_context(cooperative_stop())
        if continuous:
            _repeat(work, stop, continuous_interval, checkpoint_watch)
            return
        work.show(work.play(stop), ok=not stop.requested)
        if stop.requested:
            raise typer.Exit(stop.exit_code)


def _kinds(*, include_nnue: bool, nnue_only: bool) -> tuple[str, ...]:
    from ringrift.cli.eval.contending import NET, NNUE

    if nnue_only:
        return NNUE
    return (*NET, *NNUE) if include_nnue else NET


def _repeat(work: Tournaments, stop: Stop, interval_s: float, folder: Path | None) -> None:
    """Play until told to stop; a model that appears in `folder` begins a round at once."""
    import time

    from ringrift.evaluation.shadow.watching import SETTLED_S, FolderWatch

    watch = None if folder is None else FolderWatch(folder)
    due_s = time.monotonic()
    while not stop.requested:
        new = [] if watch is None else work.register(watch.settled())
        if new or time.monotonic() >= due_s:
            work.line(work.play(stop))
            due_s = time.monotonic() + interval_s
        left_s = max(0.0, due_s - time.monotonic())
        stop.wait(left_s if watch is None else min(left_s, SETTLED_S / 2))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tournament")(tournament)
