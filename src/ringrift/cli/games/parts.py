"""What the commands on stored games share: the filters, the store, how times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.cli.completion import complete_configurations, complete_models
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.cli.invocation import Invocation
    from ringrift.records import GameStore

FILTERS = "Filters"

Db = Annotated[
    Path | None,
    typer.Option("--db", metavar="FILE", help="Game store [default: data/games/games.db]."),
]
ConfigKey = Annotated[
    str | None,
    typer.Option(
        "--config-key",
        metavar="KEY",
        help="Board and players, as square8_2p.",
        autocompletion=complete_configurations,
        rich_help_panel=FILTERS,
    ),
]
Run = Annotated[
    str | None, typer.Option("--run", metavar="ID", help="Run.", rich_help_panel=FILTERS)
]
Purpose = Annotated[
    str | None,
    typer.Option(
        "--purpose",
        metavar="NAME",
        help="selfplay, match, soak, human, import or reference.",
        rich_help_panel=FILTERS,
    ),
]
Reason = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="NAME", help="How it ended, as lps_rounds.", rich_help_panel=FILTERS
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="ID",
        help="Model that played: an id or its first digits.",
        autocompletion=complete_models,
        rich_help_panel=FILTERS,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="TIME",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
        help="Stored, in a file played, since then (UTC), as 2026-01-31 or 2026-01-31T12:00:00.",
        rich_help_panel=FILTERS,
    ),
]


Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        metavar="N",
        help="Newest games only; of a file the first.",
        rich_help_panel=FILTERS,
    ),
]


def store_path(invocation: Invocation, db: Path | None) -> Path:
    """Return the store of `--db` or of the installation; a missing one is a `UsageError`."""
    path = db if db is not None else invocation.paths(create=False).game_store
    if not path.is_file():
        raise UsageError(f"no game store {path}", where="--db", hint="--db FILE or --root DIR")
    return path


def open_store(invocation: Invocation, db: Path | None, *, writer: bool = False) -> GameStore:
    """Open the store of `--db` or of the installation; a missing one is a `UsageError`."""
    from ringrift.records import GameStore

    return GameStore.open(store_path(invocation, db), writer=writer)


def config_of(key: str | None) -> str | None:
    """Return a configuration's key in its full spelling."""
    from ringrift.rules import parse_config

    if key is None:
        return None
    board, players = parse_config(key)
    return f"{board}_{players}p"


def purpose_of(name: str | None) -> str | None:
    """Return the name of a purpose; raises `UsageError` for an unknown one."""
    from ringrift.records.record import PURPOSES

    if name is not None and name not in PURPOSES:
        raise UsageError(f"unknown purpose {name!r}", where="--purpose", hint=", ".join(PURPOSES))
    return name


def model_of(invocation: Invocation, store: GameStore, name: str | None) -> str | None:
    """Return the id of a model that played stored games; raises `UsageError` for none."""
    if name is None:
        return None
    from ringrift.models.references import References

    root = invocation.known_root()
    try:
        return References(None if root is None else root / "models").id(name)
    except UsageError:
        return store.find_model(name)  # one that is not here any more


def seconds_of(since: datetime | None) -> float | None:
    """Return UTC as seconds since the epoch."""
    return None if since is None else since.replace(tzinfo=UTC).timestamp()


def stamp(seconds: float | None) -> str | None:
    """Return seconds since the epoch as text."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
