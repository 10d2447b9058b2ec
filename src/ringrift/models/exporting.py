"""Write a model for other programs: safetensors, a state dict of torch, or ONNX (`models.md` 2)."""

from __future__ import annotations

import importlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ringrift.core.errors import NegativeResult, UsageError
from ringrift.core.files import write_atomic
from ringrift.nets.container import read_model
from ringrift.nets.loading import open_model, spec_of
from ringrift.nets.probe import probe_positions

if TYPE_CHECKING:
    from types import ModuleType

    from ringrift.nets.model_file import LoadedModel
    from ringrift.nets.network import Outputs

Format = Literal["safetensors", "torch", "onnx"]
ONNX_TOLERANCE = 1e-4
ONNX_OPSET = 17
ONNX_INPUTS = ("planes", "globals")
ONNX_OUTPUTS = {
    "planes": "policy_planes",
    "scalars": "policy_scalars",
    "win": "win",
    "rank": "rank",
}
"""Names in ONNX of the outputs of the net that play."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written; `difference` is the greatest between ONNX and torch, relative above 1."""

    id: str
    format: Format
    size_bytes: int
    difference: float | None


def export(path: Path, form: Format, output: Path) -> Exported:
    """Check a model file as for play and write it in another form.

    `safetensors` is the file itself; `torch` a state dict that `torch.load` reads with
    `weights_only`; `onnx` has inputs `planes` `[B, planes, H, W]` and `globals` `[B, 64]` and was
    run on the probe positions beside torch. Raises `ModelError` for an unfit file, `UsageError` for
    a form that a kind does not have or a package that is missing, `NegativeResult` where the two
    differ by more than 1e-4.
    """
    identity, card, tensors = read_model(path)
    model = open_model(path, spec_of(card, str(path)))
    difference = None
    if form == "safetensors":
        data = path.read_bytes()
    elif form == "torch":
        buffer = io.BytesIO()
        torch.save({name: torch.from_numpy(tensors[name]) for name in sorted(tensors)}, buffer)
        data = buffer.getvalue()
    elif card["kind"] == "cnn":
        data, difference = _onnx(model)  # type: ignore[arg-type] # by its kind
        if difference > ONNX_TOLERANCE:
            raise NegativeResult(
                f"ONNX and torch differ by {difference:.2g}; expected at most {ONNX_TOLERANCE:g}",
                where=str(path),
            )
    else:
        raise UsageError(
            f"a model of kind {card['kind']!r} has no ONNX form",
            where="--format",
            hint="--format torch",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, data)
    return Exported(id=identity, format=form, size_bytes=len(data), difference=difference)


def _onnx(model: LoadedModel) -> tuple[bytes, float]:
    """Return the ONNX form of a convolutional net and how far it is from the net."""
    _package("onnx")
    runtime = _package("onnxruntime")
    planes, numbers, outputs = _probed(model)
    fields = [name for name in ONNX_OUTPUTS if getattr(outputs, name) is not None]
    names = [ONNX_OUTPUTS[name] for name in fields]
    with TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter in use needs no further package
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Playing(model.net, fields).eval(),
            (planes, numbers),
            path,
            input_names=list(ONNX_INPUTS),
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in (*ONNX_INPUTS, *names)},
            opset_version=ONNX_OPSET,
            dynamo=False,
        )
        data = path.read_bytes()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for rows in (len(planes), 1):  # the batch is free
        given = dict(zip(ONNX_INPUTS, (planes[:rows].numpy(), numbers[:rows].numpy()), strict=True))
        for field, found in zip(fields, session.run(names, given), strict=True):
            expected = getattr(outputs, field)[:rows]
            apart = (torch.from_numpy(found) - expected).abs() / expected.abs().clamp(min=1.0)
            worst = max(worst, float(apart.max()))
    return data, worst


def _probed(model: LoadedModel) -> tuple[Tensor, Tensor, Outputs]:
    """Return the net's inputs on the probe positions, and its outputs."""
    seen: list[list[Tensor]] = []
    hook = model.net.register_forward_pre_hook(
        lambda _, given: seen.append([tensor.clone() for tensor in given])
    )
    p = probe_positions(model.spec)
    try:
        model.evaluator().evaluate(p.states, p.boards, p.moves, p.offsets)
    finally:
        hook.remove()
    planes, numbers = (tensor.clone().contiguous() for tensor in seen[0])
    with torch.no_grad():
        return planes, numbers, model.net(planes, numbers)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            f"--format onnx needs the package {name}", hint="pip install 'ringrift[bench]'"
        ) from None


class _Playing(torch.nn.Module):
    """A net with some of its outputs, as a tuple."""

    def __init__(self, net: torch.nn.Module, fields: list[str]) -> None:
        super().__init__()
        self.net = net
        self.fields = fields

    def forward(self, planes: Tensor, numbers: Tensor) -> tuple[Tensor, ...]:
        outputs = self.net(planes, numbers)
        return tuple(getattr(outputs, name) for name in self.fields)
