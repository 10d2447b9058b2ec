"""The net that a training begins with: random, a model's, or with parts of one of another board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import UsageError
from ringrift.nets.container import read_card
from ringrift.nets.encoders import DEFAULT, encoder_named
from ringrift.nets.loading import spec_of
from ringrift.nets.model_file import load_model
from ringrift.nets.network import Architecture, Convolution, Net, fresh_net
from ringrift.rules.geometry import HEX_AXES, SQUARE_AXES, SQUARE_RECOVERY_AXES, geometry
from ringrift.rules.policy import policy_layout

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ringrift.nets.model_file import LoadedModel
    from ringrift.rules import BoardSpec


BY_SEAT = ("win", "rank", "margins")
"""Parts whose outputs are seats: with another number of them they mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedNet:
    """A net to train, the parents its card names, and what a transfer left random, by tensor."""

    net: Net
    parents: tuple[Mapping[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


def start_net(
    spec: BoardSpec,
    *,
    size: str | None = None,
    seed: int,
    encoder: str | None = None,
    parent: LoadedModel | None = None,
    transfer: Path | None = None,
) -> StartedNet:
    """Return the net of `parent`, else a random one of `size`, with what `transfer` teaches it.

    `encoder` is by default the parent's, else `planes1`. Raises `UsageError` where the parent has
    another shape than asked for, or with both parent and transfer, `ModelError` for an unfit file.
    """
    if parent is not None:
        if transfer is not None:
            raise UsageError("a net begins with one model", where="--transfer-from, --warm-start")
        shape = parent.net.architecture
        for name, asked in (("size", size), ("encoder", encoder)):
            found = getattr(shape, name)
            if asked not in (None, found):
                raise UsageError(
                    f"{name} {asked!r}; the model to begin with has {found!r}",
                    where=str(parent.path),
                )
        return StartedNet(net=parent.net, parents=({"id": parent.id, "role": "warm_start"},))
    if size is None:
        raise UsageError("a training without a model to begin with needs a size")
    shape = Architecture.of(spec.board, spec.players, size, encoder=encoder or DEFAULT)
    net = fresh_net(shape, seed=seed)
    if transfer is None:
        return StartedNet(net=net)
    _, card = read_card(transfer)
    source = load_model(transfer, spec_of(card, str(transfer)))
    left_out = transfer_weights(source.net, net)
    parents = ({"id": source.id, "role": "transfer"},)
    return StartedNet(net=net, parents=parents, left_out=left_out)


def transfer_weights(source: Net, target: Net) -> tuple[str, ...]:
    """Copy what has the same meaning in both nets; return what of `target` was not copied.

    That is the trunk, the value by relative seat where the number of players is the same, and the
    inputs and policy planes of equal meaning: rays and lines by their step on the grid. Raises
    `UsageError` for nets of another size.
    """
    sizes = [net.architecture.size for net in (source, target)]
    if sizes[0] != sizes[1]:
        raise UsageError(
            f"model size {sizes[1]!r}; the model to transfer from has {sizes[0]!r}",
            where="--transfer-from",
            hint=f"--model-size {sizes[0]}",
        )
    theirs = source.state_dict()
    same_players = source.architecture.players == target.architecture.players
    left_out: list[str] = []
    for name, tensor in target.state_dict().items():
        given, part = theirs.get(name), name.partition(".")[0]
        if given is None or (part in BY_SEAT and not same_players):
            left_out.append(name)
        elif part == "stem":
            left_out += _copy_named(name, (given, tensor), (_inputs(source), _inputs(target)), 1)
        elif part == "policy_planes":
            left_out += _copy_named(name, (given, tensor), (meanings(source), meanings(target)), 0)
        elif given.shape == tensor.shape:
            tensor.copy_(given)
        else:
            left_out.append(name)
    for module in target.modules():
        if isinstance(module, Convolution):
            module.weight.data.mul_(module.corners)
    return tuple(left_out)


def meanings(net: Net) -> tuple[str, ...]:
    """Name the policy planes so that planes of equal name mean the same on all boards."""
    board = net.architecture.board
    g = geometry(board)
    axes = HEX_AXES if g.hex else SQUARE_AXES
    steps = {
        "ray": g.directions,
        "slide": g.directions,
        "line": axes,
        "window": axes,
        "recovery window": HEX_AXES if g.hex else SQUARE_RECOVERY_AXES,
    }
    found = []
    for plane in policy_layout(board).planes:
        kind, number, rest = _parsed(plane)
        found.append(f"{kind} {steps[kind][number]} {rest}" if kind in steps else plane)
    return tuple(found)


def _parsed(plane: str) -> tuple[str, int, str]:
    """Split the name of a plane into its kind, the first number, and what follows."""
    words = plane.split()
    at = next((i for i, word in enumerate(words) if word.isdigit()), len(words))
    number = int(words[at]) if at < len(words) else 0
    return " ".join(words[:at]), number, " ".join(words[at + 1 :])


def _inputs(net: Net) -> tuple[str, ...]:
    return encoder_named(net.architecture.encoder).planes


def _copy_named(
    name: str,
    tensors: tuple[Tensor, Tensor],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    dim: int,
) -> list[str]:
    """Copy the slices along `dim` whose names are in both nets; return what was left out."""
    given, tensor = (t.movedim(dim, 0) for t in tensors)
    if given.shape[1:] != tensor.shape[1:]:
        return [name]
    number = {meaning: i for i, meaning in enumerate(names[0])}
    missing = [meaning for meaning in names[1] if meaning not in number]
    for i, meaning in enumerate(names[1]):
        if meaning in number:
            tensor[i].copy_(given[number[meaning]])
    if not missing:
        return []
    return [f"{name}: {len(missing)} of {len(names[1])} planes, from {missing[0]} to {missing[-1]}"]
