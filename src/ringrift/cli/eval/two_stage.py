"""`ringrift eval two-stage`: sift many models, rank the good ones (`evaluation.md` 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.eval.options import LIMITS, MODELS, Models, Sims, Workers
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.shared_options import DryRun, Seed
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.cli.eval.two_stage_steps import Steps

STAGES, PROMOTION = "Stages", "Promotion"
PARTLY_DONE = 5


def two_stage(
    models: Models = None,
    run_all: Annotated[
        bool,
        typer.Option("--run", help="Both stages of all models.", rich_help_panel=MODELS),
    ] = False,
    stage1: Annotated[
        bool, typer.Option("--stage1", help="Stage 1 of all models.", rich_help_panel=MODELS)
    ] = False,
    stage2: Annotated[
        bool,
        typer.Option(
            "--stage2", help="Stage 2 of all models that passed stage 1.", rich_help_panel=MODELS
        ),
    ] = False,
    aggregate: Annotated[
        bool,
        typer.Option(
            "--aggregate",
            help="Rank what is stored of all models, whatever shard played it.",
            rich_help_panel=MODELS,
        ),
    ] = False,
    shard: Annotated[
        int,
        typer.Option("--shard", min=0, help="Part of the models to play.", rich_help_panel=MODELS),
    ] = 0,
    num_shards: Annotated[
        int,
        typer.Option(
            "--num-shards", min=1, metavar="N", help="Parts, by model id.", rich_help_panel=MODELS
        ),
    ] = 1,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            min=0,
            metavar="N",
            help="Only the newest N models; 0 = all.",
            rich_help_panel=MODELS,
        ),
    ] = 0,
    stage1_games: Annotated[
        int,
        typer.Option(
            "--stage1-games",
            min=1,
            metavar="N",
            help="Games against random and heuristic each.",
            rich_help_panel=STAGES,
        ),
    ] = 10,
    stage1_threshold: Annotated[
        float,
        typer.Option(
            "--stage1-threshold",
            metavar="RATE",
            help="Score to be reached against each, as that of two players.",
            rich_help_panel=STAGES,
        ),
    ] = 0.40,
    stage2_games: Annotated[
        int,
        typer.Option(
            "--stage2-games",
            min=1,
            metavar="N",
            help="Games against random, heuristic and mcts_100 each.",
            rich_help_panel=STAGES,
        ),
    ] = 50,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            metavar="SHARE",
            help="Of the Wilson intervals of stage 2.",
            rich_help_panel=STAGES,
        ),
    ] = 0.95,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote",
            help="Name the best and test them against the champion, best first.",
            rich_help_panel=PROMOTION,
        ),
    ] = False,
    promote_threshold: Annotated[
        float,
        typer.Option(
            "--promote-threshold",
            metavar="RATE",
            help="Pooled lower bound to be reached, as that of two players.",
            rich_help_panel=PROMOTION,
        ),
    ] = 0.7,
    promote_top_n: Annotated[
        int,
        typer.Option(
            "--promote-top-n", min=1, metavar="N", help="Most models.", rich_help_panel=PROMOTION
        ),
    ] = 3,
    sims: Sims = None,
    workers: Workers = 16,
    no_record: Annotated[
        bool,
        typer.Option(
            "--no-record",
            help="Accepted; a result without games cannot be used.",
            rich_help_panel=LIMITS,
        ),
    ] = False,
    seed: Seed = 42,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Sift models by a few games, then rank the good ones by many.

    Reads models and stored games; plays what is missing into data/games/games.db. Stage 1, on open
    openings and with one simulation a move, since much search hides weak weights, asks for
    --stage1-threshold against random and heuristic each and ends as soon as its outcome is fixed.
    Stage 2, with search and on reserved openings, ranks by the lower bound of the Wilson interval
    of all games together. Writes data/gauntlet_stage1/SHARD.json, data/gauntlet_stage2/SHARD.json
    and data/gauntlet_final_results.json, which follow from the games. --promote sets the aliases
    gauntlet_promoted_KEY_1 and on, and takes them through ringrift models promote until one passes.
    The same command again goes on after a stop. A model passes with stage 1 and a lower bound of
    --promote-threshold.

    Exit code 1 when a --model does not pass, 2 for one that is not there, 5 where a game was aborted
    twice or a promotion was refused.

    Examples: ringrift eval two-stage --model champion --board square8 |
    ringrift eval two-stage --run --board hex8 --num-shards 3 --shard 1 --dry-run --json

    was: two_stage_gauntlet.py
    """
    from ringrift.cli.eval.two_stage_steps import Steps
    from ringrift.evaluation.two_stage import TwoStage

    run = current()
    if not (models or run_all or stage1 or stage2 or aggregate):
        raise UsageError("nothing was asked for", hint="--model REF, --run or --aggregate")
    if models and (run_all or stage1 or stage2 or aggregate):
        raise UsageError(
            "the others measure the whole registry", where="--model", hint="--model alone"
        )
    steps = Steps(
        run=run,
        settings=TwoStage(
            stage1_games=stage1_games,
            stage1_threshold=stage1_threshold,
            stage2_games=stage2_games,
            confidence=confidence,
            promote_threshold=promote_threshold,
            seed=seed,
        ),
        config=config_of(board, players, config_key),
        names=models or [],
        part=(shard, num_shards),
        limit=limit,
        sims=sims,
        workers=workers,
        plays=(
            bool(models) or run_all or stage1,
            bool(models) or run_all or stage2,
        ),
        dry_run=dry_run,
    )
    if no_record:
        run.out.note("--no-record: games are kept; a result without games cannot be used")
    if not dry_run and (any(steps.plays) or promote):
        run.paths(create=False)
        ready_for(run, wait=not no_wait, disk_gb=0.5)
    _carry_out(steps, promote_top_n if promote else 0)


def _carry_out(steps: Steps, promoted: int) -> None:
    from ringrift.cli.eval.two_stage_promotion import promote as take_further
    from ringrift.evaluation.two_stage import promotable

    exit_code = steps.sift()
    promotions = []
    if promoted and not exit_code:
        promotions = take_further(
            steps.run,
            promotable(steps.ranking, most=promoted),
            workers=steps.workers,
            dry_run=steps.dry_run,
        )
    if any(promotion.refused for promotion in promotions):
        exit_code = exit_code or PARTLY_DONE
    if not exit_code and steps.names and not steps.dry_run:
        passed = all(candidate.passed for candidate in steps.ranking)
        exit_code = 0 if passed else NegativeResult.exit_code
    steps.show(promotions, ok=not exit_code)
    if exit_code:
        raise typer.Exit(exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("two-stage")(two_stage)
