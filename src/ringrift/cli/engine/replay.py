"""`ringrift engine replay`: replay one game of a file (`selfplay.md` 7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringrift.cli.engine.parts import Form, Target, drawn
from ringrift.cli.invocation import current
from ringrift.core.errors import NegativeResult, UsageError

if TYPE_CHECKING:
    from ringrift.records.replayable import Replayable


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File that holds a game.")],
    ply: Annotated[
        int | None,
        typer.Option("--ply", min=0, help="Position before this ply [default: the last legal]."),
    ] = None,
    game: Annotated[
        str | None,
        typer.Option(
            "--game", metavar="N|ID", help="Game of a file of several [default: the first]."
        ),
    ] = None,
    form: Form = "text",
    output: Target = None,
) -> None:
    """Replay one game of a file, check it, and draw a position of it.

    Reads games as JSON lines, ours with their analyses or the reference engine's, and single
    JSON files: a scenario or fixture, the reproducer of an anomaly, a position with moves. Writes to
    the file of --output or prints.

    Exit code 1 where the game does not replay as told, with the ply; 6 for a file that holds none.

    Examples: ringrift engine replay games.jsonl --ply 20 |
    ringrift engine replay anomaly.json --format state --json
    """
    from ringrift.records.replayable import read_replayable

    run = current()
    found = read_replayable(file, game)
    legal = len(found.moves)
    at = legal if ply is None else ply
    if at > legal:
        raise UsageError(f"ply is {ply}; expected 0 to {legal}", where="--ply")
    position = found.position(at)
    drawing = drawn(position, form, output, run.options.color)
    texts = found.texts()
    search = _search(found, position, at)
    fault = found.fault
    lines = [f"{found.kind} {found.id}, {found.spec.config}, ply {at} of {found.plies}"]
    if fault is not None:
        lines.append(f"does not replay: ply {fault.ply} {fault.reason}: {fault.detail}")
    if search is not None:
        lines.append(_search_line(search))
    lines.append(f"wrote {output}" if output else drawing.rstrip("\n"))
    run.out.result(
        {
            "kind": found.kind,
            "id": found.id,
            "configuration": found.spec.config,
            "ply": at,
            "plies": found.plies,
            "move": texts[at] if at < legal else None,
            "state": str(position),
            "fingerprint": position.fingerprint,
            "moves": texts,
            "search": search,
            "fault": None
            if fault is None
            else {"ply": fault.ply, "reason": fault.reason, "detail": fault.detail},
            "output": str(output) if output else None,
            "drawing": drawing if output is None and form != "state" else None,
        },
        human="\n".join(lines) if form == "text" or output else drawing.rstrip("\n"),
        ok=fault is None,
    )
    if fault is not None:
        raise typer.Exit(NegativeResult.exit_code)


def _search(found: Replayable, position: Any, at: int) -> dict[str, Any] | None:
    from ringrift.records.ply_analysis import POLICY_TOTAL

    plies = found.analysis.plies if found.analysis else ()
    searched = next((p for p in plies if p.ply == at), None)
    if searched is None:
        return None
    best = sorted(searched.policy.items(), key=lambda entry: -entry[1])
    return {
        "kind": searched.kind,
        "sims": searched.sims,
        "root_value": list(searched.root_value),
        "policy": {position.move_text(move): count / POLICY_TOTAL for move, count in best},
    }


def _search_line(search: dict[str, Any]) -> str:
    best = ", ".join(
        f"{move} {100 * share:.1f} %" for move, share in [*search["policy"].items()][:5]
    )
    return f"{search['kind']} search of {search['sims']} simulations: {best}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)
