"""What a training is asked for, with the origin of every value (training.md 5, 10).

Precedence: option > environment and settings file > a configuration's tuned set > defaults of
`config/hyperparameters.json` > profile > the trainer's own defaults. What a study or a file says for
one trainer holds for all that know the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from ringrift.core.errors import UsageError
from ringrift.core.hyperparameters import (
    LoadedHyperparameters,
    MergedHyperparameters,
    merge_hyperparameters,
)
from ringrift.core.settings_loader import Origin
from ringrift.nets.nnue.arrays import LEAST_LAYERS, MOST_LAYERS
from ringrift.training.engine.settings import TrainSettings
from ringrift.training.sources import WINDOW_BASE, Selection

if TYPE_CHECKING:
    from ringrift.core.settings_loader import LoadedSettings

Kind = Literal["cnn", "nnue", "nnue-policy"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HIDDEN_OF_BOARD = {"square8": 128, "hex8": 256, "square19": 256, "hexagonal": 256}
"""`--hidden-dim auto` of a NNUE with a policy head."""

OWN: Mapping[Kind, Mapping[str, Any]] = {
    "cnn": {"size": "small"},
    "nnue": {"epochs": 100, "batch_size": 512, "hidden_dim": 256, "policy_weight": 0.0},
    "nnue-policy": {
        "epochs": 100,
        "batch_size": 256,
        "hidden_dim": "auto",
        "sample_every_n": 2,
        "dropout": 0.1,
        "label_smoothing": 0.1,
        "temperature_start": 2.0,
        "temperature_end": 0.5,
        "max_moves_per_position": 128,
    },
}
"""What a trainer has otherwise than `TrainSettings` and `Selection`."""

UNKNOWN: Mapping[Kind, frozenset[str]] = {
    "cnn": frozenset({"hidden_dim", "num_hidden_layers", "dropout"}),
    "nnue": frozenset({"dropout", "policy_weight"}),
    "nnue-policy": frozenset(),
}
"""Hyper-parameters that a kind of net does not have."""

SCHEDULES = {
    "warmup_cosine": "cosine",
    "cosine": "cosine",
    "cosine_warmup": "cosine",
    "plateau": "plateau",
}
SIZES_OF_VERSION = {"v2": "large", "v3": "large", "v4": "large"}

OF_SETTINGS = {
    "use_ema": "use_ema",
    "ema_decay": "ema_decay",
    "policy_label_smoothing": "label_smoothing",
    "q_mix": "q_mix",
    "model_size": "size",
    "validation_split": "val_split",
    "max_reuse": "max_reuse",
    "policy.kl_min_coverage": "kl_min_coverage",
    "policy.kl_min_samples": "kl_min_samples",
}
"""Keys of the section `training` by the value they set; those of hyper-parameters are merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The net: `size` and `encoder` of the convolutional one, `hidden` and `layers` of a NNUE.

    None of a value is the net's own default.
    """

    size: str | None = None
    encoder: str | None = None
    hidden: int | None = None
    layers: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what is known of it."""
        known = {
            "size": self.size,
            "encoder": self.encoder,
            "hidden_dim": self.hidden,
            "num_hidden_layers": self.layers,
        }
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a training runs on; `device` is resolved: `cpu`, `cuda` or `mps`."""

    device: str = "cpu"
    threads: int = 1

    @property
    def workers(self) -> int:
        """Threads that make batches beside those of the net."""
        return max(1, min(8, self.threads - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A training with nothing left open but its samples.

    `origins` by name of the value; `hyperparameters` are the merged ones that were asked, None where
    none were.
    """

    kind: Kind
    config: str
    settings: TrainSettings
    selection: Selection
    shape: Shape
    hyperparameters: MergedHyperparameters | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Return every resolved value by name."""
        found = {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
        chosen = {f.name: getattr(self.selection, f.name) for f in fields(self.selection)}
        return {**found, **chosen, **self.shape.as_dict()}

    def told_origins(self) -> dict[str, str]:
        """Return where each resolved value comes from, in words."""
        return {name: str(self.origins.get(name, DEFAULT)) for name in self.values()}


DEFAULT = Origin("default")
PARENT = Origin("default", "the model to begin with")


def resolve(
    kind: Kind,
    config: str,
    *,
    given: Mapping[str, Any],
    hyperparameters: LoadedHyperparameters,
    settings: LoadedSettings | None = None,
    machine: Machine | None = None,
    named: bool = True,
    parent: Mapping[str, Any] | None = None,
) -> Request:
    """Lay the layers of one training over each other.

    `given` are option values by name, None where an option was not given; names are those of
    `TrainSettings`, `Selection`, and `size`, `model_version`, `hidden_dim`, `num_hidden_layers`,
    `lr_scheduler`. All samples that were `named` are learned from, of others a window. The net has the shape of
    `parent`, the card of the model it goes on with. Raises `UsageError` and `SettingsError` naming option or key.
    """
    machine = machine or Machine()
    merged = merge_hyperparameters(hyperparameters, config, settings=settings)
    layers = _Layers(kind)
    layers.own(machine)
    layers.set("window", "all" if named else "auto", DEFAULT)
    layers.hyperparameters(merged, hyperparameters)
    if settings is not None:
        layers.of_settings(settings)
    layers.of_parent(parent)
    layers.options(given)
    values, origins = layers.values, layers.origins
    return Request(
        kind=kind,
        config=config,
        settings=_made(TrainSettings, values),
        selection=_made(Selection, values),
        shape=_shape(kind, config, values),
        hyperparameters=merged,
        origins=origins,
    )


class _Layers:
    """Values by name, each with the origin of the highest layer that set it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}

    def set(self, name: str, value: Any, origin: Origin) -> None:
        self.values[name] = value
        self.origins[name] = origin

    def own(self, machine: Machine) -> None:
        """Set what the trainer itself and the machine stand for."""
        for name, value in OWN[self.kind].items():
            self.set(name, value, DEFAULT)
        found = Origin("default", f"device {machine.device}")
        on_gpu = machine.device == "cuda"
        for name, value in (
            ("device", machine.device),
            ("threads", machine.threads),
            ("num_workers", machine.workers),
            ("mixed_precision", on_gpu),
            ("deterministic", machine.device == "cpu"),
            ("window_base", WINDOW_BASE["cuda" if on_gpu else "cpu"]),
        ):
            self.set(name, value, found)
        if self.kind == "cnn" and on_gpu:
            self.set("size", "medium", found)

    def hyperparameters(self, merged: MergedHyperparameters, file: LoadedHyperparameters) -> None:
        """Set the merged hyper-parameters where somebody chose them, or nothing else is known."""
        shipped = type(merged.values)()
        for name, value in merged.values.model_dump().items():
            if name in UNKNOWN[self.kind]:
                continue
            origin = merged.origins[name]
            unchosen = origin.kind == "default" or (
                file.path is not None
                and origin.place == f"{file.path} defaults.{name}"
                and value == getattr(shipped, name)
            )
            if unchosen and name in self.values:
                continue
            if name == "lr_scheduler":
                self.set("schedule", SCHEDULES[value], origin)
            else:
                self.set(name, value, origin)

    def of_settings(self, settings: LoadedSettings) -> None:
        """Set what settings file, environment or profile say beside hyper-parameters."""
        for key, name in OF_SETTINGS.items():
            origin = settings.origins.get(f"training.{key}")
            if origin is None or origin.kind == "default":
                continue
            value: Any = settings.values.training
            for part in key.split("."):
                value = getattr(value, part)
            if value is not None and not (name == "size" and self.kind != "cnn"):
                self.set(name, value, origin)
        learn = settings.values.training
        if not learn.policy.auto_kl_loss:
            self.set("policy_loss", "ce", settings.origins["training.policy.auto_kl_loss"])

    def of_parent(self, card: Mapping[str, Any] | None) -> None:
        """Set the shape of the model whose weights are taken over."""
        shape = {} if card is None else card["architecture"]
        for name, part in (("size", "size"), ("encoder", "encoder"), ("hidden_dim", "hidden")):
            if part in shape:
                self.set(name, shape[part], PARENT)
        if "layers" in shape:
            self.set("num_hidden_layers", len(shape["layers"]), PARENT)

    def options(self, given: Mapping[str, Any]) -> None:
        """Set what the command line says."""
        for name, value in given.items():
            if value is None:
                continue
            origin = Origin("option", "--" + name.replace("_", "-"))
            if name == "lr_scheduler":
                self.set("schedule", _known(SCHEDULES, value, "--lr-schedule"), origin)
            elif name == "model_version":
                self.set("size", _known(SIZES_OF_VERSION, value, "--model-version"), origin)
            else:
                self.set(name, value, origin)


def _known(table: Mapping[str, str], word: str, option: str) -> str:
    if word not in table:
        raise UsageError(
            f"found {word!r}; expected one of {', '.join(table)}", where=option, hint=min(table)
        )
    return table[word]


def _made(kind: type, values: Mapping[str, Any]) -> Any:
    return kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})


def _shape(kind: Kind, config: str, values: dict[str, Any]) -> Shape:
    if kind == "cnn":
        return Shape(size=str(values["size"]), encoder=values.get("encoder"))
    layers = int(values["num_hidden_layers"])
    if not LEAST_LAYERS <= layers <= MOST_LAYERS:
        raise UsageError(
            f"num_hidden_layers is {layers}; expected {LEAST_LAYERS} to {MOST_LAYERS}",
            where="--num-hidden-layers",
        )
    hidden = values["hidden_dim"]
    if hidden == "auto":
        hidden = HIDDEN_OF_BOARD[config.rsplit("_", 1)[0]]
    try:
        return Shape(hidden=int(hidden), layers=layers)
    except ValueError:
        raise UsageError(
            f"hidden_dim is {hidden!r}; expected auto or a number", where="--hidden-dim"
        ) from None
