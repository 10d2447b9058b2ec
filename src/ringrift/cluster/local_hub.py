"""The hub of this data root as another process uses it: found by its file, never started here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringrift.cluster.bus import Bus
from ringrift.cluster.hub import HubState, is_healthy, read_state
from ringrift.cluster.keys import node_key
from ringrift.core.errors import NotRunningError
from ringrift.core.paths import Paths

HINT = "ringrift loop start"


def hub_folder(paths: Paths) -> Path:
    """Return where the hub of a root keeps its files."""
    return paths.cluster / "hub"


def key_file(paths: Paths) -> Path:
    """Return where the key of this node lies."""
    return paths.cluster / "node.nk"


def running_hub(paths: Paths) -> HubState:
    """Return the server that runs on this root; raises `NotRunningError` where none does."""
    state = read_state(hub_folder(paths))
    if state is None or not state.process.alive:
        raise NotRunningError("no hub runs on this data root", where=str(paths.root), hint=HINT)
    if not is_healthy(state.monitor_port):
        raise NotRunningError(
            f"the hub (process {state.pid}) does not answer",
            where=str(hub_folder(paths) / "server.log"),
        )
    return state


@contextmanager
def connected(paths: Paths, *, node: str) -> Iterator[tuple[HubState, Bus]]:
    """Connect to the hub of this root with this node's key while the block runs.

    Raises `NotRunningError` where none runs, `RefusedError` where it does not know the key.
    """
    state = running_hub(paths)
    if not key_file(paths).exists():
        raise NotRunningError("this node has no key", where=str(key_file(paths)), hint=HINT)
    with Bus(state.url, node_key(key_file(paths)), node=node) as bus:
        yield state, bus
