"""Model files: tensors and card under one content id, checked whenever they are loaded (models.md 1).

`id = content_id("model", canonical tensors | canonical card)`. A file is a safetensors file whose
header carries id and card and whose every byte follows from them, so the same model is the same
file everywhere and any altered byte shows. What describes a file without identifying it (when and
where it was made, its label) stands beside it in `<id>.json`.

Random weights come from `init_model` alone. Whatever is wrong with a file is a `ModelError`; no
path from a missing or unfit file leads to a net.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes

from ringrift.core.errors import RefusedError
from ringrift.core.files import write_atomic
from ringrift.core.ids import canonical_json, content_id, short
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

SCHEMA = 1
KIND = "cnn"
SUFFIX = ".safetensors"
PROBE_TOLERANCE = 1e-4

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "schema": int,
    "kind": str,
    "config": str,
    "board": str,
    "players": int,
    "board_spec_hash": str,
    "rules_version": str,
    "encoder": dict,
    "policy_layout_hash": str,
    "codec_hash": str,
    "architecture": dict,
    "value_utility": str,
    "training": (dict, type(None)),
    "parents": list,
    "probe": dict,
}

_verified: set[str] = set()
"""Ids whose outputs this process has compared with their probe."""


class ModelError(RefusedError):
    """A model file that is missing, damaged, or made for something else.

    `code` is one of models.md 6, or `missing`; `ref` names the file; `detail` says what was found
    and expected.
    """

    def __init__(self, code: str, ref: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}", where=ref)
        self.code = code
        self.ref = ref
        self.detail = detail


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
    identity = model_id(tensors, card)
    path = folder / identity[:2] / f"{identity}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        described = {
            **card,
            "id": identity,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "label": label,
        }
        text = json.dumps(described, indent=1, sort_keys=True, allow_nan=False)
        write_atomic(path.with_suffix(".json"), text.encode())
        write_atomic(path, _file_bytes(tensors, card, identity))
        path.chmod(0o444)
    return path


def init_model(
    spec: BoardSpec, *, size: str, seed: int, folder: Path, label: str | None = None
) -> Path:
    """Write a model of random weights, marked `training: null`; return its path."""
    net = fresh_net(Architecture.of(spec.board, spec.players, size), seed=seed)
    return save_model(net, spec, folder, training=None, label=label)


def model_id(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Return the id over tensors (sorted by name) and the identifying card."""
    parts = []
    for name in sorted(tensors):
        array = _array(tensors[name])
        head = canonical_json([name, array.dtype.str, list(array.shape)])
        parts += [struct.pack("<Q", len(head)), head, array.tobytes()]
    return content_id("model", b"".join((*parts, b"|", canonical_json(card))))


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    array = tensor.detach().cpu().contiguous().numpy()
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))


def _tensors(net: Net) -> dict[str, Tensor]:
    return {name: t.detach().cpu().contiguous().clone() for name, t in net.state_dict().items()}


def _file_bytes(tensors: Mapping[str, Tensor], card: Mapping[str, Any], identity: str) -> bytes:
    # one metadata entry: safetensors writes several in the random order of a hash map
    described = canonical_json({"card": card, "id": identity}).decode()
    return tensor_bytes(dict(tensors), metadata={"ringrift": described})


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
    data = _read(path, ref)
    card, identity, tensors = _parse(data, ref)
    _check_identity(path, data, card, identity, tensors)
    _check_card(card, ref)
    _check_fit(card, spec, ref)
    net = _build(card, tensors, ref)
    if identity not in _verified:
        _check_probe(net, spec, card, ref)
        _verified.add(identity)
    return LoadedModel(id=identity, card=card, net=net, spec=spec, path=path)


def read_card(path: Path) -> tuple[str, dict[str, Any]]:
    """Return id and identifying card of a model file after checking its bytes against its id."""
    ref = str(path)
    data = _read(path, ref)
    card, identity, tensors = _parse(data, ref)
    _check_identity(path, data, card, identity, tensors)
    _check_card(card, ref)
    return identity, card


def _read(path: Path, ref: str) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError("missing", ref, "there is no such file") from None
    except OSError as error:
        raise ModelError("missing", ref, f"the file cannot be read: {error.strerror}") from error
    if not data:
        raise ModelError("empty", ref, "the file has no bytes")
    return data


