"""`ringrift models list`: the models of the data root (`models.md` 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    SHOWN_DIGITS,
    OfBoard,
    OfPlayers,
    board_of,
    listing_of,
    rated,
    status_text,
)
from ringrift.cli.output import Column

if TYPE_CHECKING:
    from typing import Any

    from ringrift.models.listing import Listed


def list_models(
    board: OfBoard = None,
    players: OfPlayers = None,
    kind: Annotated[
        Literal["cnn", "nnue", "nnue-policy", "heuristic-weights"] | None,
        typer.Option("--kind", help="Only models of a kind."),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only registered, candidate, champion, rejected, inconclusive, superseded, former, "
            "rolled_back, archived or quarantined ones.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Rows.")] = 50,
    sort: Annotated[
        Literal["created", "elo"],
        typer.Option("--sort", help="The newest first, or the strongest; unrated ones come last."),
    ] = "created",
) -> None:
    """List the models of the data root with their status and rating.

    Reads cards, decisions, matches and ratings; keeps the index models/registry.db, which can be
    deleted at any time. Elo is the fitted rating, where random has 400; what a candidate's own test
    measured stands beside it. A champion that was made without a test is marked manual.

    Examples: ringrift models list | ringrift models list --board hex8 --status champion --json
    """
    run = current()
    listing = listing_of(run, sort=sort)
    found = listing.of(board=board_of(board), players=players, kind=kind, status=status)
    columns = [
        Column("model"),
        Column("configuration"),
        Column("kind"),
        Column("status"),
        Column("Elo (95 %)", number=True),
        Column("games", number=True),
        Column("test, Elo", number=True),
        Column("gap, nats", number=True),
        Column("aliases"),
        Column("label"),
        Column("created (UTC)"),
    ]
    rows = [_row(model) for model in found[:limit]]
    unreadable = dict(listing.unreadable)
    run.out.result(
        {
            "models": [model.as_json() for model in found[:limit]],
            "total": len(found),
            "unreadable": [{"id": i, "code": unreadable[i]} for i in sorted(unreadable)],
        },
        human=run.out.table(columns, rows, title=f"{len(rows):,} of {len(found):,} models"),
    )
    if unreadable:
        run.out.note(f"{len(unreadable):,} models cannot be read; try ringrift models validate")


def _row(model: Listed) -> list[Any]:
    elo, games = rated(model)
    measured = model.standing.elo_diff
    return [
        model.id[:SHOWN_DIGITS],
        model.config,
        model.kind,
        status_text(model),
        elo,
        games,
        None if measured is None else f"{measured:+.0f}",
        None if model.gap is None else f"{model.gap:+.3f}",
        ", ".join(model.aliases),
        model.label or "",
        model.created_at,
    ]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_models)
