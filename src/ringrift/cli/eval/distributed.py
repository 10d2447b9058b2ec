"""The option that spreads the games of a command over the cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from ringrift.core.errors import NotRunningError

Distributed = Annotated[
    bool, typer.Option("--distributed", help="Play on the nodes of the cluster: needs a job bus.")
]


def need_bus(distributed: bool) -> None:
    """Raise `NotRunningError` where the cluster is asked for and no job bus runs."""
    if distributed:
        raise NotRunningError(
            "no job bus is running", where="--distributed", hint="without it, on this machine"
        )
