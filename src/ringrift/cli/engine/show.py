"""`ringrift engine show`: draw one position (`selfplay.md` 7)."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.engine.parts import Form, RuleOptions, Target, chosen_spec, drawn, read_text
from ringrift.cli.invocation import current
from ringrift.cli.shared_options import Board, ConfigKey, Players


def show(
    position: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT|FILE|-]", help="Canonical state; the start without it."),
    ] = None,
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    moves: Annotated[
        str | None, typer.Option("--moves", metavar="M;M;...", help="Moves to play first.")
    ] = None,
    form: Form = "text",
    output: Target = None,
    option: RuleOptions = None,
) -> None:
    """Draw the position of a canonical state text.

    Reads the text itself, a file holding it, or standard input (-). Writes to FILE or prints.

    Exit code 6 for a text that is no state.

    Examples: ringrift engine show --config-key hex8_3p |
    ringrift engine show --moves "P 3,3 2;M 3,3 3,6" --format svg --output position.svg
    """
    from ringrift.rules import Position

    run = current()
    spec = chosen_spec(config_key, board, players, option)
    shown = Position.of(spec)
    if position is not None:
        shown = Position.parse(read_text(position), spec=spec)
    for text in (moves or "").split(";"):
        if text.strip():
            shown.play(text.strip())
    drawing = drawn(shown, form, output, run.options.color)
    run.out.result(
        {
            "configuration": spec.config,
            "state": str(shown),
            "fingerprint": shown.fingerprint,
            "legal_moves": len(shown.legal_packed()),
            "output": str(output) if output else None,
            "drawing": drawing if output is None and form != "state" else None,
        },
        human=f"wrote {output}" if output else drawing.rstrip("\n"),
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)
