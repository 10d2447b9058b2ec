"""Options that mean the same in every command that has them (`commands.md` 1).

    def run(board: Board = "square8", players: Players = 2, seed: Seed = 42) -> None: ...

Names are checked by the room that is called, which also knows the short board names.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.cli.completion import (
    complete_boards,
    complete_configurations,
    complete_models,
    complete_profiles,
)

Board = Annotated[
    str,
    typer.Option(
        "--board",
        "--board-type",
        metavar="BOARD",
        help="square8, hex8, square19 or hexagonal (sq8, sq19, hex).",
        autocompletion=complete_boards,
        rich_help_panel="Game",
    ),
]
Players = Annotated[
    int,
    typer.Option(
        "--players", "--num-players", min=2, max=4, help="Players.", rich_help_panel="Game"
    ),
]
ConfigKey = Annotated[
    str | None,
    typer.Option(
        "--config-key",
        metavar="KEY",
        help="Board and players, as square8_2p.",
        autocompletion=complete_configurations,
        rich_help_panel="Game",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ID",
        help="Model: an alias, an id or its first digits.",
        autocompletion=complete_models,
        rich_help_panel="Game",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profile below the settings file.",
        autocompletion=complete_profiles,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of all random numbers; it is recorded.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, change no byte.")]
