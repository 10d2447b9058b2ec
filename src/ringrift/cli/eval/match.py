"""`ringrift eval match`: agents against agents, on paired openings (`evaluation.md` 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ringrift.cli.eval.distributed import Distributed, need_bus
from ringrift.cli.eval.options import TEST, Alpha, Beta, Elo0, Elo1, MaxGames, MinGames
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import Board, ConfigKey, DryRun, Players
from ringrift.core.errors import NegativeResult, UsageError

GAMES, SEARCH, OUTPUT = "Games", "Search", "Output"


def match(
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            metavar="SPEC",
            help='Agent, repeated; the first is measured. "engine:COMMAND" plays a program that '
            "speaks the line protocol of play engine.",
            rich_help_panel=GAMES,
        ),
    ] = None,
    games: Annotated[
        int | None,
        typer.Option(
            "--games",
            min=1,
            metavar="N",
            help="Games without a test, rounded up to whole blocks  [default: 100].",
            rich_help_panel=GAMES,
        ),
    ] = None,
    openings: Annotated[
        str,
        typer.Option(
            "--openings",
            metavar="PART|FILE",
            help="open or reserved (halves of the shipped book), none, or the open half of a FILE.",
            rich_help_panel=GAMES,
        ),
    ] = "open",
    lineup: Annotated[
        Literal["auto", "one-vs-rest", "cyclic", "permutations"],
        typer.Option("--lineup", help="Who sits where with 3 or 4 players.", rich_help_panel=GAMES),
    ] = "auto",
    both_ways: Annotated[
        bool,
        typer.Option(
            "--both-ways",
            help="With one-vs-rest every other block has one of the second among the first.",
            rich_help_panel=GAMES,
        ),
    ] = False,
    max_plies: Annotated[
        str,
        typer.Option(
            "--max-plies",
            metavar="N",
            help="Plies after which a game is cut; auto: by board and players.",
            rich_help_panel=GAMES,
        ),
    ] = "auto",
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Seed of openings and games; another one is another match.",
            rich_help_panel=GAMES,
        ),
    ] = 42,
    test: Annotated[
        Literal["none", "sprt", "wilson"],
        typer.Option(
            "--test",
            help="Stop by the sequential test of elo0 against elo1, or at looks at a Wilson interval "
            "around elo0.",
            rich_help_panel=TEST,
        ),
    ] = "none",
    elo0: Elo0 = 0.0,
    elo1: Elo1 = 20.0,
    alpha: Alpha = 0.05,
    beta: Beta = 0.05,
    min_games: MinGames = 40,
    max_games: MaxGames = 800,
    expect: Annotated[
        Literal["accept", "reject"] | None,
        typer.Option(
            "--expect", help="End with 1 on another verdict of the test.", rich_help_panel=TEST
        ),
    ] = None,
    elo_true: Annotated[
        float,
        typer.Option(
            "--elo-true",
            help="Elo for which --dry-run prints the expected games.",
            rich_help_panel=TEST,
        ),
    ] = 50.0,
    sims: Annotated[
        int | None,
        typer.Option(
            "--sims",
            min=1,
            metavar="N",
            help="Simulations a move, over those of the specs.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes",
            min=1,
            metavar="N",
            help="Nodes a move, over those of the specs.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    time_ms: Annotated[
        int | None,
        typer.Option(
            "--time-ms",
            min=1,
            metavar="T",
            help="Milliseconds a move; one search a physical core. 250 ms later is a loss.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            "--parallel",
            "-j",
            metavar="N",
            help="Worker processes; auto: the thread budget.",
            rich_help_panel=SEARCH,
        ),
    ] = "auto",
    distributed: Distributed = False,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            metavar="NAME",
            help="Where convolutional nets are evaluated: auto, cpu, cuda or cuda:N.",
            rich_help_panel=SEARCH,
        ),
    ] = "auto",
    exclude_node: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude-node",
            metavar="NODE",
            help="Play nothing; recompute the result without the blocks that NODE took part in; "
            "repeat.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder of the match  [default: runs/eval/RUN].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw the score by seat and the test's path into the folder of the match.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    plot_format: Annotated[
        Literal["png", "svg", "both"],
        typer.Option("--plot-format", help="Format of what is drawn.", rich_help_panel=OUTPUT),
    ] = "both",
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Play agents against each other and measure the first one.

    Every opening is played once for each seat, so that both sides have each seat equally often.
    Reads models of the data root and the games already stored of this match; writes games to
    data/games/games.db and plan, settings, result and log to runs/eval/RUN. The same command again
    goes on after a stop, and prints a finished result at once; another sample needs another --seed.
    With --distributed the games are jobs of eight blocks for the nodes of the running loop.
    A program behind "engine:COMMAND" may be another installation of this one. Limits of specs and of
    --sims, --nodes or --time-ms are told to it, and it loses by time as others do.

    Exit code 0 for any verdict, 1 for an invalid match (more than 10 % of the games cut, or 1 % lost
    by time) or another verdict than --expect, 2 for models of different configurations, 3 for
    --distributed where no loop runs on the data root, 5 where a game was aborted twice or a job failed.

    Examples: ringrift eval match --agent heuristic --agent random --games 20 |
    ringrift eval match --agent mcts:sims=200 --agent mcts:sims=100 --test sprt --dry-run
    """
    from ringrift.cli.eval.match_plan import MatchOptions, planned
    from ringrift.cli.eval.match_run import is_finished, play_and_show, recount
    from ringrift.cli.eval.match_shown import show_plan

    run = current()
    need_bus(run, distributed)
    if expect is not None and test == "none":
        raise UsageError("--expect without a test", where="--expect", hint="--test sprt")
    options = MatchOptions(
        agents=tuple(agent or ()),
        games=games,
        openings=openings,
        lineup=lineup,
        both_ways=both_ways,
        max_plies=max_plies,
        seed=seed,
        test=test,
        elo0=elo0,
        elo1=elo1,
        alpha=alpha,
        beta=beta,
        min_games=min_games,
        max_games=max_games,
        budgets={"sims": sims, "nodes": nodes, "time_ms": time_ms},
        workers=workers,
        device=device,
        config_key=config_key,
        board=board,
        players=players,
    )
    wanted = planned(run, options)
    if dry_run:
        show_plan(run.out, wanted, elo_true)
        return
    run.paths(create=False)
    if exclude_node:
        result = recount(run, wanted, exclude_node)
    else:
        if not is_finished(run, wanted):
            ready_for(
                run,
                wait=not no_wait,
                cpu=not distributed,
                disk_gb=0.5,
                config=wanted.plan.spec.config,
            )
        result = play_and_show(
            run, wanted, output, plot_format if plot else None, distributed=distributed
        )
    if result.invalid is not None or (expect is not None and result.verdict != expect):
        raise typer.Exit(NegativeResult.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("match")(match)
