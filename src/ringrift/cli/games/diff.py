"""`ringrift games diff`: which games only one of two files holds (`selfplay.md` 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ringrift.cli.games.parts import ConfigKey, Limit, Model, Purpose, Reason, Run, Since
from ringrift.cli.games.several import existing, selection_of
from ringrift.cli.invocation import current
from ringrift.core.errors import NegativeResult


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="Store, shard or JSON lines.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Store, shard or JSON lines.")],
    config_key: ConfigKey = None,
    since: Since = None,
    run: Run = None,
    model: Model = None,
    purpose: Purpose = None,
    reason: Reason = None,
    limit: Limit = None,
) -> None:
    """List the ids of games that only one of two files holds.

    Reads A and B; changes nothing.

    Exit code 1 when there are any, 6 for a file that cannot be read.

    Examples: ringrift games diff data/games/games.db games.jsonl |
    ringrift games diff data/games/games.db games.jsonl --purpose match --json
    """
    from ringrift.records.sources import read_ids

    invocation = current()
    selection = selection_of(
        invocation,
        config_key=config_key,
        since=since,
        run=run,
        model=model,
        purpose=purpose,
        reason=reason,
    )
    a, b = (read_ids(path, selection, limit=limit) for path in existing([first, second]))
    only = {"only_a": sorted(a - b), "only_b": sorted(b - a)}
    lines = [f"- {identity}" for identity in only["only_a"]]
    lines += [f"+ {identity}" for identity in only["only_b"]]
    lines.append(
        f"{len(only['only_a']):,} games only in {first}, {len(only['only_b']):,} only in {second}, "
        f"{len(a & b):,} in both"
    )
    same = a == b
    invocation.out.result(
        {"a": str(first), "b": str(second), "both": len(a & b), **only},
        human="\n".join(lines),
        ok=same,
    )
    if not same:
        raise typer.Exit(NegativeResult.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff")(diff)
