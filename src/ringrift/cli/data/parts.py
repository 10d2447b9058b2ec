"""What the commands on stored data share: which stores, which games."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.completion import complete_boards

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation

INPUT = "Input"
GAME = "Game"
OUTPUT = "Output"

Db = Annotated[
    list[Path] | None,
    typer.Option(
        "--db",
        metavar="FILE",
        help="Game store, folder or pattern; repeat for more [default: data/games/games.db].",
        rich_help_panel=INPUT,
    ),
]
"""Give the command the class `list_command("--db")`, so that a pattern the shell expanded works."""

OnlyBoard = Annotated[
    str | None,
    typer.Option(
        "--board",
        "--board-type",
        metavar="BOARD",
        help="Only games on square8, hex8, square19 or hexagonal (sq8, sq19, hex).",
        autocompletion=complete_boards,
        rich_help_panel=GAME,
    ),
]
OnlyPlayers = Annotated[
    int | None,
    typer.Option(
        "--players",
        "--num-players",
        min=2,
        max=4,
        help="Only games of so many players.",
        rich_help_panel=GAME,
    ),
]


def stores_of(invocation: Invocation, given: list[Path] | None) -> list[Path]:
    """Return the stores that `--db` means, the installation's without it."""
    from ringrift.data.stores import store_files

    default = Path() if given else invocation.paths(create=False).game_store
    return store_files(given or [], default)


def board_of(name: str | None) -> str | None:
    """Return a board's full name, None for all."""
    from ringrift.rules import board_name

    return None if name is None else board_name(name)
