"""What the commands on models share: which model is meant, which game, how a model is shown."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.completion import complete_boards, complete_configurations, complete_models
from ringrift.core.errors import UsageError
from ringrift.core.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

    from ringrift.cli.invocation import Invocation
    from ringrift.models.listing import Listed, Listing, Rating, Sort
    from ringrift.models.references import References

GAME = "Game"
OUTPUT = "Output"
SHOWN_DIGITS = 12

Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="A file, an id or its first digits, an alias, a configuration, champion, candidate.",
        autocompletion=complete_models,
    ),
]
OfBoard = Annotated[
    str | None,
    typer.Option(
        "--board",
        "--board-type",
        metavar="BOARD",
        help="Board: square8, hex8, square19 or hexagonal (sq8, sq19, hex).",
        autocompletion=complete_boards,
        rich_help_panel=GAME,
    ),
]
OfPlayers = Annotated[
    int | None,
    typer.Option(
        "--players",
        "--num-players",
        min=2,
        max=4,
        help="Players; 2 where only a board is given.",
        rich_help_panel=GAME,
    ),
]
OfConfig = Annotated[
    str | None,
    typer.Option(
        "--config-key",
        metavar="KEY",
        help="Board and players, as square8_2p; whose champion or candidate is meant.",
        autocompletion=complete_configurations,
        rich_help_panel=GAME,
    ),
]
Label = Annotated[
    str | None,
    typer.Option("--label", metavar="TEXT", help="Words about it.", rich_help_panel=OUTPUT),
]


def models_folder(invocation: Invocation, *, create: bool = False) -> Path:
    """Return the models folder of the data root, which is made with `create`."""
    return invocation.paths(create=create).models


def references(invocation: Invocation) -> References:
    """Return what names of models mean in the data root; without one only files are found."""
    from ringrift.models.references import References

    root = invocation.known_root()
    return References(None if root is None else Paths(root).models)


def board_of(name: str | None) -> str | None:
    """Return a board's full name, None for none; raises `UsageError` for an unknown one."""
    from ringrift.core.settings.configurations import BOARDS, SHORT_BOARDS

    found = None if name is None else SHORT_BOARDS.get(name, name)
    if found is not None and found not in BOARDS:
        raise UsageError(f"no board {name!r}", where="--board", hint=", ".join(BOARDS))
    return found


def config_of(board: str | None, players: int | None, key: str | None = None) -> str | None:
    """Return the configuration that the options name, None for none."""
    from ringrift.models.references import configuration

    if key is not None:
        found = configuration(key)
        if found is None:
            raise UsageError(f"no configuration {key!r}", where="--config-key", hint="square8_2p")
        return found
    if board is None and players is not None:
        raise UsageError("--players needs a board", where="--players", hint="--board square8")
    name = board_of(board)
    return None if name is None else f"{name}_{players or 2}p"


def who() -> str:
    """Return who changes something, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return str(os.getuid())


def listing_of(invocation: Invocation, *, sort: Sort = "created") -> Listing:
    """Return the models of the data root with ratings, and status by decisions and matches."""
    from ringrift.models.listing import list_models, played_matches

    paths = invocation.paths(create=False)
    store = paths.game_store
    return list_models(
        paths.models,
        matched=played_matches(store),
        ratings=ratings_in(paths),
        sort=sort,
    )


def ratings_in(paths: Paths) -> Mapping[str, Rating]:
    """Return the fitted ratings of all configurations, by model."""
    from ringrift.core.settings.configurations import CONFIGURATIONS
    from ringrift.models.ratings import ratings_of

    found: dict[str, Rating] = {}
    for config in CONFIGURATIONS:
        found |= ratings_of(paths.ratings, config)
    return found


def rated(model: Listed) -> tuple[str | None, int | None]:
    """Return rating with interval, and games, as a table shows them."""
    rating = model.rating
    if rating is None:
        return None, None
    return f"{rating.elo:.0f} ({rating.low:.0f} to {rating.high:.0f})", rating.games


def status_text(model: Listed) -> str | Text:
    """Return the status; one that was given by hand is red."""
    from rich.text import Text

    return Text(f"{model.status} (manual)", "red") if model.standing.manual else model.status
