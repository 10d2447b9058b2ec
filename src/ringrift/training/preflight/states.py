"""The check `checkpoints`: what a training would go on from."""

from __future__ import annotations

from collections.abc import Iterator

from ringrift.nets.container import ModelError
from ringrift.nets.loading import open_described
from ringrift.training.preflight.model import Check, Context, Part, of_parts


def check_checkpoints(context: Context) -> Check:
    """Load each champion with every check of its file, its probe outputs among them."""
    return of_parts(
        "checkpoints",
        [part for config in context.champions for part in _champion(context, config)]
        or [Part("ok", "no champion yet; a training starts from random weights")],
        limit="probe outputs within 1e-4",
    )


def _champion(context: Context, config: str) -> Iterator[Part]:
    path = context.champions[config]
    try:
        identity = open_described(path).id
    except ModelError as error:
        yield Part("FAIL", f"{config}: {error.message} ({path})", "ringrift models restore")
        return
    yield Part("ok", f"{config}: champion {identity[:12]}")
