"""What `data stats` does to JSON lines: `--fix-in-place`, `--clean`, `--quarantine-dir` (`data.md` 10).

    fixing = fix_files(invocation, files, fix_in_place, clean, quarantine_dir, dry_run=dry_run)
    out.result({..., "fixing": fixing_json(fixing)}, human=...  fixing_lines(fixing))

`fix_files` returns None where none of the three is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.data.jsonl_fixing import FileReport

FIXING = "Fixing JSON lines"
SHOWN = 20

FixInPlace = Annotated[
    bool,
    typer.Option(
        "--fix-in-place",
        help="Correct board, players, winner, victory type and move count of JSON lines by replay.",
        rich_help_panel=FIXING,
    ),
]
Clean = Annotated[
    bool,
    typer.Option(
        "--clean",
        help="Correct, and take out lines that no one can learn from.",
        rich_help_panel=FIXING,
    ),
]
QuarantineDir = Annotated[
    Path | None,
    typer.Option(
        "--quarantine-dir",
        metavar="DIR",
        help="Folder that gets a copy of such lines, by reason.",
        rich_help_panel=FIXING,
    ),
]


def fix_files(
    invocation: Invocation,
    files: Sequence[Path],
    fix_in_place: bool,
    clean: bool,
    quarantine_dir: Path | None,
    *,
    dry_run: bool,
) -> list[FileReport] | None:
    """Fix the JSON lines that a command reads; `None` where no option asks for it.

    Only files of JSON lines count; raises `UsageError` where there is none.
    """
    if not (fix_in_place or clean or quarantine_dir is not None):
        return None
    from ringrift.data.jsonl_fixing import FixOptions, fix_file
    from ringrift.records.sources import kind_of

    meant = [path for path in files if kind_of(path) == "jsonl"]
    if not meant:
        raise UsageError(
            "--fix-in-place, --clean and --quarantine-dir are for JSON lines; none is given",
            hint="--jsonl FILE",
        )
    options = FixOptions(
        correct=fix_in_place or clean, clean=clean, quarantine=quarantine_dir, dry_run=dry_run
    )
    with invocation.out.progress() as progress:
        task = progress.task("replaying", unit="lines")
        reports = [fix_file(path, options, on_line=task.advance) for path in meant]
        task.finish()
    return reports


def fixing_json(reports: Sequence[FileReport] | None) -> dict[str, Any] | None:
    """Return what was fixed as a JSON value."""
    if reports is None:
        return None
    return {
        "files": [report.as_json() for report in reports],
        "corrected": sum(report.corrected.total() for report in reports),
        "quarantinable": sum(report.out.total() for report in reports),
        "changed": sum(report.changed for report in reports),
        "skipped": sum(report.skipped is not None for report in reports),
    }


def fixing_lines(reports: Sequence[FileReport] | None) -> list[str]:
    """Return what was fixed as lines of text, a few examples of each file among them."""
    lines = []
    for report in reports or ():
        lines.append(_summary(report))
        lines += [f"  line {example['line']}: {_told(example)}" for example in report.examples]
        rest = report.corrected.total() + report.out.total() - len(report.examples)
        if report.examples and rest > 0 and len(report.examples) == SHOWN:
            lines.append("  ... and more")
    return lines


def _summary(report: FileReport) -> str:
    if report.skipped is not None:
        return f"{report.file}: skipped, {report.skipped}"
    parts = [f"{report.lines:,} lines"]
    parts += [f"{count:,} {name} corrected" for name, count in sorted(report.corrected.items())]
    parts += [f"{count:,} {reason}" for reason, count in sorted(report.out.items())]
    if report.backup is not None:
        parts.append(f"the old file is {report.backup.name}")
    else:
        parts.append("to be changed" if report.changed else "nothing changed")
    return f"{report.file}: {', '.join(parts)}"


def _told(example: dict[str, Any]) -> str:
    if "reason" in example:
        at = "" if example["ply"] is None else f" at ply {example['ply']}"
        return f"{example['reason']}{at}: {example['detail']}"
    return ", ".join(
        f"{change['field']} {change['found']!r} -> {change['replayed']!r}"
        for change in example["changes"]
    )
