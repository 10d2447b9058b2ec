"""`ringrift models promote`: test candidates, decide, move the champion (`models.md` 4)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.heavy import NoWait, ready_for
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import OfBoard, OfConfig, OfPlayers, config_of
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

DO, TEST, BACK, CLUSTER, STAGING = "What to do", "Test", "Rollback check", "Cluster", "Staging"

Ref = Annotated[
    str | None,
    typer.Option(
        "--candidate",
        metavar="REF",
        help="Test this model by hand [default: the newest one without a decision].",
        autocompletion=complete_models,
        rich_help_panel=TEST,
    ),
]


def _flag(name: str, panel: str, help: str) -> Any:  # noqa: A002 - typer names it
    return typer.Option(name, rich_help_panel=panel, help=help)


def promote(
    update_all: Annotated[
        bool, _flag("--update-all", DO, "Bring names in line with all decisions.")
    ] = False,
    update: Annotated[
        tuple[str, int] | None,
        typer.Option(
            "--update",
            metavar="BOARD N",
            help="The same for one board and number of players.",
            rich_help_panel=DO,
        ),
    ] = None,
    check_candidates: Annotated[
        bool, _flag("--check-candidates", DO, "Show what each candidate still lacks; no change.")
    ] = False,
    auto_promote: Annotated[
        bool, _flag("--auto-promote", DO, "Play what is missing, decide, promote.")
    ] = False,
    full_pipeline: Annotated[
        bool,
        _flag(
            "--full-pipeline",
            DO,
            "--check-candidates --auto-promote --update-all --sync-cluster.",
        ),
    ] = False,
    daemon: Annotated[
        bool,
        _flag("--daemon", DO, "Repeat --auto-promote and --check-rollback until stopped."),
    ] = False,
    check_interval: Annotated[
        float,
        typer.Option(
            "--check-interval",
            min=0.1,
            metavar="SECONDS",
            help="Time between two rounds of --daemon.",
            rich_help_panel=DO,
        ),
    ] = 300.0,
    candidate: Ref = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REF",
            help="Play the test against this model instead; then nothing is decided.",
            autocompletion=complete_models,
            rich_help_panel=TEST,
        ),
    ] = None,
    elo_threshold: Annotated[
        float | None,
        typer.Option(
            "--elo-threshold",
            min=1,
            metavar="ELO",
            help="H1 of the test [default: promotion.elo_threshold].",
            rich_help_panel=TEST,
        ),
    ] = None,
    min_games: Annotated[
        int | None,
        typer.Option(
            "--min-games",
            min=1,
            metavar="N",
            help="Least games of the test [default: promotion.min_games].",
            rich_help_panel=TEST,
        ),
    ] = None,
    max_games: Annotated[
        int | None,
        typer.Option(
            "--max-games",
            min=1,
            metavar="N",
            help="Games after which it is inconclusive [default: promotion.max_games].",
            rich_help_panel=TEST,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            help="Seed of openings and games; another one is another test.",
            rich_help_panel=TEST,
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            help="Worker processes [default: thread budget].",
            rich_help_panel=TEST,
        ),
    ] = None,
    no_regression: Annotated[
        bool,
        _flag("--no-regression", TEST, "With --manual: no games against former champions."),
    ] = False,
    manual: Annotated[
        bool, _flag("--manual", TEST, "Move the champion without a test; needs --reason.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Why, for --manual.", rich_help_panel=TEST),
    ] = None,
    check_rollback: Annotated[
        bool, _flag("--check-rollback", BACK, "Look whether the champion fell; three times is due.")
    ] = False,
    rollback_threshold: Annotated[
        float | None,
        typer.Option(
            "--rollback-threshold",
            min=0,
            metavar="ELO",
            help="Drop below the predecessor [default: regression.rollback_elo_drop].",
            rich_help_panel=BACK,
        ),
    ] = None,
    rollback_min_games: Annotated[
        int | None,
        typer.Option(
            "--rollback-min-games",
            min=1,
            metavar="N",
            help="Games of each [default: regression.rollback_min_games].",
            rich_help_panel=BACK,
        ),
    ] = None,
    sync_cluster: Annotated[
        bool, _flag("--sync-cluster", CLUSTER, "Wait until every node has the champions, 300 s.")
    ] = False,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="URL|DIR",
            help="A node: http://HOST:PORT or a folder; repeat for more.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="REF",
            help="Where the nodes' token is: env:NAME or file:PATH [default: p2p.auth_token].",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    restart_p2p: Annotated[
        bool, _flag("--restart-p2p", CLUSTER, "Accepted; nodes take new champions by themselves.")
    ] = False,
    sync_staging: Annotated[
        str | None,
        typer.Option(
            "--sync-staging",
            metavar="DIR|HOST:DIR",
            help="Copy champions to a folder, or to another host by ssh.",
            rich_help_panel=STAGING,
        ),
    ] = None,
    sync_staging_validate_health: Annotated[
        bool, _flag("--sync-staging-validate-health", STAGING, "Load each champion there.")
    ] = False,
    sync_staging_fail_on_missing: Annotated[
        bool,
        _flag("--sync-staging-fail-on-missing", STAGING, "Exit 1 for a champion without a file."),
    ] = False,
    sync_staging_no_restart: Annotated[
        bool, _flag("--sync-staging-no-restart", STAGING, "Accepted; nothing is ever restarted.")
    ] = False,
    update_sandbox_config: Annotated[
        Path | None,
        typer.Option(
            "--update-sandbox-config",
            metavar="FILE",
            help="Write agent and model of each level of difficulty.",
            rich_help_panel=STAGING,
        ),
    ] = None,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
    no_wait: NoWait = False,
    dry_run: DryRun = False,
) -> None:
    """Test candidates, decide, and move the champion.

    Reads models, matches (data/games/games.db), hold-out results and ratings. A candidate must
    pass the floors against random and heuristic, the sequential test against the champion, games
    against former champions, and the hold-out. Writes what it plays, one decision for each candidate
    to models/decisions with every number it was made from, then aliases and
    models/promoted_models.json. After a crash in between --update-all completes it. A loop with the
    same settings and --seed plays the same matches: neither plays them again.

    Exit code 1 when no candidate is ready or a node does not confirm, 3 when a node
    is out of reach, 5 when stopped before a decision, 75 when somebody decides at the same time.

    Examples: ringrift models promote --check-candidates |
    ringrift models promote --full-pipeline --no-wait --dry-run --json

    was: model_promotion_manager.py
    """
    from ringrift.cli.models.promoting import Promotions

    run = current()
    deciding = auto_promote or full_pipeline or daemon
    _refuse_contradictions(
        manual=manual,
        no_regression=no_regression,
        deciding=deciding,
        candidate=candidate,
        against=against,
    )
    named = config_of(board, players, config_key)
    work = Promotions(
        run,
        config=named if update is None else config_of(*update),
        options={
            "promotion.elo_threshold": elo_threshold,
            "promotion.min_games": min_games,
            "promotion.max_games": max_games,
            "regression.rollback_elo_drop": rollback_threshold,
            "regression.rollback_min_games": rollback_min_games,
            "p2p.auth_token": token,
        },
        seed=seed,
        workers=workers,
        hosts=hosts or [],
        dry_run=dry_run,
    )
    steps: list[tuple[bool, Callable[[], None]]] = [
        (check_rollback, work.check_rollback),
        (
            check_candidates or full_pipeline,
            partial(work.check_candidates, required=check_candidates),
        ),
        (
            manual,
            partial(work.promote_manually, candidate, reason or "", regression=not no_regression),
        ),
        (candidate is not None and not manual, partial(work.test, candidate or "", against)),
        ((auto_promote or full_pipeline) and candidate is None, work.promote_candidates),
        (update_all or update is not None or full_pipeline, work.update),
        (
            update_sandbox_config is not None,
            partial(work.write_levels, update_sandbox_config or Path()),
        ),
        (
            sync_staging is not None,
            partial(
                work.stage,
                sync_staging or "",
                load=sync_staging_validate_health,
                fail_on_missing=sync_staging_fail_on_missing,
            ),
        ),
        (sync_cluster or full_pipeline, work.sync_cluster),
    ]
    if not daemon and not any(wanted for wanted, _ in steps):
        raise UsageError("nothing was asked for", hint="--check-candidates, or --help")
    plays = deciding or (candidate is not None and not (manual and no_regression))
    if plays and not dry_run:
        run.paths(create=False)
        ready_for(run, wait=not no_wait, disk_gb=0.5, limits=work.settings.limits)
    if restart_p2p:
        run.out.note("--restart-p2p: nodes take new champions between games; nothing is restarted")
    if daemon:
        work.run_daemon(check_interval)
        return
    for wanted, step in steps:
        if wanted and not work.stopped:
            step()
    work.show()
    if work.stopped or not work.ok:
        raise typer.Exit(work.stopped or NegativeResult.exit_code)


def _refuse_contradictions(
    *,
    manual: bool,
    no_regression: bool,
    deciding: bool,
    candidate: str | None,
    against: str | None,
) -> None:
    if no_regression and not manual:
        raise UsageError("--no-regression needs --manual", where="--no-regression", hint="--manual")
    if manual and (deciding or against is not None):
        raise UsageError("--manual makes no test", where="--manual", hint="--candidate REF")
    if against is not None and candidate is None:
        raise UsageError("--against needs a candidate", where="--against", hint="--candidate REF")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("promote")(promote)
