"""`ringrift play watch`: agents against each other, drawn as they play."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.engine import chosen_spec
from ringrift.cli.invocation import current
from ringrift.cli.output import wants_color
from ringrift.cli.play.parts import (
    RuleOptions,
    maker,
    outcome_fields,
    outcome_text,
    value_text,
)
from ringrift.cli.shared_options import Board, ConfigKey, Players, Seed
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.agents.hosting.game import HostedGame, Ply

CLEAR = "\x1b[H\x1b[2J"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("watch")(watch)


def watch(
    agents: Annotated[
        str,
        typer.Option(
            "--agents", metavar="LIST", help="One agent per seat.", rich_help_panel="Game"
        ),
    ],
    config_key: ConfigKey = None,
    board: Board = "square8",
    players: Players = 2,
    options: RuleOptions = None,
    delay_ms: Annotated[
        int, typer.Option("--delay-ms", min=0, help="Pause after each choice, in ms.")
    ] = 300,
    seed: Seed = 42,
) -> None:
    """Watch agents play one game to its end.

    Draws the board after each choice, over itself on a terminal; forced plies pass without a pause.
    With --json or --quiet only the result is printed. Reads models of the data root; writes nothing.

    Exit code 130 after Ctrl-C.

    Examples: ringrift play watch --agents heuristic,heuristic:persona=aggressive |
    ringrift play watch --agents heuristic:mode=light,random --delay-ms 0 --seed 7 --json
    """
    from ringrift.agents.hosting.game import HostedGame
    from ringrift.agents.hosting.seats import HUMAN, read_seats

    run = current()
    spec = chosen_spec(config_key, board, players, options)
    seats = read_seats(agents, spec.players)
    if HUMAN in seats:
        raise UsageError("people play in a terminal", where="--agents", hint="play terminal")
    game = HostedGame.start(spec, seats, seed=seed, make=maker(run, spec))
    drawn = not run.out.as_json and not run.out.quiet
    while not game.is_over:
        legal = game.position.legal_packed()
        if len(legal) == 1:
            game.play(int(legal[0]))
            continue
        decision = game.decide()
        ply = game.play(decision.move, decision)
        if drawn:
            _draw(game, ply, color=wants_color(run.options.color, sys.stdout))
            time.sleep(delay_ms / 1000)
    text = outcome_text(game)
    if drawn:
        text = f"{game.position.text(color=wants_color(run.options.color, sys.stdout))}{text}"
    run.out.result(outcome_fields(game), human=lambda _: _write(f"{text}\n"))


def _draw(game: HostedGame, ply: Ply, *, color: bool) -> None:
    seat = ply.before.current_player
    value = value_text(ply.decision.value) if ply.decision is not None else None
    said = f"ply {len(game.plies):>3}  P{seat} {ply.by}: {ply.text}"
    opened = CLEAR if color and sys.stdout.isatty() else ""
    board = game.position.text(color=color)
    _write(f"{opened}{board}{said}{f'  value {value}' if value else ''}\n\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
