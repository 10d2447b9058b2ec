"""Models of the convolutional net: saved, loaded, checked whenever they are loaded (models.md 1).

The file is that of `container`. Random weights come from `init_model` alone. Whatever is wrong with
a file is a `ModelError`; no path from a missing or unfit file leads to a net.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from ringrift.nets import container
from ringrift.nets.calibration import temperatures_of
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
from ringrift.nets.encoders import DEFAULT, ENCODERS
from ringrift.nets.inference import NetEvaluator
from ringrift.nets.network import Architecture, Net, ValueUtility, fresh_net
from ringrift.nets.probe import probe_positions
from ringrift.rules import RULES_VERSION
from ringrift.rules.codec import layout_hash as codec_hash
from ringrift.rules.policy import policy_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
NAME = "ringrift-cnn/2"
PROBE_TOLERANCE = 1e-4

_verified: set[str] = set()
"""Ids whose outputs this process has compared with their probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model whose file passed every check: its id, identifying card, net, and specification.

    `device` is where its evaluators run the net.
    """

    id: str
    card: Mapping[str, Any]
    net: Net
    spec: BoardSpec
    path: Path
    device: str = "cpu"

    def evaluator(self) -> NetEvaluator:
        """Return an evaluator of its own buffers; one per thread."""
        temperatures = temperatures_of(self.card, str(self.path))
        return NetEvaluator(self.net, self.spec, device=self.device, temperatures=temperatures)


# --- writing


def save_model(
    net: Net,
    spec: BoardSpec,
    folder: Path,
    *,
    training: Mapping[str, Any] | None,
    parents: Sequence[Mapping[str, str]] = (),
    calibration: Mapping[str, Any] | None = None,
    label: str | None = None,
) -> Path:
    """Write a model to `folder/<id[:2]>/<id>.safetensors` and return that path.

    The file appears whole and read-only, after the description beside it; if it is there already
    nothing changes. `training` holds the lineage facts of models.md 1, `None` for random weights;
    `parents` are `{"id", "role"}`; `calibration` is the card field of `nets.calibration`.
    """
    tensors = _tensors(net)
    shape = net.architecture
    card: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "config": spec.config,
        "board": spec.board,
        "players": spec.players,
        **_fit(spec, shape.encoder),
        "architecture": {
            "name": NAME,
            "size": shape.size,
            "blocks": shape.blocks,
            "channels": shape.channels,
            "parameters": sum(p.numel() for p in net.parameters()),
            "shapes": {name: list(tensors[name].shape) for name in sorted(tensors)},
        },
        "value_utility": shape.value_utility,
        "quantisation": None,
        "calibration": None if calibration is None else dict(calibration),
        "training": None if training is None else dict(training),
        "parents": [dict(p) for p in parents],
    }
    outputs = _probe(net, spec, card, f"a new model of {spec.config}")
    card["probe"] = {"positions": probe_positions(spec).hash, "outputs": outputs}
    return write_model(folder, _arrays(tensors), card, label=label)


def init_model(
    spec: BoardSpec,
    *,
    size: str,
    seed: int,
    folder: Path,
    label: str | None = None,
    encoder: str = DEFAULT,
) -> Path:
    """Write a model of random weights, marked `training: null`; return its path."""
    shape = Architecture.of(spec.board, spec.players, size, encoder=encoder)
    return save_model(fresh_net(shape, seed=seed), spec, folder, training=None, label=label)


def model_id(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Return the id over tensors (sorted by name) and the identifying card."""
    return container.model_id(_arrays(tensors), dict(card))


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    return {name: t.detach().cpu().contiguous().numpy() for name, t in tensors.items()}


def _tensors(net: Net) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous().clone() for name, t in net.state_dict().items()}


def _fit(spec: BoardSpec, encoder: str) -> dict[str, Any]:
    """Return the card fields that say what a model fits, for this version and `spec`."""
    return {
        "board_spec_hash": spec.hash,
        "rules_version": RULES_VERSION,
        "encoder": ENCODERS[encoder].identity,
        "policy_layout_hash": policy_layout(spec.board).hash,
        "codec_hash": codec_hash,
    }


def _probe(net: Net, spec: BoardSpec, card: Mapping[str, Any], ref: str) -> list[list[float]]:
    """Return, per probe position, its values and the logits of its first moves, six digits each."""
    where, training = next(net.parameters()).device, net.training
    p = probe_positions(spec)
    evaluator = NetEvaluator(net, spec, temperatures=temperatures_of(card, ref))
    logits, values = evaluator.evaluate(p.states, p.boards, p.moves, p.offsets)
    net.to(where).train(training)
    return p.outputs(logits, values)


# --- reading


def load_model(path: Path, spec: BoardSpec, *, device: str = "cpu") -> LoadedModel:
    """Load a model file for `spec`; raises `ModelError` for whatever is not exactly right.

    It is checked on the CPU, whatever the device of its evaluators.

    Checked in order: size, bytes against the id, card, fit to `spec` and this version, shapes,
    finite values, and the outputs on the probe positions (once per process and id).
    """
    ref = str(path)
    identity, card, arrays = read_model(path)
    check_kind(card, (KIND,), ref)
    name = str(card["encoder"].get("id"))
    check_fit(card, _fit(spec, name if name in ENCODERS else DEFAULT), spec, ref)
    net = _build(card, arrays, ref)
    if identity not in _verified:
        _check_probe(net, spec, card, ref)
        _verified.add(identity)
    return LoadedModel(id=identity, card=card, net=net, spec=spec, path=path, device=device)


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
            encoder=card["encoder"]["id"],
            value_utility=card["value_utility"],
        )
    except (KeyError, ValueError, TypeError):
        raise ModelError("card_invalid", ref, "card field architecture is incomplete") from None
    if shape.get("name") != NAME:
        detail = f"architecture {shape.get('name')!r}; expected {NAME!r}"
        raise ModelError("card_invalid", ref, detail)
    if architecture.value_utility not in get_args(ValueUtility):
        detail = f"value_utility {architecture.value_utility!r}; expected rank or win"
        raise ModelError("card_invalid", ref, detail)
    net = fresh_net(architecture, seed=0)  # constant buffers; every parameter is replaced
    check_tensors(arrays, {n: tuple(t.shape) for n, t in net.state_dict().items()}, ref)
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    net.load_state_dict(tensors, strict=True)
    return net.eval()


def _check_probe(net: Net, spec: BoardSpec, card: dict[str, Any], ref: str) -> None:
    probe = card["probe"]
    if probe.get("positions") != probe_positions(spec).hash:
        raise ModelError("probe_mismatch", ref, "the probe positions are others in this version")
    found, stored = _probe(net, spec, card, ref), probe.get("outputs")
    if not isinstance(stored, list) or [len(r) for r in found] != [len(r) for r in stored]:
        raise ModelError("probe_mismatch", ref, "the card's probe outputs have another shape")
    worst = max(
        abs(a - b) / max(1.0, abs(b))
        for row, kept in zip(found, stored, strict=True)
        for a, b in zip(row, kept, strict=True)
    )
    if not math.isfinite(worst) or worst > PROBE_TOLERANCE:
        raise ModelError("probe_mismatch", ref, f"outputs differ from the card's by {worst:.2g}")
