"""`ringrift games import`: read games of foreign formats into the store (`selfplay.md` 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.completion import complete_boards
from ringrift.cli.games.parts import Db
from ringrift.cli.games.several import existing
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import DryRun
from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.records.foreign import ImportOptions, ImportReport

SHOWN = 20
LINE_LENGTHS = {"auto": None, "3": 3, "4": 4}


def import_games(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of games; patterns are expanded.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="auto, gamereplaydb, selfplay-jsonl, gamerecord-jsonl or trace.",
        ),
    ] = "auto",
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            "--board-type",
            metavar="BOARD",
            help="Only games on this board.",
            autocompletion=complete_boards,
            rich_help_panel="Game",
        ),
    ] = None,
    players: Annotated[
        int | None,
        typer.Option(
            "--players",
            "--num-players",
            min=2,
            max=4,
            help="Only games of so many players.",
            rich_help_panel="Game",
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="canonical takes every ply as recorded; legacy inserts bookkeeping plies that are "
            "the only legal move, and counts them.",
        ),
    ] = "canonical",
    line_length: Annotated[
        str,
        typer.Option(
            "--line-length",
            metavar="auto|3|4",
            help="Base line length of hex8 games that do not state it; auto tries 3, then 4.",
        ),
    ] = "auto",
    db: Db = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="First games only.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 also when a game was rejected.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the report to FILE.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Import games of other programs into the game store.

    They come as replay databases, JSON lines or recorded traces. Every game is replayed; moves
    recorded in part are solved where one legal sequence fits. Reads FILE, never while another
    program has it open; writes verified games to the store, rejected ones to its quarantine.

    Exit code 1 when no game was imported, or with --strict when one was rejected; 6 for a file of
    no known format.

    Examples: ringrift games import replays.db --mode legacy --report import.json |
    ringrift games import games.jsonl --board hex8 --line-length 4 --dry-run --json
    """
    from ringrift.cli.lists import expand_paths
    from ringrift.records.foreign import ImportReport

    invocation = current()
    options = _options(form, board, players, mode, line_length, limit)
    paths = existing(expand_paths(files, what="FILE"))
    store = db if db is not None else invocation.paths(create=not dry_run).game_store
    found = ImportReport()
    _run(invocation, paths, options, store, found, dry_run=dry_run)
    ok = found.imported > 0 and not (strict and found.rejected)
    fields = {**found.as_json(), "store": str(store), "dry_run": dry_run}
    if report is not None:
        write_atomic(report, json.dumps(fields, indent=2, ensure_ascii=False).encode())
    invocation.out.result(fields, human=_text(found, store, dry_run=dry_run), ok=ok)
    if not ok:
        raise typer.Exit(NegativeResult.exit_code)


def _options(
    form: str,
    board: str | None,
    players: int | None,
    mode: str,
    line_length: str,
    limit: int | None,
) -> ImportOptions:
    from ringrift.records.foreign import FORMATS, MODES, ImportOptions
    from ringrift.rules import board_name

    _known("--from", form, ("auto", *FORMATS))
    _known("--line-length", line_length, tuple(LINE_LENGTHS))
    _known("--mode", mode, MODES)
    return ImportOptions(
        form=form,
        board=None if board is None else board_name(board),
        players=players,
        legacy=mode == "legacy",
        line_length=LINE_LENGTHS[line_length],
        limit=limit,
    )


def _known(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"unknown {option[2:]} {value!r}", where=option, hint=", ".join(allowed))


def _run(
    invocation: Invocation,
    paths: list[Path],
    options: ImportOptions,
    store: Path,
    report: ImportReport,
    *,
    dry_run: bool,
) -> None:
    from ringrift.records.foreign import import_files, would_import

    with invocation.out.progress() as progress:
        task = progress.task("importing", unit="games")
        if dry_run:
            would_import(paths, options, store, report, on_game=task.advance)
        else:
            import_files(paths, options, store, report, on_game=task.advance)
        task.finish()


def _text(report: ImportReport, store: Path, *, dry_run: bool) -> str:
    verb = "would import" if dry_run else "imported"
    lines = [
        f"{example['file']} row {example['row']} game {example['game'] or 'unknown'}"
        f"{'' if example['ply'] is None else ' ply ' + str(example['ply'])} "
        f"{example['reason']}: {example['detail']}"
        for example in report.examples[:SHOWN]
    ]
    lines += [f"ignored: unknown column {column}" for column in report.ignored_columns]
    lines += [f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(report.notes.items())]
    reasons = ", ".join(f"{count:,} {name}" for name, count in report.reasons.most_common())
    lines.append(
        f"{report.considered:,} considered: {verb} {report.imported:,} into {store}, "
        f"{report.duplicate:,} duplicate, {report.rejected:,} rejected"
        + (f" ({reasons})" if reasons else "")
    )
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_games)
