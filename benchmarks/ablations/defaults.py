"""The defaults of the trainers that can be switched off, each with its off state (training.md 3-5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

Patch = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """One default: how it is switched off for one kind of net.

    `settings` are values of `TrainSettings`, `net` of the net's start, `data` of the export;
    `patch` changes what has no option.
    """

    name: str
    kinds: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    net: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    patch: Patch = nullcontext


@contextmanager
def without_auxiliary(name: str) -> Iterator[None]:
    """Take one auxiliary head out of the loss."""
    from ringrift.training.convnet import loss

    kept = loss.AUXILIARY[name]
    loss.AUXILIARY[name] = 0.0
    try:
        yield
    finally:
        loss.AUXILIARY[name] = kept


@contextmanager
def without_rounding() -> Iterator[None]:
    """Never simulate the rounding of the integers."""
    from ringrift.training.nnue import task

    kept = task.ROUNDED_FROM
    task.ROUNDED_FROM = 2.0
    try:
        yield
    finally:
        task.ROUNDED_FROM = kept


CNN, POLICY = "cnn", "nnue-policy"
BOTH = (CNN, POLICY)

DEFAULTS = (
    Default(name="EMA of the weights", kinds=BOTH, settings={"use_ema": False}),
    Default(name="symmetries", kinds=BOTH, settings={"symmetries": "none"}),
    Default(name="q in the win target (0.3)", kinds=BOTH, settings={"q_mix": 0.0}),
    Default(name="victory_type weights", kinds=BOTH, settings={"sampling_weights": "uniform"}),
    Default(name="warm-up", kinds=BOTH, settings={"warmup_epochs": 0.0}),
    Default(name="cosine (off: plateau)", kinds=BOTH, settings={"schedule": "plateau"}),
    Default(name="weight decay", kinds=BOTH, settings={"weight_decay": 0.0}),
    Default(name="gradient clipping", kinds=BOTH, settings={"grad_clip": 1e9}),
    Default(name="surprise weights (0.5)", kinds=BOTH, data={"surprise_weight": 0.0}),
    Default(name="planes1 (off: planes1-basic)", kinds=(CNN,), net={"encoder": "planes1-basic"}),
    Default(name="ownership head", kinds=(CNN,), patch=lambda: without_auxiliary("owner")),
    Default(name="margins head", kinds=(CNN,), patch=lambda: without_auxiliary("margins")),
    Default(name="policy dropout (0.1)", kinds=(POLICY,), settings={"dropout": 0.0}),
    Default(
        name="temperature 2 to 0.5",
        kinds=(POLICY,),
        settings={"temperature_start": 1.0, "temperature_end": 1.0},
    ),
    Default(name="best 128 moves", kinds=(POLICY,), settings={"max_moves_per_position": None}),
    Default(name="rounding simulated", kinds=(POLICY,), patch=without_rounding),
)
