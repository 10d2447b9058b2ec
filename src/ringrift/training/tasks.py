"""The kinds of nets as tasks of the training loop: what each begins with and learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ringrift.core.errors import UsageError
from ringrift.nets.container import read_card

if TYPE_CHECKING:
    from pathlib import Path

    from ringrift.rules import BoardSpec
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.engine.task import Task
    from ringrift.training.request import Kind, Shape
    from ringrift.training.samples.table import SampleTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A net before its first step, the models it comes from, and what a transfer left out."""

    net: Any
    parents: tuple[Mapping[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


def start_net(
    kind: Kind,
    spec: BoardSpec,
    shape: Shape,
    *,
    seed: int,
    parent: Path | None = None,
    transfer: Path | None = None,
) -> Started:
    """Return the net that a training begins with: random, that of `parent`, or transferred.

    Raises `ModelError` for a file that does not fit, `UsageError` for a parent of another shape.
    """
    if kind == "cnn":
        from ringrift.nets.model_file import load_model
        from ringrift.training.convnet.start import start_net as start_convnet

        begun = start_convnet(
            spec,
            size=shape.size,
            seed=seed,
            encoder=shape.encoder,
            parent=None if parent is None else load_model(parent, spec),
            transfer=transfer,
        )
        return Started(net=begun.net, parents=begun.parents, left_out=begun.left_out)
    if transfer is not None:
        raise UsageError("a NNUE takes nothing over from another board", where="--transfer-from")
    from ringrift.nets.nnue.network import LAYERS
    from ringrift.training.nnue.start import start_net as start_nnue

    assert shape.hidden is not None
    nnue = start_nnue(
        spec,
        hidden=shape.hidden,
        layers=shape.layers or LAYERS,
        policy=kind == "nnue-policy",
        seed=seed,
        parent=parent,
    )
    parents = () if parent is None else ({"id": read_card(parent)[0], "role": "warm_start"},)
    return Started(net=nnue, parents=parents)


def task_of(
    kind: Kind, train: SampleTable, val: SampleTable, settings: TrainSettings, net: Any
) -> Task[Any]:
    """Return the task of a net on the samples of both sides."""
    if kind == "cnn":
        from ringrift.training.convnet.task import ConvTask

        return cast("Task[Any]", ConvTask.of(train, val, settings, net=net))
    from ringrift.training.nnue.task import NnueTask

    return cast("Task[Any]", NnueTask.of(train, val, settings, net=net))
