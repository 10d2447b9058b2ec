"""`ringrift eval shadow`: regular measurements of the newest models (`evaluation.md` 10)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_configurations
from ringrift.cli.eval.options import Sims
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import config_of
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.evaluation.shadow.rounds import ShadowResult, Type

DO, ROUNDS, SERVICE = "What to do", "Rounds", "Service"
PARTLY_DONE = 5


def shadow(
    daemon: Annotated[
        bool,
        typer.Option("--daemon", help="Play what is due until stopped.", rich_help_panel=DO),
    ] = False,
    once: Annotated[
        bool,
        typer.Option("--once", help="One shadow round now; the default.", rich_help_panel=DO),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="One round of 10 games now.", rich_help_panel=DO)
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="One full tournament now.", rich_help_panel=DO)
    ] = False,
    config_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--config-key",
            metavar="KEY",
            help="Board and players, as square8_2p; repeat for more [default: configurations].",
            autocompletion=complete_configurations,
            rich_help_panel=ROUNDS,
        ),
    ] = None,
    watch_dir: Annotated[
        Path | None,
        typer.Option(
            "--watch-dir",
            metavar="DIR",
            help="Register and measure the models that appear here.",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    shadow_interval: Annotated[
        float | None,
        typer.Option(
            "--shadow-interval",
            min=1,
            metavar="SECONDS",
            help="Between rounds [default: evaluation.shadow_interval_seconds].",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    shadow_games: Annotated[
        int | None,
        typer.Option(
            "--shadow-games",
            min=1,
            metavar="N",
            help="Games of a match [default: evaluation.shadow_games_per_config].",
            rich_help_panel=ROUNDS,
        ),
    ] = None,
    full_interval: Annotated[
        float | None,
        typer.Option(
            "--full-interval",
            min=1,
            metavar="SECONDS",
            help="Between tournaments [default: evaluation.full_tournament_interval_seconds].",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    full_games: Annotated[
        int | None,
        typer.Option(
            "--full-games",
            min=1,
            metavar="N",
            help="Games against each opponent [default: evaluation.full_tournament_games].",
            rich_help_panel=ROUNDS,
        ),
    ] = None,
    http_port: Annotated[
        int,
        typer.Option(
            "--http-port",
            min=0,
            max=65535,
            metavar="PORT",
            help="Of the pages on loopback; 0 = none.",
            rich_help_panel=SERVICE,
        ),
    ] = 8771,
    regression_threshold: Annotated[
        float,
        typer.Option(
            "--regression-threshold",
            min=0,
            metavar="ELO",
            help="Fall below the predecessor, in two rounds, that is alerted.",
            rich_help_panel=ROUNDS,
        ),
    ] = 30.0,
    sims: Sims = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Measure the newest models regularly, or one round of them now.

    Reads models, decisions and the rounds of the past; plays into data/games/games.db. A round is a
    match against the champion, or for the champion its predecessor, with up to a third more games
    while an equal share lies in the interval, and one against heuristic; a full tournament is against
    evaluation.baseline_models and the last five champions. A match cut after 600 s is no success;
    its games stay. Two rounds in a row far below the champion raise the alert elo_drop. Nothing is
    ever promoted. While a loop runs on the data root --daemon only serves its pages: GET /health,
    /status, /results and /trends, POST /trigger.

    Exit code 0 for --daemon that was told to stop, 5 where a match was no success, 75 for a second
    daemon, a taken port, or while another process writes the store.

    Examples: ringrift eval shadow --quick --config-key square8_2p |
    ringrift eval shadow --daemon --watch-dir checkpoints --http-port 0

    was: shadow_tournament_service.py
    """
    from ringrift.cli.eval.shadow_world import ShadowOptions, Working

    run = current()
    chosen: list[Type] = []
    chosen += ["quick"] if quick else []
    chosen += ["full"] if full else []
    chosen += ["shadow"] if once or not (chosen or daemon) else []
    if daemon and (chosen or dry_run):
        raise UsageError(
            "--daemon plays what is due", where="--daemon", hint="without --once, --quick, --full"
        )
    named = [config for key in config_keys or () if (config := config_of(None, None, key))]
    work = Working(
        run,
        ShadowOptions(
            configs=tuple(named),
            watch_dir=watch_dir,
            shadow_interval=shadow_interval,
            shadow_games=shadow_games,
            full_interval=full_interval,
            full_games=full_games,
            regression=regression_threshold,
            sims=sims,
        ),
    )
    if dry_run:
        _show_plan(run, work.planned(chosen))
        return
    run.paths(create=False)
    ready_for(run, wait=not no_wait, disk_gb=0.5)
    if daemon:
        work.serve(http_port)
        return
    found, exit_code = work.play(chosen)
    failed = any(not result.success for result in found)
    _show(run, found, ok=not (failed or exit_code))
    if exit_code or failed:
        raise typer.Exit(exit_code or PARTLY_DONE)


def _show_plan(run: Invocation, rows: list[dict[str, Any]]) -> None:
    columns = [
        Column("configuration"),
        Column("type"),
        Column("model"),
        Column("opponent"),
        Column("at most games", number=True),
    ]
    table = [
        [row["config"], row["type"], row["model_id"][:12], row["opponent"][:40], row["games"]]
        for row in rows
    ]
    run.out.result(
        {"results": [], "plans": rows, "dry_run": True},
        human=run.out.table(columns, table) if rows else "no model to measure",
    )


def _show(run: Invocation, found: Sequence[ShadowResult], *, ok: bool) -> None:
    run.out.result(
        {"results": [result.as_tree() for result in found], "plans": [], "dry_run": False},
        human="\n".join(result.words for result in found) or "no model to measure",
        ok=ok,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shadow")(shadow)
