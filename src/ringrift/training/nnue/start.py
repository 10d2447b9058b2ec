"""The net that a training of a NNUE begins with: random, or a model's (training.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.nets.nnue.file import weights_of
from ringrift.nets.nnue.network import LAYERS, Shape, random_weights
from ringrift.training.nnue.network import NnueNet

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.rules import BoardSpec


def start_net(
    spec: BoardSpec,
    *,
    hidden: int,
    layers: int = LAYERS,
    policy: bool,
    seed: int,
    parent: Path | None = None,
) -> NnueNet:
    """Return a net of random weights, or with those of the model file `parent`.

    A policy head that the parent lacks is random; one that is not asked for is left out. Raises
    `ModelError` for a file that does not fit `spec`, `UsageError` for a parent of another width or number of
    hidden layers.
    """
    shape = Shape(
        board=spec.board, players=spec.players, hidden=hidden, layers=layers, policy=policy
    )
    weights = random_weights(shape, seed=seed)
    if parent is not None:
        found, learned = weights_of(parent, spec)
        if found.hidden != hidden:
            raise UsageError(
                f"hidden_dim is {hidden}; the model to begin with has {found.hidden}",
                where=str(parent),
                hint=f"--hidden-dim {found.hidden}",
            )
        if found.layers != layers:
            raise UsageError(
                f"num_hidden_layers is {layers}; the model to begin with has {found.layers}",
                where=str(parent),
                hint=f"--num-hidden-layers {found.layers}",
            )
        weights |= {name: learned[name] for name in shape.sizes if name in learned}
    return NnueNet(shape, weights)
