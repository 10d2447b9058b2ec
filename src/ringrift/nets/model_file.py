"""Models of the convolutional net: saved, loaded, checked whenever they are loaded (models.md 1).

The file is that of `container`. Random weights come from `init_model` alone. Whatever is wrong with
a file is a `ModelError`; no path from a missing or unfit file leads to a net.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ringrift.nets import container
from ringrift.nets.container import (
    SCHEMA,
    ModelError,
    check_fit,
    check_kind,
    check_tensors,
    read_card,
    read_model,
    write_model,
)
from ringrift.nets.encoder import ENCODER
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, Net, fresh_net
from ringrift.nets.probe import probe_positions
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash as codec_hash
from ringrift.rules.policy import policy_layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from ringrift.rules.spec import BoardSpec

__all__ = [
    "LoadedModel",
    "ModelError",
    "init_model",
    "load_model",
    "model_id",
    "read_card",
    "save_model",
]

KIND = "cnn"
PROBE_TOLERANCE = 1e-4

_verified: set[str] = set()
"""Ids whose outputs this process has compared with their probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model whose file passed every check: its id, identifying card, net, and specification."""

    id: str
    card: Mapping[str, Any]
    net: Net
    spec: BoardSpec
    path: Path

    def evaluator(self) -> NetEvaluator:
        """Return an evaluator of its own buffers; one per thread."""
        return NetEvaluator(self.net, self.spec)


# --- writing


def save_model(
    net: Net,
    spec: BoardSpec,
    folder: Path,
    *,
    training: Mapping[str, Any] | None,
    parents: tuple[Mapping[str, str], ...] = (),
    label: str | None = None,
) -> Path:
    """Write a model to `folder/<id[:2]>/<id>.safetensors` and return that path.

    The file appears whole and read-only, after the description beside it; if it is there already
    nothing changes. `training` holds the lineage facts of models.md 1, `None` for random weights;
    `parents` are `{"id", "role"}`.
    """
    tensors = _tensors(net)
    card = _card(net, spec, tensors, training, parents)
    return write_model(folder, _arrays(tensors), card, label=label)


def init_model(
    spec: BoardSpec, *, size: str, seed: int, folder: Path, label: str | None = None
) -> Path:
    """Write a model of random weights, marked `training: null`; return its path."""
    net = fresh_net(Architecture.of(spec.board, spec.players, size), seed=seed)
    return save_model(net, spec, folder, training=None, label=label)


def model_id(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Return the id over tensors (sorted by name) and the identifying card."""
    return container.model_id(_arrays(tensors), dict(card))


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    return {name: t.detach().cpu().contiguous().numpy() for name, t in tensors.items()}


def _tensors(net: Net) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous().clone() for name, t in net.state_dict().items()}


def _card(
    net: Net,
    spec: BoardSpec,
    tensors: Mapping[str, Tensor],
    training: Mapping[str, Any] | None,
    parents: tuple[Mapping[str, str], ...],
) -> dict[str, Any]:
    shape = net.architecture
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "config": spec.config,
        "board": spec.board,
        "players": spec.players,
        **_fit(spec),
        "architecture": {
            "name": "ringrift-cnn/1",
            "size": shape.size,
            "blocks": shape.blocks,
            "channels": shape.channels,
            "parameters": sum(p.numel() for p in net.parameters()),
            "shapes": {name: list(tensors[name].shape) for name in sorted(tensors)},
        },
        "value_utility": "rank",
        "quantisation": None,
        "calibration": None,
        "training": None if training is None else dict(training),
        "parents": [dict(p) for p in parents],
        "probe": {"positions": probe_positions(spec).hash, "outputs": _probe(net, spec)},
    }


def _fit(spec: BoardSpec) -> dict[str, Any]:
    """Return the card fields that say what a model fits, for this version and `spec`."""
    return {
        "board_spec_hash": spec.hash,
        "rules_version": RULES_VERSION,
        "encoder": ENCODER.identity,
        "policy_layout_hash": policy_layout(spec.board).hash,
        "codec_hash": codec_hash,
    }


def _probe(net: Net, spec: BoardSpec) -> list[list[float]]:
    """Return, per probe position, its values and the logits of its first moves, six digits each."""
    training = net.training
    p = probe_positions(spec)
    logits, values = NetEvaluator(net, spec).evaluate(p.states, p.boards, p.moves, p.offsets)
    net.train(training)
    rows = [
        [*values[i].tolist(), *logits[p.offsets[i] : p.offsets[i + 1]].tolist()]
        for i in range(len(values))
    ]
    return [[float(f"{v:.6g}") for v in row] for row in rows]


# --- reading


def load_model(path: Path, spec: BoardSpec) -> LoadedModel:
    """Load a model file for `spec`; raises `ModelError` for whatever is not exactly right.

    Checked in order: size, bytes against the id, card, fit to `spec` and this version, shapes,
    finite values, and the outputs on the probe positions (once per process and id).
    """
    ref = str(path)
    identity, card, arrays = read_model(path)
    check_kind(card, (KIND,), ref)
    check_fit(card, _fit(spec), spec, ref)
    net = _build(card, arrays, ref)
    if identity not in _verified:
        _check_probe(net, spec, card, ref)
        _verified.add(identity)
    return LoadedModel(id=identity, card=card, net=net, spec=spec, path=path)


def _build(
    card: dict[str, Any], arrays: dict[str, np.ndarray[Any, np.dtype[Any]]], ref: str
) -> Net:
    shape = card["architecture"]
    try:
        architecture = Architecture(
            board=card["board"],
            players=card["players"],
            size=str(shape["size"]),
            blocks=int(shape["blocks"]),
            channels=int(shape["channels"]),
        )
    except (KeyError, ValueError, TypeError):
        raise ModelError("card_invalid", ref, "card field architecture is incomplete") from None
    with torch.device("meta"):
        net = Net(architecture)
    check_tensors(arrays, {n: tuple(t.shape) for n, t in net.state_dict().items()}, ref)
    net = fresh_net(architecture, seed=0)  # constant buffers; every parameter is replaced
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    net.load_state_dict(tensors, strict=True)
    return net.eval()


def _check_probe(net: Net, spec: BoardSpec, card: dict[str, Any], ref: str) -> None:
    probe = card["probe"]
    if probe.get("positions") != probe_positions(spec).hash:
        raise ModelError("probe_mismatch", ref, "the probe positions are others in this version")
    found, stored = _probe(net, spec), probe.get("outputs")
    if not isinstance(stored, list) or [len(r) for r in found] != [len(r) for r in stored]:
        raise ModelError("probe_mismatch", ref, "the card's probe outputs have another shape")
    worst = max(
        abs(a - b) / max(1.0, abs(b))
        for row, kept in zip(found, stored, strict=True)
        for a, b in zip(row, kept, strict=True)
    )
    if not math.isfinite(worst) or worst > PROBE_TOLERANCE:
        raise ModelError("probe_mismatch", ref, f"outputs differ from the card's by {worst:.2g}")
