"""Take in weights that others saved: state dicts of our architectures (`models.md` 2)."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_safetensors
from torch import Tensor

from ringrift.core.errors import DataError, UsageError
from ringrift.core.versions import installed
from ringrift.models.registry import register
from ringrift.nets.container import ModelError, check_tensors, read_header
from ringrift.nets.encoders import DEFAULT, ENCODERS
from ringrift.nets.model_file import save_model
from ringrift.nets.network import SIZES, Architecture, Net, fresh_net
from ringrift.nets.nnue.file import INTEGERS, save_nnue
from ringrift.nets.nnue.network import LAYER_NAMES, LAYERS, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.rules import BoardSpec

KINDS = ("cnn", "nnue", "nnue-policy")
WRAPPED_AS = ("state_dict", "model_state_dict", "model")
"""Names under which checkpoints hold a state dict."""
NAMED = 5
"""Tensors named in an error at most."""


def import_model(
    file: Path, spec: BoardSpec, kind: str, objects: Path, *, label: str | None = None
) -> Path:
    """Write the weights of a file as a model below `objects` and return its path.

    The file is a state dict saved by torch or as safetensors, or a model of ours. Nothing in it is
    executed. Raises `UsageError` for an unknown kind or a missing file, `ModelError` for a pickle
    that holds more than weights, `DataError` naming the tensors that are missing, unexpected or of
    another shape.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind {kind!r}", where="--kind", hint=", ".join(KINDS))
    if not file.is_file():
        raise UsageError(f"no file {file}", where="FILE")
    data = file.read_bytes()
    if data[8:9] == b"{" and _is_ours(file):
        return _registered(file, spec, kind, objects)
    tensors = _floats(_read(file, data), file)
    training = {
        "made_by": "import",
        "sha256": hashlib.sha256(data).hexdigest(),
        "version": installed("ringrift"),
    }
    if kind == "cnn":
        net = _net(tensors, spec, file)
        return save_model(net, spec, objects, training=training, label=label)
    shape = _shape(tensors, spec, kind, file)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return save_nnue(arrays, shape, spec, objects, training=training, label=label)


def _is_ours(file: Path) -> bool:
    try:
        read_header(file)
    except ModelError as error:
        return error.code != "card_missing"  # damaged ones are refused by name
    return True


def _registered(file: Path, spec: BoardSpec, kind: str, objects: Path) -> Path:
    _, card = read_header(file)
    if (card.get("kind"), card.get("config")) != (kind, spec.config):
        raise UsageError(
            f"a model of kind {card.get('kind')} for {card.get('config')}; asked for {kind} for "
            f"{spec.config}",
            where=str(file),
        )
    identity = register(objects, file)
    return objects / identity[:2] / f"{identity}.safetensors"


def _read(file: Path, data: bytes) -> Mapping[str, Any]:
    """Return what a file of weights holds by name."""
    if data[8:9] == b"{":
        try:
            return read_safetensors(data)
        except SafetensorError as error:
            raise DataError(f"no tensors: {error}", where=str(file)) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of another protocol
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise ModelError("unsafe_pickle", str(file), f"more than weights: {reason}") from None
    except Exception as error:
        raise DataError(f"no file of weights: {error!s:.200}", where=str(file)) from error
    for name in WRAPPED_AS:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict):
        raise DataError(f"found a {type(found).__name__}; expected a state dict", where=str(file))
    return found


def _floats(found: Mapping[str, Any], file: Path) -> dict[str, Tensor]:
    """Return the tensors as float32; the integers of a NNUE follow from its floats."""
    tensors: dict[str, Tensor] = {}
    for name, value in found.items():
        if str(name).startswith(INTEGERS):
            continue
        if not isinstance(value, Tensor):
            raise DataError(
                f"{name}: found a {type(value).__name__}; expected a tensor", where=str(file)
            )
        tensors[str(name)] = value.detach().to(torch.float32).contiguous()
    return tensors


def _net(tensors: Mapping[str, Tensor], spec: BoardSpec, file: Path) -> Net:
    """Return the convolutional net whose tensors these are."""
    shape = Architecture.of(spec.board, spec.players, _size(tensors), encoder=_encoder(tensors))
    made = fresh_net(shape, seed=0)
    expected = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    what = f"a {made.architecture.size} net of {spec.config}"
    _require({name: tuple(t.shape) for name, t in tensors.items()}, expected, what, file)
    _require_finite(tensors, expected, file)
    made.load_state_dict(dict(tensors), strict=True)
    return made.eval()


def _size(tensors: Mapping[str, Tensor]) -> str:
    """Return the size whose blocks and channels are nearest to those of the tensors."""
    numbers = [name.split(".")[1] for name in tensors if name.startswith("blocks.")]
    blocks = len(set(numbers))
    stem = tensors.get("stem.weight")
    channels = 0 if stem is None or stem.dim() == 0 else int(stem.shape[0])
    return min(SIZES, key=lambda s: (abs(SIZES[s][1] - channels), abs(SIZES[s][0] - blocks)))


def _encoder(tensors: Mapping[str, Tensor]) -> str:
    """Return the encoder with as many planes as the tensors take, the usual one if none has."""
    stem = tensors.get("stem.weight")
    planes = 0 if stem is None or stem.dim() != 4 else int(stem.shape[1])
    fitting = (name for name, encoder in ENCODERS.items() if len(encoder.planes) == planes)
    return next(fitting, DEFAULT)


def _shape(tensors: Mapping[str, Tensor], spec: BoardSpec, kind: str, file: Path) -> Shape:
    """Return the shape of the NNUE whose tensors these are."""
    first = tensors.get("inputs.weight")
    hidden = 256 if first is None or first.dim() != 2 else int(first.shape[1])
    policy = kind == "nnue-policy"
    layers = max(LAYERS, sum(f"{name}.weight" in tensors for name in LAYER_NAMES))
    shape = Shape(
        board=spec.board, players=spec.players, hidden=hidden, layers=layers, policy=policy
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    _require(shapes, shape.sizes, f"a {kind} of {spec.config} with {hidden} hidden units", file)
    _require_finite(tensors, shape.sizes, file)
    return shape


def _require_finite(
    tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], file: Path
) -> None:
    check_tensors({name: t.numpy() for name, t in tensors.items()}, expected, str(file))


def _require(
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    what: str,
    file: Path,
) -> None:
    """Raise `DataError` unless names and shapes are those expected."""
    other = [
        f"{name} {list(found[name])} for {list(expected[name])}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != expected[name]
    ]
    problems = [
        _told("missing", sorted(expected.keys() - found.keys())),
        _told("unexpected", sorted(found.keys() - expected.keys())),
        _told("of another shape", other),
    ]
    told = "; ".join(problem for problem in problems if problem)
    if told:
        raise DataError(f"no state dict of {what}: {told}", where=str(file))


def _told(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{what} {', '.join(names[:NAMED])}{more}"
