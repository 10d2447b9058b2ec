"""`ringrift eval gate`: is a candidate good enough against a baseline (`evaluation.md` 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.eval.options import TEST, AllWorkers, Sims
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

SIDES, SEARCH, OUTPUT = "Sides", "Search", "Output"


def gate(
    candidate: Annotated[
        str | None,
        typer.Option(
            "--candidate",
            metavar="REF",
            help="The model that is to be judged.",
            autocompletion=complete_models,
            rich_help_panel=SIDES,
        ),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="REF",
            help="The model that it plays against.",
            autocompletion=complete_models,
            rich_help_panel=SIDES,
        ),
    ] = "champion",
    method: Annotated[
        Literal["wilson", "sprt"],
        typer.Option(
            "--method",
            help="Looks at a Wilson interval, or the sequential test.",
            rich_help_panel=TEST,
        ),
    ] = "wilson",
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            metavar="RATE",
            help="Score to be reached, as that of two players.",
            rich_help_panel=TEST,
        ),
    ] = 0.55,
    confidence: Annotated[
        float,
        typer.Option("--confidence", metavar="SHARE", help="Over all looks.", rich_help_panel=TEST),
    ] = 0.95,
    min_games: Annotated[
        int,
        typer.Option(
            "--min-games", metavar="N", help="Games of the first look.", rich_help_panel=TEST
        ),
    ] = 30,
    max_games: Annotated[
        int,
        typer.Option(
            "--max-games", metavar="N", help="Games of the last look.", rich_help_panel=TEST
        ),
    ] = 200,
    estimate_games: Annotated[
        bool,
        typer.Option(
            "--estimate-games",
            help="Play nothing; print how the gate ends for candidates of known strength.",
            rich_help_panel=TEST,
        ),
    ] = False,
    target_rate: Annotated[
        float,
        typer.Option(
            "--target-rate",
            metavar="RATE",
            help="The strength in the middle of that table, as a score of two players.",
            rich_help_panel=TEST,
        ),
    ] = 0.60,
    sims: Sims = None,
    workers: AllWorkers = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Seed of openings and games; another one is another match.",
            rich_help_panel=SEARCH,
        ),
    ] = 42,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write the result as JSON.", rich_help_panel=OUTPUT
        ),
    ] = None,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Judge whether a candidate is good enough against a baseline.

    Reads both models and the games already stored of this match; plays what is missing on reserved
    openings into data/games/games.db; plan and result stand in runs/eval. With wilson the score is
    looked at after --min-games and every 20 games more: promote where the lower bound reaches
    --threshold, reject where the upper one is below it. Several looks share one --confidence. A small
    gain mostly ends inconclusive; see --estimate-games. Nothing is moved: models promote alone changes
    the champion. The same command again goes on after a stop and prints a finished result at once.
    Without --board the configuration is that of the candidate, or square8_2p for --estimate-games.

    Exit code 0 for promote, 1 for reject, inconclusive or an invalid match, 2 for a model that is
    not there or of another configuration, 5 where a game was aborted twice.

    Examples: ringrift eval gate --estimate-games --target-rate 0.65 |
    ringrift eval gate --candidate candidate --baseline champion --board square8 --players 2

    was: elo_promotion_gate.py
    """
    from ringrift.cli.eval.gating import Sides, play, show_estimate, show_plan, show_result
    from ringrift.evaluation.gate import GateResult, estimate, gate_plan, gate_test

    run = current()
    test = gate_test(
        method,
        threshold=threshold,
        confidence=confidence,
        min_games=min_games,
        max_games=max_games,
    )
    config = config_of(board, players, config_key)
    if estimate_games:
        seats = int((config or "square8_2p").rpartition("_")[2][0])
        show_estimate(run.out, test, seats, estimate(test, seats, target_rate))
        return
    if candidate is None:
        raise UsageError("no candidate", where="--candidate", hint="--candidate REF")
    if not dry_run:
        run.paths(create=False)
        ready_for(run, wait=not no_wait, disk_gb=0.5, config=config)
    sides = Sides.named(run, candidate, baseline, config, sims)
    plan = gate_plan(sides.spec, *sides.agents, test, seed=seed)
    if dry_run:
        show_plan(run.out, plan, sides, estimate(test, plan.players, target_rate))
        return
    found, stopped = play(run, plan, sides, workers)
    result = GateResult(match=found, test=test, players=plan.players)
    show_result(run, result, sides, output)
    if stopped:
        raise typer.Exit(stopped)
    if not result.promotes:
        raise typer.Exit(NegativeResult.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gate")(gate)
