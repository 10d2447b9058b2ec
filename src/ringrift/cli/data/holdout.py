"""`ringrift data holdout`: the games kept out of training (`data.md` 9, `training.md` 8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.data import holdout_evaluate
from ringrift.cli.data.holdout_evaluate import (
    CheckOverfitting,
    Evaluate,
    EvaluateStratified,
    ModelRef,
    StratifiedSummary,
    TrainLoss,
)
from ringrift.cli.data.parts import Db, OnlyBoard, OnlyPlayers, board_of, stores_of
from ringrift.cli.games.parts import stamp
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.data.holdout.stats import HoldoutStats

ACTIONS = "What to do"
NONE = "none"


def holdout(
    reserve: Annotated[
        bool,
        typer.Option(
            "--reserve", help="Keep the share --percent out of training.", rich_help_panel=ACTIONS
        ),
    ] = False,
    stats: Annotated[
        bool,
        typer.Option(
            "--stats", help="Describe what is kept out [the default].", rich_help_panel=ACTIONS
        ),
    ] = False,
    evaluate: Evaluate = False,
    evaluate_stratified: EvaluateStratified = False,
    stratified_summary: StratifiedSummary = False,
    check_overfitting: CheckOverfitting = False,
    percent: Annotated[
        int | None,
        typer.Option(
            "--percent",
            min=0,
            max=100,
            metavar="N",
            help="Share of the play in % [default: what the store keeps, 10 in a new one].",
        ),
    ] = None,
    model: ModelRef = None,
    train_loss: TrainLoss = 0.0,
    db: Db = None,
    board: OnlyBoard = None,
    players: OnlyPlayers = None,
    dry_run: DryRun = False,
) -> None:
    """Reserve, describe and use the games that training never sees.

    Which play is kept out follows from its hash, so it is the same on every host. Reads the game
    store; --reserve writes the share and moves games out of training, never back; evaluations are
    written beside the model.

    Exit code 1 for a gap that --check-overfitting finds too wide, or fewer than 200 positions; 4 to
    keep less out than before.

    Examples: ringrift data holdout --stats |
    ringrift data holdout --reserve --percent 10 --json |
    ringrift data holdout --evaluate --model models/square8_2p.pt
    """
    invocation = current()
    asked = [
        name
        for name, wanted in (
            ("--reserve", reserve),
            ("--stats", stats),
            ("--evaluate", evaluate),
            ("--evaluate-stratified", evaluate_stratified),
            ("--stratified-summary", stratified_summary),
        )
        if wanted
    ]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]}", where=asked[1], hint="one at a time")
    if percent is not None and not reserve:
        raise UsageError("a share without --reserve", where="--percent", hint="--reserve")
    full_board = board_of(board)
    if reserve:
        _reserve(invocation, db, percent, dry_run=dry_run)
    elif stratified_summary:
        holdout_evaluate.show_summary(invocation)
    elif evaluate or evaluate_stratified or check_overfitting:
        holdout_evaluate.evaluate(
            invocation,
            model,
            stores_of(invocation, db),
            full_board,
            players,
            stratified=evaluate_stratified,
            check_overfitting=check_overfitting,
            train_loss=train_loss,
            dry_run=dry_run,
        )
    else:
        _stats(invocation, db, full_board, players)


def _reserve(
    invocation: Invocation, db: list[Path] | None, percent: int | None, *, dry_run: bool
) -> None:
    from ringrift.data.holdout.reserve import reserve, would_reserve

    default = invocation.paths(create=not dry_run).game_store
    stores = [default] if not db and not default.is_file() else stores_of(invocation, db)
    done = [would_reserve(s, percent) if dry_run else reserve(s, percent) for s in stores]
    verb = "would move" if dry_run else "moved"
    invocation.out.result(
        {
            "stores": [
                {
                    "db": str(path),
                    "percent": found.percent,
                    "before": found.before,
                    "moved": found.moved,
                    "games": found.games,
                    "other_games": found.other_games,
                }
                for path, found in zip(stores, done, strict=True)
            ],
            "dry_run": dry_run,
        },
        human="\n".join(
            f"{path}: {found.percent} % of the play kept out; {verb} {found.moved:,} games; "
            f"{found.games:,} of {found.games + found.other_games:,} games are kept out"
            for path, found in zip(stores, done, strict=True)
        ),
    )


def _stats(
    invocation: Invocation, db: list[Path] | None, board: str | None, players: int | None
) -> None:
    from ringrift.data.holdout.stats import games_to_walk, holdout_stats

    root = invocation.known_root() or Path.cwd()
    default = root / "data" / "games" / "games.db"
    stores = [] if not db and not default.is_file() else stores_of(invocation, db)
    with invocation.out.progress() as progress:
        total = games_to_walk(stores, board, players)
        task = progress.task("replaying", total=total, unit="games")
        found = holdout_stats(stores, board=board, players=players, on_game=task.advance)
        task.finish()
    invocation.out.result(
        {"configurations": [_fields(stats) for stats in found]},
        human=(lambda console: _print(console, invocation, found))
        if found
        else f"hold-out: {NONE}; no game that could be trained on is stored",
    )


def _fields(stats: HoldoutStats) -> dict[str, Any]:
    return {
        "config": stats.config,
        "games": stats.games,
        "positions": stats.positions,
        "other_games": stats.other_games,
        "share": stats.share,
        "purposes": dict(sorted(stats.purposes.items())),
        "victories": dict(sorted(stats.victories.items())),
        "newest": stamp(stats.newest),
        "overlap": [
            {
                "first_ply": band.first,
                "last_ply": band.last,
                "positions": band.positions,
                "in_training": band.in_training,
                "share": band.share,
            }
            for band in stats.bands
        ],
    }


def _print(console: Console, invocation: Invocation, found: list[HoldoutStats]) -> None:
    heads = (
        Column("configuration"),
        Column("games", number=True),
        Column("positions", number=True),
        Column("share %", number=True),
        Column("purposes"),
        Column("newest (UTC)"),
        Column("victory types"),
    )
    rows = [
        [
            stats.config,
            stats.games or NONE,
            stats.positions or NONE,
            NONE if not stats.games or stats.share is None else f"{100 * stats.share:.1f}",
            _counts(stats.purposes),
            stamp(stats.newest) or NONE,
            _counts(stats.victories),
        ]
        for stats in found
    ]
    console.print(invocation.out.table(heads, rows, title="kept out of training"))
    bands = [f"{b.first}-{b.last}" if b.last is not None else f"{b.first}-" for b in found[0].bands]
    columns = [Column("configuration"), *(Column(f"ply {band} %", number=True) for band in bands)]
    shares = [
        [s.config, *(NONE if b.share is None else f"{100 * b.share:.1f}" for b in s.bands)]
        for s in found
    ]
    title = "positions that training has too"
    console.print(invocation.out.table(columns, shares, title=title))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items())) or NONE


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("holdout", cls=list_command("--db"))(holdout)
