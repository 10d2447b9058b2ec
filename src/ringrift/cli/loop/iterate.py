"""`ringrift loop iterate`: a fixed number of cycles on one configuration (`loop.md` 6)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.loop.events import log_folder
from ringrift.cli.loop.options import END, WORK, Options, asked
from ringrift.cli.option_sets import command_of, option
from ringrift.cli.output import Column
from ringrift.cli.shared_options import Board, ConfigKey, Players
from ringrift.core.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.loop.run_options import RunSummary

NAMES = ("profile", "seed", "workers", "no_wait", "metrics_port", "no_metrics", "dry_run")
TEST, OLD = "Test", "Old scripts"
SHORT = {"sq8": "square8", "sq19": "square19", "hex": "hexagonal"}
UNVERIFIED = "unverified games cannot be trained on"


@dataclass(frozen=True, slots=True, kw_only=True)
class IterateOptions(Options):
    """The values of one call."""

    board: Board = "square8"
    players: Players = 2
    config_key: ConfigKey = None
    iterations: Annotated[int, option("--iterations", panel=END, min=1, help="Cycles to run.")] = (
        100
    )
    games_per_iter: Annotated[
        int, option("--games-per-iter", panel=WORK, min=1, help="New games before each training.")
    ] = 100
    overlapped_selfplay: Annotated[
        bool,
        option(
            "--overlapped-selfplay", panel=WORK, help="Go on playing while training and testing."
        ),
    ] = False
    adaptive: Annotated[
        bool, option("--adaptive", panel=WORK, help="Let test lengths follow the news.")
    ] = False
    promotion_threshold: Annotated[
        float,
        option(
            "--promotion-threshold",
            panel=TEST,
            metavar="SCORE",
            help="Score against the champion that the test looks for, above 0.5.",
        ),
    ] = 0.55
    promotion_confidence: Annotated[
        float,
        option("--promotion-confidence", panel=TEST, help="1 minus each error rate of the test."),
    ] = 0.95
    eval_games: Annotated[
        int, option("--eval-games", panel=TEST, min=2, help="Most games of the test.")
    ] = 400
    max_consecutive_failures: Annotated[
        int,
        option(
            "--max-consecutive-failures",
            panel=END,
            min=1,
            help="Failures of a stage in a row that hold the configuration.",
        ),
    ] = 5
    plateau_threshold: Annotated[
        int,
        option(
            "--plateau-threshold",
            panel=TEST,
            min=1,
            help="Decisions without progress that count as a plateau.",
        ),
    ] = 5
    resume: Annotated[
        bool, option("--resume", panel=OLD, help="Accepted: it always goes on where it was.")
    ] = False
    state_file: Annotated[
        Path | None,
        option("--state-file", panel=OLD, metavar="FILE", help="Accepted, not used, with a note."),
    ] = None
    allow_legacy: Annotated[
        bool, option("--allow-legacy", panel=OLD, help=f"Refused: {UNVERIFIED}.")
    ] = False
    allow_pending_gate: Annotated[
        bool, option("--allow-pending-gate", panel=OLD, help=f"Refused: {UNVERIFIED}.")
    ] = False


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    inherited = {field.name for field in fields(Options)}
    own = [field.name for field in fields(IterateOptions) if field.name not in inherited]
    app.command("iterate")(
        command_of(iterate, IterateOptions, [*own, *NAMES], defaults={}, shown={})
    )


def iterate(options: IterateOptions) -> None:
    """Run a number of cycles on one configuration, with so many games each.

    Reads and writes what loop run does, without shadow evaluations, tournaments and pauses between
    trainings. It goes on where an earlier call was killed: games, models and decisions are the state.
    At the end a row for each cycle and the champion are printed.

    Examples: ringrift loop iterate --board square8 --iterations 10 --games-per-iter 50 | ringrift loop
    iterate --iterations 2 --dry-run

    was: run_improvement_loop.py, unified_improvement_controller.py
    """
    invocation = current()
    for name, given in (
        ("--allow-legacy", options.allow_legacy),
        ("--allow-pending-gate", options.allow_pending_gate),
    ):
        if given:
            raise RefusedError(UNVERIFIED, where=name, hint="ringrift games import")
    if options.state_file is not None:
        invocation.out.note("--state-file is not used: games, models and decisions are the state")
    wanted = asked(
        invocation,
        options,
        settings=settings_of(options),
        configs=(configuration(options),),
        max_cycles=options.iterations,
        timed_work=False,
    )
    if options.dry_run:
        from ringrift.cli.loop.plan import show_plan

        show_plan(invocation, wanted)
        return
    from ringrift.cli.loop.run import run_here

    began_at = time.time()
    summary = run_here(invocation, wanted, no_wait=options.no_wait)
    rows = cycle_rows(wanted.run.configs[0], began_at)
    fields_of = {
        "config": wanted.run.configs[0],
        "ended": summary.ended,
        "seconds": round(summary.seconds, 1),
        "champion": summary.champions.get(wanted.run.configs[0]),
        "iterations": rows,
    }
    invocation.out.result(fields_of, human=lambda console: show(invocation, summary, rows, console))


def configuration(options: IterateOptions) -> str:
    """Return the configuration that board and players, or the key, name."""
    from ringrift.core.settings import CONFIGURATIONS

    named = options.config_key or f"{SHORT.get(options.board, options.board)}_{options.players}p"
    if named not in CONFIGURATIONS:
        raise UsageError(
            f"unknown configuration {named!r}; expected one of {', '.join(CONFIGURATIONS)}",
            where="--board",
        )
    return named


def settings_of(options: IterateOptions) -> dict[str, Any]:
    """Return the settings that the options stand for."""
    score, confidence = options.promotion_threshold, options.promotion_confidence
    if not 0.5 < score < 1:
        raise UsageError(
            f"found {score}; expected above 0.5, below 1", where="--promotion-threshold"
        )
    if not 0.5 < confidence < 1:
        raise UsageError(
            f"found {confidence}; expected above 0.5, below 1", where="--promotion-confidence"
        )
    return {
        "training.trigger_threshold_games": options.games_per_iter,
        "training.min_interval_seconds": 0,
        "promotion.elo_threshold": round(400 * math.log10(score / (1 - score)), 3),
        "promotion.significance_level": round(1 - confidence, 9),
        "promotion.max_games": options.eval_games,
        "promotion.min_games": min(40, options.eval_games),
        "promotion.cooldown_seconds": 0,
        "promotion.max_promotions_per_day": None,
        "safety.max_consecutive_failures": options.max_consecutive_failures,
        "plateau_detection.elo_plateau_lookback": options.plateau_threshold,
        "adaptive_control.enabled": options.adaptive,
        "pipeline.overlapped_selfplay": options.overlapped_selfplay,
    }


def cycle_rows(config: str, since: float) -> list[dict[str, Any]]:
    """Return the cycles that were decided since a moment, from the event log."""
    from ringrift.loop.cycles import CYCLES
    from ringrift.loop.events import read_events

    found = read_events(log_folder(), since=since, kinds=CYCLES, config=config)
    return [
        {
            "iteration": event["cycle"],
            "decision": event["kind"],
            **{
                name: event["data"][name]
                for name in ("games", "losses", "score", "elo_diff", "ci95", "test_games")
            },
            "candidate": event["data"]["candidate"],
            "reason": event["data"]["reason"],
        }
        for event in found
    ]


def show(
    invocation: Invocation, summary: RunSummary, rows: list[dict[str, Any]], console: Console
) -> None:
    """Print the table of the cycles and how the run ended."""
    from ringrift.cli.loop.run import show as show_summary
    from ringrift.loop.lines import signed_elo

    columns = [
        Column("iteration", number=True),
        Column("games", number=True),
        Column("loss", number=True),
        Column("score", number=True),
        Column("Elo against the champion"),
        Column("decision"),
        Column("candidate"),
    ]
    cells = [
        (
            row["iteration"],
            row["games"],
            row["losses"][-1] if row["losses"] else None,
            row["score"],
            signed_elo(row["elo_diff"], row["ci95"]),
            row["decision"],
            row["candidate"][:6],
        )
        for row in rows
    ]
    console.print(invocation.out.table(columns, cells))
    show_summary(summary, console)
