"""NNUE models: saved, made anew, and loaded with every check of models.md 1.

A file holds the float tensors of `network` and, under `q.`, the integers that play. Random weights
come from `init_nnue` alone, whose card says `training: null`; no path from a missing or unfit file
leads to a net.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.core.errors import UsageError
from ringrift.nets.calibration import Temperatures, calibration_field, temperatures_of
from ringrift.nets.container import (
    SCHEMA,
    Card,
    ModelError,
    check_fit,
    check_kind,
    check_tensors,
    read_model,
    write_model,
)
from ringrift.nets.nnue import features, forward
from ringrift.nets.nnue.arrays import POLICY_WIDTH, WIDTH, Net
from ringrift.nets.nnue.evaluator import NnueEvaluator, NnueModel, Prior
from ringrift.nets.nnue.network import (
    INPUT_SCALE,
    LAYERS,
    WEIGHT_SCALE,
    Shape,
    largest_sum,
    lay_out,
    quantise,
    random_weights,
)
from ringrift.nets.nnue.rows import policy_rows
from ringrift.nets.probe import probe_positions
from ringrift.rules import RULES_VERSION, BoardSpec
from ringrift.rules.codec import layout_hash as codec_hash

KINDS = ("nnue", "nnue-policy")
INTEGERS = "q."
PROBE_TOLERANCE = 1e-4

_verified: set[str] = set()
"""Ids whose outputs this process has compared with their probe."""


def save_nnue(
    weights: Mapping[str, NDArray[Any]],
    shape: Shape,
    spec: BoardSpec,
    folder: Path,
    *,
    training: Mapping[str, Any] | None,
    parents: tuple[Mapping[str, str], ...] = (),
    label: str | None = None,
) -> Path:
    """Quantise float weights, write a model to `folder/<id[:2]>/<id>.safetensors`; return the path.

    `training` holds the lineage facts of models.md 1, `None` for random weights; `parents` are
    `{"id", "role"}`. Raises `ModelError` for tensors that are not those of `shape`, or not finite.
    """
    floats = {name: np.ascontiguousarray(w, np.float32) for name, w in weights.items()}
    check_tensors(floats, shape.sizes, f"a new {shape.kind} of {spec.config}")
    integers = quantise(floats, shape)
    tensors = {**floats, **{INTEGERS + name: array for name, array in integers.items()}}
    card: Card = {
        "schema": SCHEMA,
        "kind": shape.kind,
        "config": spec.config,
        "board": spec.board,
        "players": spec.players,
        **_fit(spec),
        "architecture": {
            "name": "ringrift-nnue/1",
            "hidden": shape.hidden,
            "layers": [WIDTH] * shape.layers,
            "policy": POLICY_WIDTH if shape.policy else 0,
            "parameters": sum(w.size for w in floats.values()),
            "shapes": {name: list(tensors[name].shape) for name in sorted(tensors)},
        },
        "value_utility": "rank",
        "quantisation": {
            "input_scale": INPUT_SCALE,
            "weight_scale": WEIGHT_SCALE,
            "shift": forward.SHIFT,
            "output_scale": int(forward.OUTPUT_SCALE),
            "accumulator": integers["inputs.bias"].dtype.name,
            "largest_sum": largest_sum(integers["inputs.weight"], integers["inputs.bias"], shape),
        },
        "calibration": None,
        "training": None if training is None else dict(training),
        "parents": [dict(p) for p in parents],
        "probe": _probe(lay_out(integers, shape), spec, wide=_wide(integers)),
    }
    return write_model(folder, tensors, card, label=label)


def init_nnue(
    spec: BoardSpec,
    *,
    folder: Path,
    seed: int,
    hidden: int = 256,
    layers: int = LAYERS,
    policy: bool = False,
    label: str | None = None,
) -> Path:
    """Write a NNUE of random weights, marked `training: null`; return its path."""
    shape = Shape(
        board=spec.board, players=spec.players, hidden=hidden, layers=layers, policy=policy
    )
    weights = random_weights(shape, seed=seed)
    return save_nnue(weights, shape, spec, folder, training=None, label=label)


def load_nnue(path: Path, spec: BoardSpec) -> NnueModel:
    """Load a NNUE for `spec`; raises `ModelError` for whatever is not exactly right.

    Checked in order: size, bytes against the id, card, fit to `spec` and this version, shapes,
    finite values, that the integers are those of the floats, and the outputs on the probe positions
    (once per process and id).
    """
    ref = str(path)
    identity, card, tensors = read_model(path)
    check_kind(card, KINDS, ref)
    check_fit(card, _fit(spec), spec, ref)
    shape = _shape(card, ref)
    sizes = shape.sizes
    check_tensors(tensors, {**sizes, **{INTEGERS + name: n for name, n in sizes.items()}}, ref)
    integers = {name: tensors[INTEGERS + name] for name in sizes}
    net = lay_out(integers, shape, temperatures_of(card, ref))
    wide = _wide(integers)
    if identity not in _verified:
        _check_integers(tensors, integers, shape, ref)
        _check_probe(net, spec, card["probe"], wide=wide, ref=ref)
        _verified.add(identity)
    return NnueModel(id=identity, card=card, net=net, wide=wide, shape=shape, spec=spec, path=path)


def calibrate_nnue(model: NnueModel, temperatures: Temperatures, folder: Path) -> Path:
    """Write a model of the same tensors whose outputs are divided by `temperatures` as well.

    Returns its path; a calibration that `model` has is kept as a factor.
    """
    _, card, tensors = read_model(model.path)
    field = calibration_field(card, temperatures, str(model.path))
    integers = {name: tensors[INTEGERS + name] for name in model.shape.sizes}
    net = lay_out(integers, model.shape, temperatures_of({"calibration": field}, str(folder)))
    changed = {
        "calibration": field,
        "parents": [{"id": model.id, "role": "calibrated_from"}],
        "probe": _probe(net, model.spec, wide=model.wide),
    }
    return write_model(folder, tensors, {**card, **changed})


def weights_of(path: Path, spec: BoardSpec) -> tuple[Shape, dict[str, NDArray[Any]]]:
    """Return the float weights of a NNUE file, from which training goes on; checks as `load_nnue`."""
    model = load_nnue(path, spec)
    _, _, tensors = read_model(path)
    return model.shape, {name: tensors[name].copy() for name in model.shape.sizes}


def _fit(spec: BoardSpec) -> Card:
    """Return the card fields that say what a model fits, for this version and `spec`."""
    return {
        "board_spec_hash": spec.hash,
        "rules_version": RULES_VERSION,
        "encoder": features.IDENTITY,
        "policy_layout_hash": policy_rows(spec.board).hash,
        "codec_hash": codec_hash,
    }


def _shape(card: Card, ref: str) -> Shape:
    architecture = card["architecture"]
    try:
        widths = list(architecture["layers"])
        shape = Shape(
            board=str(card["board"]),
            players=int(card["players"]),
            hidden=int(architecture["hidden"]),
            layers=len(widths),
            policy=card["kind"] == "nnue-policy",
        )
    except (KeyError, ValueError, TypeError):
        raise ModelError("card_invalid", ref, "card field architecture is incomplete") from None
    except UsageError as error:
        detail = f"card field architecture: {error.message}"
        raise ModelError("card_invalid", ref, detail) from None
    if widths != [WIDTH] * len(widths):
        detail = f"card field architecture.layers is {widths}; expected {WIDTH} for each layer"
        raise ModelError("card_invalid", ref, detail)
    return shape


def _wide(integers: Mapping[str, NDArray[Any]]) -> bool:
    return integers["inputs.bias"].dtype == np.int32


def _check_integers(
    tensors: Mapping[str, NDArray[Any]],
    integers: Mapping[str, NDArray[Any]],
    shape: Shape,
    ref: str,
) -> None:
    made = quantise({name: tensors[name] for name in integers}, shape)
    for name, array in integers.items():
        if array.dtype != made[name].dtype or not np.array_equal(array, made[name]):
            detail = f"tensor {INTEGERS}{name} is not tensor {name} in whole numbers"
            raise ModelError("probe_mismatch", ref, detail)


def _probe(net: Net, spec: BoardSpec, *, wide: bool) -> Card:
    """Return, per probe position, its values and the logits of its first moves, six digits each."""
    p = probe_positions(spec)
    prior: Prior = "policy" if len(net.rows) else "value"
    evaluator = NnueEvaluator(net, spec, wide=wide, prior=prior)
    logits, values = evaluator.evaluate(p.states, p.boards, p.moves, p.offsets)
    return {"positions": p.hash, "outputs": p.outputs(logits, values)}


def _check_probe(net: Net, spec: BoardSpec, probe: Card, *, wide: bool, ref: str) -> None:
    found = _probe(net, spec, wide=wide)
    if probe.get("positions") != found["positions"]:
        raise ModelError("probe_mismatch", ref, "the probe positions are others in this version")
    stored = probe.get("outputs")
    if not isinstance(stored, list) or [len(r) for r in found["outputs"]] != [
        len(r) for r in stored
    ]:
        raise ModelError("probe_mismatch", ref, "the card's probe outputs have another shape")
    worst = max(
        abs(a - b)
        for row, kept in zip(found["outputs"], stored, strict=True)
        for a, b in zip(row, kept, strict=True)
    )
    # all but the last hyperbolic tangent is in whole numbers, so nothing else may differ
    if not worst <= PROBE_TOLERANCE:
        raise ModelError("probe_mismatch", ref, f"outputs differ from the card's by {worst:.2g}")
