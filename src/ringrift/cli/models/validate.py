"""`ringrift models validate`: check model files and what refers to them (`models.md` 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import models_folder
from ringrift.cli.output import Column
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import DataError, NegativeResult, NotRunningError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ringrift.cli.invocation import Invocation
    from ringrift.models.quarantine import Step
    from ringrift.models.validation import Finding, Report

INPUT = "Input"
DAY_S = 86_400.0


def validate(
    scan: Annotated[
        bool, typer.Option("--scan", help="Only look, as without --cleanup and --update-db.")
    ] = False,
    cleanup: Annotated[
        bool,
        typer.Option("--cleanup", help="Move bad files to --backup-dir; nothing is deleted."),
    ] = False,
    update_db: Annotated[
        bool, typer.Option("--update-db", help="Make the index models/registry.db anew.")
    ] = False,
    models_dir: Annotated[
        Path | None,
        typer.Option(
            "--models-dir",
            metavar="DIR",
            help="Folder of models [default: models of the data root].",
            rich_help_panel=INPUT,
        ),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern",
            metavar="GLOB",
            help="Only files of such names, in all folders below.",
            rich_help_panel=INPUT,
        ),
    ] = "*",
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="NAME|all", help="Check on other nodes.", rich_help_panel=INPUT
        ),
    ] = None,
    backup_dir: Annotated[
        Path | None,
        typer.Option(
            "--backup-dir",
            metavar="DIR",
            help="Where bad files go [default: quarantine in the folder of models].",
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Compute the outputs of every model, not of champions alone."),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Check every model file, alias, decision and parent.

    Reads models, decisions, aliases and the participants of matches. Each file is ok or has one code,
    as truncated, hash_mismatch or unsafe_pickle; no pickle is ever executed. With --cleanup moves bad
    files to models/quarantine, where a manifest names them (`ringrift models restore` brings one
    back), writes lost descriptions anew, and keeps a champion that only another version can use.

    Exit code 1 if anything is bad, 3 for nodes that cannot be reached.

    Examples: ringrift models validate | ringrift models validate --cleanup --dry-run --json

    was: validate_models.py
    """
    from ringrift.models import archive, quarantine
    from ringrift.models.validation import scan as look

    run = current()
    if scan and (cleanup or update_db):
        raise UsageError("--scan changes nothing", where="--scan", hint="one of them")
    if host is not None:
        raise NotRunningError(
            f"no job bus is configured through which {host!r} could be asked",
            where="--host",
            hint="ringrift models validate on that node",
        )
    folder = models_folder(run) if models_dir is None else models_dir
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}", where="--models-dir")
    backup = folder / "quarantine" if backup_dir is None else backup_dir
    participants = _participants(run) if models_dir is None else []
    with run.out.progress() as progress:
        task = progress.task("checking", unit="files")
        report = look(
            folder,
            pattern=pattern,
            full=full,
            participants=participants,
            on_file=lambda done, total: task.update(done, total=total),
        )
        task.finish()
    steps: Sequence[Step] = quarantine.plan_cleanup(folder, report) if cleanup else []
    if cleanup and not dry_run:
        steps = quarantine.clean_up(
            folder, steps, backup, fetch=lambda model: archive.unarchive(folder, model) is not None
        )
    if update_db and not dry_run:
        _rebuild(folder)
    run.out.result(
        {
            "models_dir": str(folder),
            "findings": [_fields(finding) for finding in report.findings],
            "counts": report.counts,
            "cleanup": [
                {"path": str(s.path), "action": s.action, "code": s.code, "detail": s.detail}
                for s in steps
            ],
            "updated_db": update_db and not dry_run,
            "dry_run": dry_run,
        },
        human=lambda console: _show(run, console, report, steps, dry_run=dry_run),
        ok=report.good,
    )
    if not report.good:
        raise typer.Exit(NegativeResult.exit_code)


def _participants(run: Invocation) -> list[str]:
    """Return the ids of the models that stored matches name."""
    from ringrift.records.store import GameStore

    found: set[str] = set()
    for path in sorted(run.paths(create=False).games.glob("*.db")):
        try:
            with GameStore.open(path) as store:
                found |= store.match_models()
        except DataError as error:
            run.out.note(f"{path} is left out: {error.message}")
    return sorted(found)


def _rebuild(folder: Path) -> None:
    from ringrift.models.index import rebuild

    rebuild(folder)


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "ref": finding.ref,
        "detail": finding.detail,
        "path": None if finding.path is None else str(finding.path),
        "model": finding.model_id,
        "bytes": finding.size_bytes,
        "age_seconds": None if finding.age_s is None else round(finding.age_s, 1),
    }


def _show(
    run: Invocation, console: Console, report: Report, steps: Sequence[Step], *, dry_run: bool
) -> None:
    columns = [
        Column("model"),
        Column("state"),
        Column("detail"),
        Column("bytes", number=True),
        Column("age, days", number=True),
    ]
    shown = report.findings if run.options.verbose or len(report.findings) <= 50 else report.bad
    rows = [
        [
            finding.ref if finding.path is None else finding.path.name[:40],
            finding.code,
            finding.detail,
            "" if finding.size_bytes is None else finding.size_bytes,
            "" if finding.age_s is None else round(finding.age_s / DAY_S, 1),
        ]
        for finding in shown
    ]
    if rows:
        console.print(run.out.table(columns, rows))
    totals = ", ".join(f"{count} {code}" for code, count in report.counts.items()) or "no models"
    console.print(totals, soft_wrap=True)
    for step in steps:
        said = f"would be {step.action}" if dry_run else step.action
        console.print(f"{step.path}: {said} ({step.code})", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)
