"""`--hosts`: play a run as jobs on the nodes of a running loop's hub (`selfplay.md` 3)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ringrift.cli.eval.distributed import register_models
from ringrift.cli.selfplay.resolve import store_path
from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ringrift.cli.invocation import Invocation
    from ringrift.cli.selfplay.options import Options
    from ringrift.core.errors import BusyError
    from ringrift.core.settings import Settings
    from ringrift.loop.distributed_selfplay import HubPool
    from ringrift.selfplay.run import RunOrder

ASKED = "--hosts"


class NoGuard:
    """Lets everything go on: who plays looks at its own machine."""

    error: BusyError | None = None
    holds = False
    ends = False

    def look(self, games: int) -> None:
        """See nothing."""


def check_hosts(given: Options, invocation: Invocation) -> None:
    """Raise where the cluster is asked for and cannot play this, or no hub runs on the root.

    `NotRunningError` without a hub; `UsageError` for a node that is not connected to it, and for an
    option that belongs to workers or to a store of this command.
    """
    if given.hosts is None:
        return
    from ringrift.loop.distributed_selfplay import connected, named_nodes
    from ringrift.loop.following import need_hub

    paths = invocation.paths(create=False)
    need_hub(paths, ASKED)
    other_store = store_path(given, invocation).resolve() != paths.game_store.resolve()
    excluded = {
        "--record-db": other_store,
        "--no-record-db": given.no_record_db,
        "--reset-db": given.reset_db,
        "--watch-model-updates": given.watch_model_updates,
        "--min-game-length": given.min_game_length > 0,
        "--benchmark": given.benchmark,
        "--no-numba": given.no_numba,
        "--workers": given.workers != "auto",
    }
    for option, asked in excluded.items():
        if asked:
            raise UsageError(
                f"{option} and {ASKED} exclude each other",
                where=option,
                hint="the nodes play as they are, into the store of the installation",
            )
    named_nodes(given.hosts, connected(paths))


@contextmanager
def playing_there(
    given: Options, invocation: Invocation, settings: Settings, order: RunOrder
) -> Iterator[HubPool]:
    """Connect to the hub; models from elsewhere are registered first, where the nodes find them."""
    from pathlib import Path

    from ringrift.loop.distributed_selfplay import hub_pool
    from ringrift.loop.planned_games import models_played

    paths = invocation.paths()
    played = models_played(order.plan.job(order.run))
    files: list[Path] = [Path(file) for name, file in order.plan.models.items() if name in played]
    register_models(paths.model_objects, files)
    assert given.hosts is not None
    with hub_pool(
        paths,
        settings,
        order.plan,
        order.games,
        hosts=given.hosts,
        play_limit_s=given.distributed_job_timeout_seconds,
        fetch_limit_s=given.distributed_fetch_timeout_seconds,
    ) as pool:
        yield pool
