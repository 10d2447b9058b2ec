"""Other nodes as command lines name them, for commands that exchange models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringrift.cli.invocation import Invocation
    from ringrift.core.settings_loader import LoadedSettings
    from ringrift.data.distributed.authorization import Authorization
    from ringrift.models.synchronisation.exchange import Exchange


CONFIRM_S = 300.0
LOOK_S = 2.0


def authorization_of(run: Invocation, loaded: LoadedSettings) -> Authorization:
    """Read the token that p2p.auth_token, or --token in its place, refers to."""
    from ringrift.data.distributed.authorization import Authorization

    token = loaded.values.p2p.auth_token.read(root=run.known_root() or Path.cwd())
    return Authorization(token=token)


def exchange_with(
    models: Path,
    hosts: Sequence[str],
    authorization: Authorization,
    *,
    needed: frozenset[str] = frozenset(),
    dry_run: bool = False,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Exchange:
    """Begin an exchange: every node was asked what it has."""
    from ringrift.models.synchronisation.exchange import Exchange
    from ringrift.models.synchronisation.nodes import open_node

    nodes = [open_node(host, authorization) for host in dict.fromkeys(hosts)]
    own = [host for host in hosts if "://" not in host and _same(Path(host), models)]
    if own:
        raise UsageError(f"{own[0]} is this data root", where="--host")
    made = Exchange(
        models=models,
        nodes=nodes,
        authorization=authorization,
        needed=needed,
        dry_run=dry_run,
        on_bytes=on_bytes,
    )
    made.discover()
    return made


def confirm_champions(
    models: Path, hosts: Sequence[str], authorization: Authorization, *, dry_run: bool
) -> dict[str, list[str]]:
    """Send champions to nodes until all have them, for up to 300 s; return who has, has not, is silent.

    A node that is silent while all others have them is not waited for.
    """
    deadline_s = time.monotonic() + CONFIRM_S
    while True:
        sending = exchange_with(models, hosts, authorization, dry_run=dry_run)
        sending.distribute(everything=False)
        states = exchange_with(models, hosts, authorization, dry_run=True).states.values()
        stale = [state.name for state in states if state.stale]
        if dry_run or not stale or time.monotonic() >= deadline_s:
            break
        time.sleep(LOOK_S)
    return {
        "confirmed": [state.name for state in states if state.reachable and not state.stale],
        "stale": stale,
        "unreachable": [state.name for state in states if not state.reachable],
    }


def _same(folder: Path, models: Path) -> bool:
    return models.resolve() in {folder.resolve(), (folder / "models").resolve()}
