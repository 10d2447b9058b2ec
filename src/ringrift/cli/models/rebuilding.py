"""`ringrift models rebuild`: the index anew from the files (`models.md` 2)."""

from __future__ import annotations

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import models_folder
from ringrift.cli.shared_options import DryRun


def rebuild(dry_run: DryRun = False) -> None:
    """Make the index of models anew.

    Reads all cards, decisions and evaluations; writes models/registry.db, which holds nothing else.

    Examples: ringrift models rebuild | ringrift models rebuild --dry-run --json
    """
    from ringrift.models.index import NAME
    from ringrift.models.index import rebuild as make

    run = current()
    folder = models_folder(run)
    if dry_run:
        run.out.result(
            {"models": None, "path": str(folder / NAME), "dry_run": True},
            human=f"would make {folder / NAME} anew",
        )
        return
    count = make(folder)
    run.out.result(
        {"models": count, "path": str(folder / NAME), "dry_run": False},
        human=f"{count:,} models in {folder / NAME}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(rebuild)
