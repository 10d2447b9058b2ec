"""`ringrift models show`: all that is known of one model (`models.md` 2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    OfBoard,
    OfConfig,
    OfPlayers,
    Reference,
    config_of,
    listing_of,
    models_folder,
    rated,
    references,
    status_text,
)
from ringrift.cli.output import UNKNOWN, Column, shown
from ringrift.core.errors import DataError, NegativeResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from ringrift.models.cards import Described
    from ringrift.models.listing import Listed

NOT_SHOWN = ("probe", "architecture", "training", "parents")


def show(
    model: Reference,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
) -> None:
    """Show the card, rating, decisions and hold-out results of a model.

    Reads the model's card, the decisions about it and its evaluations; keeps the index
    models/registry.db. A model whose file was pruned is shown with its card.

    Exit code 1 for a file that is not in the registry, 2 for a name that means nothing.

    Examples: ringrift models show champion | ringrift models show square8_2p --json
    """
    from ringrift.models.cards import describe
    from ringrift.models.decisions import read_chain
    from ringrift.models.registry import model_path

    run = current()
    identity = references(run).id(model, config_of(board, players, config_key))
    folder = models_folder(run)
    listed = listing_of(run).one(identity)
    if listed is None:
        raise NegativeResult(
            f"model {identity[:12]} is not in {folder}", hint=f"ringrift models import {model}"
        )
    known = describe(folder / "objects", identity)
    path = model_path(folder / "objects", identity)
    chain = read_chain(folder / "decisions", str(listed.config))
    decided = [
        {
            "sequence": decision.sequence,
            "kind": decision.kind,
            "at": decision.at,
            "by": decision.by,
            "reason": decision.reason,
            "role": "candidate" if decision.candidate == identity else "champion",
        }
        for decision in chain.decisions
        if identity in (decision.candidate, decision.champion_before)
    ]
    evaluations = _evaluations(path)
    run.out.result(
        {
            "model": listed.as_json(),
            "card": known.card,
            "path": str(path) if known.here else None,
            "size_bytes": path.stat().st_size if known.here else None,
            "decisions": decided,
            "evaluations": evaluations,
        },
        human=lambda console: _show(console, listed, known, path, decided, evaluations),
    )


def _evaluations(path: Path) -> list[dict[str, Any]]:
    """Return what is kept of a model's hold-out evaluations, with the names of the files."""
    found = []
    for file in sorted((path.parent / path.stem / "evaluations").glob("holdout-*.json")):
        try:
            result = json.loads(file.read_bytes())
            held, gap = result["holdout"], result["gap"]
            found.append(
                {
                    "file": file.name,
                    "positions": held.get("positions"),
                    "value_loss": held.get("value_loss"),
                    "value_error": held.get("value_error"),
                    "gap": gap.get("value"),
                    "gap_ci95": [gap.get("low"), gap.get("high")],
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"no result of an evaluation: {error!r}", where=str(file)) from None
    return found


def _show(
    console: Console,
    listed: Listed,
    known: Described,
    path: Path,
    decided: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
) -> None:
    out = current().out
    elo, games = rated(listed)
    facts: list[tuple[str, Any]] = [
        ("id", listed.id),
        ("label", listed.label or ""),
        ("status", status_text(listed)),
        ("Elo (95 %)", elo),
        ("games", games),
        ("aliases", ", ".join(listed.aliases)),
        ("pinned", listed.pinned),
        ("file", str(path) if known.here else _where(listed)),
        ("created (UTC)", listed.created_at),
        ("host", listed.host),
        *_flat(known.card),
    ]
    console.print(out.table([Column("model"), Column("")], facts))
    if known.parents:
        rows = [(role, parent) for parent, role in known.parents]
        console.print(out.table([Column("parent"), Column("")], rows))
    if decided:
        heads = [Column("decision", number=True), Column("kind"), Column("at"), Column("reason")]
        rows_of = [(d["sequence"], d["kind"], d["at"], d["reason"]) for d in decided]
        console.print(out.table(heads, rows_of))
    if evaluations:
        heads = [
            Column("hold-out"),
            Column("positions", number=True),
            Column("value loss, nats", number=True),
            Column("value error", number=True),
            Column("gap, nats", number=True),
        ]
        names = ("file", "positions", "value_loss", "value_error", "gap")
        console.print(out.table(heads, [[found[n] for n in names] for found in evaluations]))


def _where(listed: Listed) -> str:
    return "file pruned" if listed.file == "gone" else f"file {listed.file}"


def _flat(card: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the fields of a card for reading: those that are long are left to --json."""
    rows = [(name, _text(card[name])) for name in sorted(card) if name not in NOT_SHOWN]
    shape = card.get("architecture")
    for name, part in (("architecture", shape), ("training", card.get("training"))):
        if not isinstance(part, dict):
            rows.append((name, "none: random weights" if name == "training" else UNKNOWN))
            continue
        rows += [(f"{name} {key}", _text(part[key])) for key in sorted(part) if key != "shapes"]
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return json.dumps(value) if isinstance(value, (dict, list)) else shown(value)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)