def _parse(data: bytes, ref: str) -> tuple[dict[str, Any], str, dict[str, Tensor]]:
    if data[:2] in (b"PK", b"\x80\x02"):
        raise ModelError("unsafe_pickle", ref, "a pickle; models are safetensors files")
    header, end = _header(data, ref)
    if len(data) < end:
        raise ModelError("truncated", ref, f"{len(data)} bytes; the header announces {end}")
    metadata = header.get("__metadata__")
    text = metadata.get("ringrift") if isinstance(metadata, dict) else None
    if text is None:
        raise ModelError("card_missing", ref, "the header holds no card")
    try:
        described = json.loads(text)
        card, identity = described["card"], described["id"]
    except (ValueError, KeyError, TypeError):
        raise ModelError("card_invalid", ref, "the card in the header cannot be read") from None
    if not isinstance(card, dict) or not isinstance(identity, str):
        raise ModelError("card_invalid", ref, "the card in the header is no object with an id")
    try:
        return card, identity, read_tensors(data)
    except SafetensorError as error:
        raise ModelError("not_safetensors", ref, f"tensors cannot be read: {error}") from None


def _header(data: bytes, ref: str) -> tuple[dict[str, Any], int]:
    """Return the header and the length the file must have."""
    problem = "the file does not begin with a safetensors header"
    if len(data) < 8:
        raise ModelError("truncated", ref, f"{len(data)} bytes; a header alone has more")
    (size,) = struct.unpack("<Q", data[:8])
    if size > 100_000_000 or data[8:9] != b"{":
        raise ModelError("not_safetensors", ref, problem)
    if len(data) < 8 + size:
        raise ModelError("truncated", ref, f"{len(data)} bytes; the header alone has {8 + size}")
    try:
        header = json.loads(data[8 : 8 + size])
        ends = [entry["data_offsets"][1] for n, entry in header.items() if n != "__metadata__"]
        return header, 8 + size + max(map(int, ends), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ModelError("not_safetensors", ref, problem) from None


def _check_identity(
    path: Path, data: bytes, card: dict[str, Any], identity: str, tensors: dict[str, Tensor]
) -> None:
    ref = str(path)
    try:
        found = model_id(tensors, card)
    except Exception as error:  # a damaged card may hold what canonical JSON cannot
        raise ModelError("card_invalid", ref, f"the card has no canonical form: {error}") from error
    if found != identity:
        raise ModelError("hash_mismatch", ref, f"content {short(found)}; named {short(identity)}")
    stem = path.name.removesuffix(SUFFIX)
    if len(stem) == len(identity) and stem != identity:
        raise ModelError("hash_mismatch", ref, f"content {short(found)}; file {short(stem)}")
    if _file_bytes(tensors, card, identity) != data:
        raise ModelError("hash_mismatch", ref, "bytes of the file were altered")


def _check_card(card: dict[str, Any], ref: str) -> None:
    if card.get("schema") != SCHEMA:
        detail = f"card schema {card.get('schema')!r}; this version reads {SCHEMA}"
        raise ModelError("card_invalid", ref, detail)
    for name, kind in _FIELDS.items():
        if name not in card or not isinstance(card[name], kind):
            found = repr(card[name])[:60] if name in card else "nothing"
            raise ModelError("card_invalid", ref, f"card field {name}: found {found}")
    if card["kind"] != KIND:
        raise ModelError("card_invalid", ref, f"kind {card['kind']!r}; expected {KIND!r}")


def _check_fit(card: dict[str, Any], spec: BoardSpec, ref: str) -> None:
    needed = _fit(spec)
    codes = {"encoder": "unknown_encoder", "policy_layout_hash": "layout_mismatch"}
    for name, expected in needed.items():
        if card[name] != expected:
            detail = f"{name}: the model has {card[name]}, {spec.config} needs {expected}"
            if card["config"] != spec.config:
                detail = f"made for {card['config']}, asked for {spec.config}; {detail}"
            raise ModelError(codes.get(name, "spec_mismatch"), ref, detail)


def _build(card: dict[str, Any], tensors: dict[str, Tensor], ref: str) -> Net:
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
    expected = {name: t.shape for name, t in net.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        here, there = tensors.get(name), expected.get(name)
        if here is None or there is None or here.shape != there:
            found = "missing" if here is None else tuple(here.shape)
            wanted = "no such tensor" if there is None else tuple(there)
            raise ModelError("shape_mismatch", ref, f"tensor {name}: {found}; expected {wanted}")
        if not bool(torch.isfinite(here).all()):
            raise ModelError("not_finite", ref, f"tensor {name} holds infinity or NaN")
    net = fresh_net(architecture, seed=0)  # constant buffers; every parameter is replaced
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
