"""`ringrift games show`: one game, its position and what was searched (`selfplay.md` 6)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.games.parts import Db, open_store
from ringrift.cli.invocation import Invocation, current
from ringrift.cli.output import Column
from ringrift.core.errors import UsageError
from ringrift.core.files import write_atomic

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ringrift.records import Analysis


def show(
    game: Annotated[str, typer.Argument(metavar="ID", help="Id, or its first 6 digits or more.")],
    db: Db = None,
    ply: Annotated[
        int | None,
        typer.Option("--ply", min=0, help="Position before this ply [default: the end]."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the drawing to FILE.")
    ] = None,
) -> None:
    """Show a game: the board, its moves, and what the search found at a ply.

    Reads the game store; with --svg writes the drawing, nothing else.

    Examples: ringrift games show 4112f6 | ringrift games show 4112f6 --ply 20 --svg board.svg
    """
    from ringrift.records import Replayer

    invocation = current()
    with open_store(invocation, db) as store:
        identity = store.find(game)
        found = store.get(identity)
    if found is None:
        raise UsageError(f"no game {game!r}", where="ID")
    record, analysis = found
    plies = len(record.moves)
    at = plies if ply is None else ply
    if at > plies:
        raise UsageError(f"ply is {ply}; expected 0 to {plies}", where="--ply")
    texts = Replayer(record.spec, record.start, record.moves).texts()
    replayer = Replayer(record.spec, record.start, record.moves)
    replayer.advance(at)
    position = replayer.position
    searched = _searched(analysis, position, at)
    if svg is not None:
        svg.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(svg, position.svg().encode())
    agents = [agent.spec for agent in record.agents]
    result = record.result
    ended = f"{result.end}: winner {result.winner or 'none'} by {result.reason} after {plies} plies"
    fields = {
        "id": identity,
        "configuration": record.spec.config,
        "seed": record.seed,
        "agents": agents,
        "purpose": record.meta.purpose,
        "run": record.meta.run,
        "result": {
            "end": result.end,
            "winner": result.winner,
            "reason": result.reason,
            "ranks": list(result.ranks),
            "plies": plies,
        },
        "ply": at,
        "position": str(position),
        "moves": texts,
        "search": searched,
        "searched_plies": [p.ply for p in analysis.plies] if analysis else [],
        "svg": None if svg is None else str(svg),
    }
    text = "\n".join(
        [
            f"game {identity}",
            f"{record.spec.config}, {' against '.join(agents)}, seed {record.seed}",
            ended,
            "",
            position.text(),
            "",
            f"ply {at} of {plies}, {len(analysis.plies) if analysis else 0} with a search",
            _move_list(texts, at),
        ]
    )
    table = None if searched is None else _search_table(invocation, searched)

    def human(console: Any) -> None:
        console.print(text, soft_wrap=True)
        if table is not None:
            console.print(table)

    invocation.out.result(fields, human=human)


def _move_list(texts: list[str], at: int) -> str:
    """Return the moves ten to a line, the next one in brackets."""
    shown = [f"[{text}]" if ply == at else text for ply, text in enumerate(texts)]
    return "\n".join(
        f"{first:>4}  {'; '.join(shown[first : first + 10])}" for first in range(0, len(shown), 10)
    )


def _searched(analysis: Analysis | None, position: Any, at: int) -> dict[str, Any] | None:
    from ringrift.records.ply_analysis import POLICY_TOTAL

    found = next((p for p in analysis.plies if p.ply == at), None) if analysis else None
    if found is None:
        return None
    best = sorted(found.policy.items(), key=lambda entry: -entry[1])
    visits = found.visits
    return {
        "agent": analysis.agent if analysis else "",
        "kind": found.kind,
        "sims": found.sims,
        "value": list(found.value),
        "root_value": list(found.root_value),
        "policy": {position.move_text(move): count / POLICY_TOTAL for move, count in best},
        "visits": visits and {position.move_text(move): visits.get(move, 0) for move, _ in best},
    }


def _search_table(invocation: Invocation, searched: dict[str, Any]) -> RenderableType:
    entries = list(searched["policy"].items())[:10]
    visits = searched["visits"]
    columns = [Column("move"), Column("share %", number=True)]
    rows = [[text, f"{100 * share:.1f}"] for text, share in entries]
    if visits is not None:
        columns.append(Column("visits", number=True))
        rows = [[*row, visits[row[0]]] for row in rows]
    value = ", ".join(f"{v:+.3f}" for v in searched["root_value"])
    return invocation.out.table(
        columns,
        rows,
        title=f"{searched['kind']} search of {searched['sims']} simulations, value {value}",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)
