"""The uniform average of the weights of several models of one architecture (`models.md` 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ringrift.core.errors import UsageError
from ringrift.core.ids import short
from ringrift.core.versions import installed
from ringrift.nets.container import Card, read_model
from ringrift.nets.loading import spec_of
from ringrift.nets.model_file import load_model, save_model
from ringrift.nets.nnue.file import save_nnue, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ringrift.rules import BoardSpec

ROLE = "averaged"
ALIKE = ("kind", "config", "board_spec_hash", "encoder", "policy_layout_hash", "value_utility")


def average(paths: Sequence[Path], objects: Path, *, label: str | None = None) -> Path:
    """Write the average of models below `objects` and return its path.

    It does not depend on their order. Its probe is computed anew, and a calibration is not taken
    over. Raises `UsageError` for fewer than two models and for models that are not alike,
    `ModelError` for a file that is not whole.
    """
    read = {path: read_model(path) for path in paths}
    by_id = {identity: (path, card) for path, (identity, card, _) in read.items()}
    if len(by_id) < 2:
        raise UsageError(f"{len(by_id)} model; expected two or more different ones")
    ids = sorted(by_id)
    first_path, first = by_id[ids[0]]
    for identity in ids[1:]:
        _require_alike(ids[0], first, identity, by_id[identity][1])
    spec = spec_of(first, str(first_path))
    training = {"made_by": "average", "models": len(ids), "version": installed("ringrift")}
    parents = tuple({"id": identity, "role": ROLE} for identity in ids)
    files = [by_id[identity][0] for identity in ids]
    if first["kind"] == "cnn":
        return _average_nets(files, spec, objects, training, parents, label)
    return _average_nnue(files, spec, objects, training, parents, label)


def _average_nets(
    paths: Sequence[Path],
    spec: BoardSpec,
    objects: Path,
    training: dict[str, Any],
    parents: tuple[dict[str, str], ...],
    label: str | None,
) -> Path:
    nets = [load_model(path, spec).net for path in paths]
    states = [net.state_dict() for net in nets]
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }
    nets[0].load_state_dict(mean)
    return save_model(nets[0], spec, objects, training=training, parents=parents, label=label)


def _average_nnue(
    paths: Sequence[Path],
    spec: BoardSpec,
    objects: Path,
    training: dict[str, Any],
    parents: tuple[dict[str, str], ...],
    label: str | None,
) -> Path:
    found = [weights_of(path, spec) for path in paths]
    shape = found[0][0]
    mean: dict[str, NDArray[Any]] = {
        name: np.stack([weights[name].astype(np.float64) for _, weights in found]).mean(0)
        for name in shape.sizes
    }
    return save_nnue(mean, shape, spec, objects, training=training, parents=parents, label=label)


def _require_alike(first_id: str, first: Card, other_id: str, other: Card) -> None:
    for name in ALIKE:
        if first[name] != other[name]:
            raise UsageError(
                f"models {short(first_id)} and {short(other_id)} differ in {name}: "
                f"{first[name]} and {other[name]}",
                hint="models of one architecture",
            )
    a, b = (card["architecture"].get("shapes") for card in (first, other))
    if a != b:
        names = sorted(n for n in {**a, **b} if a.get(n) != b.get(n))
        raise UsageError(
            f"models {short(first_id)} and {short(other_id)} differ in tensor {names[0]}: "
            f"{a.get(names[0], 'none')} and {b.get(names[0], 'none')}",
            hint="models of one architecture",
        )
