"""What the commands that fill a store share: the run, what follows it, how it is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.core.paths import Paths
    from ringrift.data.pool.report import PoolReport
    from ringrift.data.pool.request import PoolRequest

GATE = "Gate"
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="canonical takes every ply as recorded; legacy inserts bookkeeping plies that are "
        "the only legal move, and counts them.",
        rich_help_panel=GATE,
    ),
]

PARTLY_DONE = 5
SHOWN = 20
_COUNTS = (
    ("considered", "games_considered"),
    ("skipped", "skipped_existing"),
    ("duplicate", "duplicates"),
    ("train", "training_passed"),
    ("val", "validation_passed"),
    ("hold-out", "holdout_passed"),
    ("never", "never_trainable"),
)


def mode_of(name: str) -> bool:
    """Return whether a mode is `legacy`; raises `UsageError` for an unknown one."""
    from ringrift.records.foreign import MODES

    if name not in MODES:
        raise UsageError(f"unknown mode {name!r}", where="--mode", hint=", ".join(MODES))
    return name == "legacy"


def run_pool(invocation: Invocation, request: PoolRequest) -> PoolReport:
    """Build with progress; raises the error of the inputs where none could be read."""
    from ringrift.data.pool.build import build_pool

    paths = invocation.paths(create=not request.dry_run)
    with invocation.out.progress() as progress:
        task = progress.task("taking games", unit="games")

        def shown(report: PoolReport) -> None:
            name = Path(report.inputs[-1].path).name
            task.update(report.considered, name=f"{name} ({len(report.inputs)} of {total})")

        total = len(request.named) + len(request.scanned)
        report = build_pool(request, on_progress=shown)
        task.finish()
    if report.changed and not request.dry_run:
        _follow_up(invocation, paths, request)
    return report


def _follow_up(invocation: Invocation, paths: Paths, request: PoolRequest) -> None:
    """Write what the store holds now into the registry, and the summaries of its games."""
    from ringrift.data.registry import register
    from ringrift.data.statistics.cache import FILE_NAME
    from ringrift.data.statistics.gathering import remember

    register(paths.root, request.output)
    with invocation.out.progress() as progress:
        task = progress.task("summarising games")
        remember(request.output, paths.cache / FILE_NAME, workers=request.workers)
        task.finish()


def share_limit(invocation: Invocation) -> float:
    """Return the share of an input that may fail."""
    return invocation.settings().values.safety.parity_failure_rate_max


def ending_of(report: PoolReport, limit: float) -> int:
    """Return the exit code: an input failed, part could not be read, or all is well.

    Raises the first error where no input could be read.
    """
    if report.errors and len(report.errors) == len(report.inputs):
        raise report.errors[0]
    if report.failing(limit):
        return NegativeResult.exit_code
    return PARTLY_DONE if report.errors else 0


def show_pool(
    invocation: Invocation, request: PoolRequest, report: PoolReport, limit: float, code: int
) -> dict[str, Any]:
    """Print the report; return its fields."""
    fields = {
        "output": str(request.output),
        "dry_run": request.dry_run,
        **report.as_json(),
        "failure_share_max": limit,
        "failing_inputs": [one.path for one in report.failing(limit)],
    }
    out = invocation.out
    root = invocation.known_root() or Path.cwd()

    def human(console: Any) -> None:
        rows = [
            (
                _short(one["path"], root),
                *(one[name] for _, name in _COUNTS),
                sum(one["quarantined"].values()),
            )
            for one in (*fields["inputs"], {"path": "total", **fields["totals"]})
            if not one.get("ignored")
        ]
        columns = [Column("input"), *(Column(head, number=True) for head, _ in _COUNTS)]
        console.print(out.table([*columns, Column("quarantined", number=True)], rows))
        console.print(_notes(report, fields), soft_wrap=True)

    out.result(fields, human=human, ok=code == 0)
    return fields


def _short(path: str, root: Path) -> str:
    """Return a path as one names it: from the data root where it lies there."""
    found = Path(path)
    return str(found.relative_to(root)) if found.is_relative_to(root) else path


def _notes(report: PoolReport, fields: dict[str, Any]) -> str:
    lines = [
        f"{example['where'] or one.path}"
        f"{'' if example['ply'] is None else ' ply ' + str(example['ply'])} "
        f"{example['reason']}: {example['detail']}"
        for one in report.inputs
        for example in one.examples
    ]
    more = len(lines) - SHOWN
    lines = [*lines[:SHOWN], *([f"... {more:,} more (--json)"] if more > 0 else [])]
    lines += [f"not read: {one.path}: {one.error}" for one in report.inputs if one.error]
    ignored = sum(one.ignored for one in report.inputs)
    if ignored:
        lines.append(f"{ignored:,} files without games passed over")
    if fields["totals"]["unfinished_lines"]:
        lines.append(f"{fields['totals']['unfinished_lines']:,} half-written lines wait")
    notes: Counter[str] = Counter()
    for one in report.inputs:
        notes += one.notes
    lines += [f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(notes.items())]
    if report.rechecked or report.withdrawn:
        lines.append(f"{report.rechecked:,} rechecked, {report.withdrawn:,} put into quarantine")
    lines += [f"stale dataset: {path}" for path in report.stale]
    summary = fields["parity_summary"]
    verb = "would take" if fields["dry_run"] else "took"
    lines.append(
        f"{summary['total_games_checked']:,} games checked, {summary['passed']:,} passed, "
        f"{summary['semantic_divergence']:,} differ from the rules, "
        f"{summary['structural_issues']:,} malformed, "
        f"{summary['non_canonical_history']:,} without all plies"
    )
    rate = fields["games_per_s"]
    lines.append(
        f"{fields['output']} {verb} {report.added:,} games"
        + (f", {rate:,.0f} games/s" if rate else "")
    )
    limit = fields["failure_share_max"]
    lines += [
        f"more than {limit:.0%} failed: {one.path} ({one.failed:,} of {one.looked_at:,})"
        for one in report.failing(limit)
    ]
    return "\n".join(lines)


def with_files(request: PoolRequest, *, named: list[Path], scanned: list[Path]) -> PoolRequest:
    """Return the request with its inputs, each once and none of them an output."""
    from ringrift.data.pool.scanning import without

    outputs = (request.output, request.holdout, request.quarantine)
    first = without(named, outputs)
    return replace(request, named=tuple(first), scanned=tuple(without(scanned, (*outputs, *first))))
