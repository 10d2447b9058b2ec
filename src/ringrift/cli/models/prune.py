"""`ringrift models prune`: remove model files that nothing needs (`models.md` 7)."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import SHOWN_DIGITS, ratings_in
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.models.pruning import Known, Limits, Model, Removal

WHICH = "Which models"


def prune(
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Count models, bytes and references by configuration only."),
    ] = False,
    min_elo: Annotated[
        float,
        typer.Option("--min-elo", help="Only models rated below.", rich_help_panel=WHICH),
    ] = 1400.0,
    min_games: Annotated[
        int,
        typer.Option(
            "--min-games", min=0, help="Only models of so many rated games.", rich_help_panel=WHICH
        ),
    ] = 30,
    min_age_days: Annotated[
        float,
        typer.Option("--min-age-days", min=0, help="Only files as old.", rich_help_panel=WHICH),
    ] = 7.0,
    keep_top: Annotated[
        float,
        typer.Option(
            "--keep-top",
            min=0,
            max=1,
            help="Share of the strongest that stays, of each configuration.",
            rich_help_panel=WHICH,
        ),
    ] = 0.25,
    archive: Annotated[
        bool, typer.Option("--archive", help="Keep a compressed copy in models/archive.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do not ask, and delete without a copy.")
    ] = False,
    archive_older_than_days: Annotated[
        float | None,
        typer.Option(
            "--archive-older-than-days",
            min=0,
            metavar="N",
            help="Delete archive copies of that age instead; needs --force.",
        ),
    ] = None,
    grace_seconds: Annotated[
        float,
        typer.Option(
            "--grace-seconds",
            min=0,
            help="Time between mark and removal, in which a model can be taken into use.",
        ),
    ] = 600.0,
    mark_only: Annotated[
        bool,
        typer.Option("--mark-only", help="Do not wait; a later call removes what is marked."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Remove model files that are weak, tested, old and needed by nobody.

    Reads models, decisions, aliases, pins, leases and ratings (data/ratings; random is 400). Champions
    and the five before them, candidates, names, pins, models in use, their parents and the best
    quarter stay, and so does what is unrated. Marks what may go, counts again ten minutes later, and
    removes files only: cards, decisions, evaluations and matches stay. With --archive a checked copy
    is written to models/archive first. Asks before deleting for good; without a terminal --force or
    --archive is required.

    Examples: ringrift models prune --dry-run |
    ringrift models prune --archive --min-elo 1200 --mark-only --json

    was: prune_models.py
    """
    from ringrift.models import pruning
    from ringrift.models.archive import drop_older

    run = current()
    paths = run.paths(create=False)
    limits = pruning.Limits(
        min_elo=min_elo, min_games=min_games, min_age_days=min_age_days, keep_top=keep_top
    )
    if archive_older_than_days is not None:
        if not force and not dry_run:
            raise UsageError(
                "archive copies are the last ones",
                where="--archive-older-than-days",
                hint="--force",
            )
        dropped = drop_older(paths.models, archive_older_than_days, dry_run=dry_run)
        said = "would be " if dry_run else ""
        run.out.result(
            _result(dropped=dropped, dry_run=dry_run),
            human=f"{len(dropped)} archive copies {said}deleted",
        )
        return
    found = pruning.survey(paths.models, _known(run), limits)
    if stats:
        by_config = pruning.statistics(found)
        run.out.result(
            _result(statistics=by_config, dry_run=dry_run), human=_statistics(run, by_config)
        )
        return
    free = [model for model in found if model.free]
    removal = None
    if free and not dry_run:
        _agree(run, free, archive=archive, force=force)
    if not dry_run and (free or pruning.marks(paths.models)):
        pruning.mark(paths.models, free)
        removal = _remove(run, limits, keep_copy=archive, grace_s=grace_seconds, wait=not mark_only)
    run.out.result(
        _result(listed=free, removal=removal, dry_run=dry_run),
        human=lambda console: _show(run, console, free, removal, dry_run=dry_run),
    )


