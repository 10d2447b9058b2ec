"""`ringrift models lineage`: where a model comes from, and who was champion (`models.md` 3)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.completion import complete_models
from ringrift.cli.invocation import current
from ringrift.cli.models.parts import (
    OUTPUT,
    SHOWN_DIGITS,
    OfBoard,
    OfConfig,
    OfPlayers,
    config_of,
    models_folder,
    rated,
    ratings_in,
    references,
)
from ringrift.cli.output import UNKNOWN, Column
from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.models.lineage import Ancestor, Lineage, Turn
    from ringrift.models.steps import EloStep


def lineage(
    model: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="Model.", autocompletion=complete_models),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, help="Generations [default: all].")
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            "--graph", metavar="FILE", help="Also draw the tree as SVG.", rich_help_panel=OUTPUT
        ),
    ] = None,
    board: OfBoard = None,
    players: OfPlayers = None,
    config_key: OfConfig = None,
) -> None:
    """Show where a model comes from, or the champions of a configuration.

    Reads cards, decisions, ratings and the manifests of datasets; writes only the graph. Of each
    model: its datasets, whose id is their fingerprint, with their games and how many of them no
    ancestor had seen; epochs and loss; hold-out value error and gap; rating; status and decision. A
    model whose file was pruned stays with its card. Without REF, --config-key shows who was champion
    and the Elo that each won.

    Exit code 1 for a configuration without a champion.

    Examples: ringrift models lineage champion --board square8 --graph lineage.svg |
    ringrift models lineage --config-key square8_2p --json
    """
    config = config_of(board, players, config_key)
    if model is None:
        _champions(config, depth, graph)
        return
    from ringrift.models.lineage import lineage as lineage_of
    from ringrift.models.listing import played_matches

    run = current()
    if graph is not None and graph.suffix.lower() != ".svg":
        raise UsageError(f"cannot draw {graph}; expected a name with .svg", where="--graph")
    identity = references(run).id(model, config)
    paths = run.paths(create=False)
    found = lineage_of(
        paths.models,
        paths.npz,
        identity,
        depth=depth,
        matched=played_matches(paths.game_store),
        ratings=ratings_in(paths),
    )
    if graph is not None:
        from ringrift.models.lineage_graph import draw

        write_atomic(graph, draw(found))
    run.out.result(
        {
            "id": identity,
            "models": [_fields(ancestor) for ancestor in found.models],
            "faults": list(found.faults),
            "graph": None if graph is None else str(graph),
            "config": None,
            "champions": [],
        },
        human="\n".join(_lines(found)),
    )


def _champions(config: str | None, depth: int | None, graph: Path | None) -> None:
    from ringrift.models.lineage import champions

    if config is None:
        raise UsageError("a model or a configuration?", where="REF", hint="--config-key square8_2p")
    if depth is not None or graph is not None:
        raise UsageError("--depth and --graph are about one model", hint="REF, such as champion")
    run = current()
    turns = champions(models_folder(run), config)
    if not turns:
        raise NegativeResult(f"{config} has no champion", hint="ringrift models promote")
    run.out.result(
        {
            "id": None,
            "models": [],
            "faults": [],
            "graph": None,
            "config": config,
            "champions": [asdict(turn) for turn in turns],
        },
        human=_table(turns, config),
    )


def _table(turns: list[Turn], config: str) -> RenderableType:
    columns = [
        Column("decision", number=True),
        Column("champion"),
        Column("by"),
        Column("Elo won (95 %)", number=True),
        Column("games", number=True),
        Column("at (UTC)"),
    ]
    rows = [
        (
            turn.sequence,
            turn.model[:SHOWN_DIGITS],
            turn.kind,
            _won(turn.step),
            turn.step.games,
            turn.at,
        )
        for turn in turns
    ]
    return current().out.table(columns, rows, title=f"champions of {config}")


def _won(step: EloStep) -> str | None:
    if step.elo is None:
        return None
    ends = [UNKNOWN if end is None else f"{end:+.0f}" for end in (step.low, step.high)]
    return f"{step.elo:+.0f} ({ends[0]} to {ends[1]})"


def _fields(ancestor: Ancestor) -> dict[str, Any]:
    known, listed = ancestor.known, ancestor.listed
    return {
        "id": ancestor.id,
        "depth": ancestor.depth,
        "parents": [{"id": parent, "role": role} for parent, role in ancestor.roles],
        "label": None if known is None else known.label,
        "datasets": [asdict(dataset) for dataset in ancestor.trained],
        "games": ancestor.games,
        "new_games": ancestor.new_games,
        "epochs": ancestor.epochs,
        "loss": ancestor.loss,
        "model": None if listed is None else listed.as_json(),
    }


def _lines(found: Lineage) -> list[str]:
    lines: list[str] = []
    for ancestor in found.models:
        indent = "  " * ancestor.depth
        head, *more = _told(ancestor)
        lines += [f"{indent}{head}", *(f"{indent}  {line}" for line in more)]
    return lines + [f"fault: {fault}" for fault in found.faults]


def _told(ancestor: Ancestor) -> list[str]:
    """Return what is known of one model: the first line names it, the others say more."""
    known, listed = ancestor.known, ancestor.listed
    name = ancestor.id[:SHOWN_DIGITS]
    if known is None or listed is None:
        return [f"{name}: no card here"]
    head = [name, *([known.label] if known.label else []), str(listed.config), listed.status]
    if listed.standing.manual:
        head.append("manual")
    if listed.file == "gone":
        head.append("file pruned")
    lines = ["  ".join(head)]
    lines += [f"{role} {parent[:SHOWN_DIGITS]}" for parent, role in ancestor.roles]
    lines += [f"dataset {d.id[:SHOWN_DIGITS]}: {_count(d.games)} games" for d in ancestor.trained]
    if ancestor.trained:
        lines.append(
            f"{_count(ancestor.new_games)} new games, {_count(ancestor.epochs)} epochs, "
            f"loss {_number(ancestor.loss)}"
        )
        lines.append(
            f"hold-out value error {_number(listed.holdout_error)}, gap {_number(listed.gap)}"
        )
    elo, games = rated(listed)
    lines.append(f"Elo {elo or UNKNOWN}, {_count(games)} games")
    decided = listed.standing
    if decided.decision is not None:
        lines.append(f"{decided.decision} {decided.decided_at}")
    return lines


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4f}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lineage")(lineage)
