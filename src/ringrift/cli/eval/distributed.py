"""The option that spreads the games of a command over the cluster, and what then plays them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.loop.distributed_matches import HubPlayers
    from ringrift.records.store import GameStore

Distributed = Annotated[
    bool,
    typer.Option(
        "--distributed",
        help="Play as jobs on the nodes of the cluster: a loop must run on this data root.",
    ),
]


def need_bus(run: Invocation, distributed: bool, store: Path | None = None) -> None:
    """Raise `NotRunningError` where the cluster is asked for and no job bus runs on the root.

    Raises `UsageError` for a `store` other than the one into which the cluster plays.
    """
    if not distributed:
        return
    from ringrift.loop.following import need_hub

    paths = run.paths(create=False)
    if store is not None and store.resolve() != paths.game_store.resolve():
        raise UsageError("--db and --distributed exclude each other", where="--db")
    need_hub(paths, "--distributed")


@contextmanager
def cluster_table(
    run: Invocation, files: Mapping[str, Path], *, device: str = "cpu"
) -> Iterator[tuple[GameStore, HubPlayers]]:
    """Open the store to read and connect to the hub; models from elsewhere are registered first."""
    from ringrift.loop.distributed_matches import hub_players
    from ringrift.loop.following import followed

    paths = run.paths()
    register_models(paths.model_objects, files.values())
    with (
        hub_players(paths, run.settings().values, device=device) as players,
        followed(paths.game_store) as store,
    ):
        yield store, players


def register_models(objects: Path, files: Iterable[Path]) -> None:
    """Take models from elsewhere into the registry, where the nodes look for them."""
    from ringrift.models.registry import register

    for path in files:
        if not path.resolve().is_relative_to(objects.resolve()):
            register(objects, path)
