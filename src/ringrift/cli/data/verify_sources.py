"""`ringrift data verify-sources`: which stores may be learned from (`data.md` 12)."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.data.parts import INPUT, Db
from ringrift.cli.invocation import current
from ringrift.cli.lists import list_command
from ringrift.cli.output import Column
from ringrift.core.errors import NegativeResult, RefusedError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.cli.invocation import Invocation
    from ringrift.data.verify_sources import Problem

NO_WAY_AROUND = (
    "games are learned from only through the views of a canonical store; there is no switch around"
)


def verify_sources(
    db: Db = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry",
            metavar="FILE",
            help="Registry that `data pool` writes [default: data/registry.json].",
            rich_help_panel=INPUT,
        ),
    ] = None,
    allow_status: Annotated[
        str,
        typer.Option(
            "--allow-status", metavar="NAME", help="Only canonical; any other is refused."
        ),
    ] = "canonical",
    allow_legacy: Annotated[
        bool, typer.Option("--allow-legacy", help="Refused: there is no such way.")
    ] = False,
    allow_pending_gate: Annotated[
        bool, typer.Option("--allow-pending-gate", help="Refused: there is no such way.")
    ] = False,
) -> None:
    """Check that game stores may be learned from.

    Asked are kind, gate and what was registered, as every trainer and exporter does before it
    starts. Reads the stores named, without any those of the registry; changes nothing. A problem
    has one of the codes missing, schema, not_canonical, gate_outdated, count_mismatch,
    hash_mismatch.

    Exit code 1 for any problem, 4 for a request to let other games in, 6 for a damaged registry.

    Examples: ringrift data verify-sources |
    ringrift data verify-sources --db data/games/games.db --json
    """
    from ringrift.data.verify_sources import check_sources

    for option, asked in (
        ("--allow-status", allow_status != "canonical"),
        ("--allow-legacy", allow_legacy),
        ("--allow-pending-gate", allow_pending_gate),
    ):
        if asked:
            raise RefusedError(NO_WAY_AROUND, where=option, hint="ringrift data pool")
    invocation = current()
    if registry is not None and not registry.is_file():
        raise UsageError(f"no registry {registry}", where="--registry", hint="ringrift data pool")
    stores = _stores(invocation, db, registry)
    problems = check_sources(stores, registry)
    invocation.out.result(
        {
            "stores": [str(path) for path in stores],
            "problems": [{"db": p.db, "code": p.code, "detail": p.detail} for p in problems],
        },
        human=_table(invocation, stores, problems),
        ok=not problems,
    )
    if problems:
        raise typer.Exit(NegativeResult.exit_code)


def _stores(invocation: Invocation, db: list[Path] | None, registry: Path | None) -> list[Path]:
    """Return the stores that are meant; a plain name that is not there is a finding of its own."""
    from ringrift.data.registry import read_registry, registry_path
    from ringrift.data.stores import store_files

    if db:
        found: list[Path] = []
        for path in db:
            several = path.is_dir() or (has_magic(str(path)) and not path.exists())
            found += store_files([path], path) if several else [path]
        return found
    root = invocation.known_root() or Path.cwd()
    file = registry if registry is not None else registry_path(root)
    registered = sorted(read_registry(file)) if file.is_file() else []
    return registered or [root / "data" / "games" / "games.db"]


def _table(invocation: Invocation, stores: list[Path], problems: list[Problem]) -> RenderableType:
    rows = [
        [str(path), code, detail]
        for path in stores
        for code, detail in [(p.code, p.detail) for p in problems if p.db == str(path)]
        or [("ok", "")]
    ]
    columns = [Column("store"), Column("verdict"), Column("detail")]
    return invocation.out.table(columns, rows)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify-sources", cls=list_command("--db"))(verify_sources)
