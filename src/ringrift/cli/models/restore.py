"""`ringrift models restore`: bring back what was archived or set aside (`models.md` 6, 7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import models_folder, references
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation


def restore(
    model: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="Id or its first digits, alias, or the name of a file set aside."
        ),
    ],
    backup_dir: Annotated[
        Path | None,
        typer.Option(
            "--backup-dir",
            metavar="DIR",
            help="Where bad files were moved to [default: models/quarantine].",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Restore a model from the archive or from quarantine.

    Reads models/archive and the manifests in models/quarantine; writes the file to where it was,
    with the same bytes. A file from quarantine is as bad as it was: `ringrift models validate` says
    with which code.

    Exit code 1 where neither has it, 4 where a file stands in its place, 6 for a damaged copy.

    Examples: ringrift models restore 0123456789ab | ringrift models restore old.pth --dry-run --json
    """
    from ringrift.core.errors import NegativeResult
    from ringrift.models import archive, quarantine

    run = current()
    folder = models_folder(run, create=not dry_run)
    backup = folder / "quarantine" if backup_dir is None else backup_dir
    wanted = _id(run, model)
    source, path = "archive", archive.find_archived(folder, wanted)
    if path is not None and not dry_run:
        archive.unarchive(folder, wanted)
    if path is None:
        source = "quarantine"
        found = quarantine.find_kept(folder, wanted, backup)
        path = None if found is None else found[1]
        if found is not None and not dry_run:
            quarantine.restore(folder, wanted, backup)
    if path is None:
        raise NegativeResult(
            f"neither archive nor quarantine has {model!r}",
            where=str(folder),
            hint="ringrift models list --status archived",
        )
    said = "would be restored" if dry_run else "restored"
    run.out.result(
        {"path": str(path), "source": source, "dry_run": dry_run},
        human=f"{path} {said} from the {source}",
    )


def _id(run: Invocation, model: str) -> str:
    """Return the id that a reference means, else the text: a file set aside has no reference."""
    try:
        return references(run).id(model)
    except UsageError:
        return model


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("restore")(restore)