def _known(run: Invocation) -> Known:
    """Return ratings, and the models that trainings to be gone on with need."""
    from ringrift.models.pruning import Known

    paths = run.paths(create=False)
    return Known(ratings=ratings_in(paths), runs=_in_runs(run))


def _in_runs(run: Invocation) -> frozenset[str]:
    """Return the ids of models that unfinished runs name in their plans."""
    from ringrift.models.runs import models_of_unfinished_runs

    return models_of_unfinished_runs(run.paths(create=False).runs)


def _agree(run: Invocation, free: Sequence[Model], *, archive: bool, force: bool) -> None:
    if force or archive:
        return
    if not sys.stdin.isatty() and not run.options.yes:
        raise UsageError(
            f"{len(free)} models would be deleted for good and there is no terminal to ask",
            where="--force",
            hint="--archive, which keeps a copy",
        )
    if not run.confirm(f"Delete {len(free)} model files for good?"):
        raise UsageError("nothing was deleted: not confirmed", hint="--archive")


def _remove(
    run: Invocation, limits: Limits, *, keep_copy: bool, grace_s: float, wait: bool
) -> Removal:
    from ringrift.core.interrupt import cooperative_stop
    from ringrift.models.pruning import marks, remove_marked

    folder = run.paths().models

    def remove() -> Removal:
        return remove_marked(
            folder, lambda: _known(run), limits, keep_copy=keep_copy, grace_s=grace_s
        )

    if not wait:
        return remove()
    due = max(marks(folder).values(), default=0.0) + grace_s
    with cooperative_stop() as stop, run.out.progress() as progress:
        left = max(0, round(due - time.time()))
        task = progress.task("waiting before the removal", total=left, unit="s")
        while (rest := due - time.time()) > 0 and not stop.requested:
            task.update(max(0, left - round(rest)))
            stop.wait(min(1.0, rest))
        task.finish()
        if stop.requested:
            run.out.note("stopped; the marks stay, and the next call removes what is still free")
            raise typer.Exit(stop.exit_code)
    return remove()


def _result(
    *,
    listed: Sequence[Model] = (),
    removal: Removal | None = None,
    statistics: Sequence[dict[str, Any]] = (),
    dropped: Sequence[str] = (),
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "listed": [asdict(model) for model in listed],
        "removed": [] if removal is None else [model.id for model in removal.removed],
        "saved": [] if removal is None else list(removal.saved),
        "waiting": [] if removal is None else list(removal.waiting),
        "statistics": list(statistics),
        "dropped": list(dropped),
        "dry_run": dry_run,
    }


def _statistics(run: Invocation, found: Sequence[dict[str, Any]]) -> Any:
    columns = [
        Column("configuration"),
        Column("models", number=True),
        Column("bytes", number=True),
        Column("may go", number=True),
        Column("references"),
    ]
    rows = [
        [
            row["config"],
            row["models"],
            row["bytes"],
            row["free"],
            ", ".join(f"{count} {kind}" for kind, count in row["references"].items()),
        ]
        for row in found
    ]
    return run.out.table(columns, rows) if rows else "no models"


def _show(
    run: Invocation,
    console: Console,
    free: Sequence[Model],
    removal: Removal | None,
    *,
    dry_run: bool,
) -> None:
    columns = [
        Column("model"),
        Column("configuration"),
        Column("reason"),
        Column("Elo", number=True),
        Column("games", number=True),
        Column("age, days", number=True),
        Column("bytes", number=True),
    ]
    rows = [
        [
            model.id[:SHOWN_DIGITS],
            model.config,
            "weak, tested, old, needed by nobody",
            round(model.elo) if model.elo is not None else None,
            model.games,
            round(model.age_days, 1),
            model.size_bytes,
        ]
        for model in free
    ]
    console.print(run.out.table(columns, rows) if rows else "no model may go", soft_wrap=not rows)
    if dry_run or removal is None:
        return
    size = sum(model.size_bytes for model in removal.removed)
    console.print(
        f"{len(removal.removed)} removed ({size:,} bytes), {len(removal.saved)} taken into use "
        f"again, {len(removal.waiting)} marked and not due yet",
        soft_wrap=True,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune")(prune)
