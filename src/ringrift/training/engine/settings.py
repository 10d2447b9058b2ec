"""How to train: every option of the trainers with its default (training.md 5)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from ringrift.core.errors import UsageError

Schedule = Literal["cosine", "plateau"]
Sampling = Literal["uniform", "late_game", "phase_emphasis", "combined", "victory_type"]
PolicyLoss = Literal["auto", "kl", "ce"]
Annealing = Literal["cosine", "linear", "exponential"]
Symmetries = Literal["auto", "none"]
HalfType = Literal["bfloat16", "float16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Hold the resolved values of one training.

    Some concern one kind of net only; a command refuses what its kind does not know.
    """

    epochs: int = 50
    """Most passes over the training samples."""
    steps: int | None = None
    """Optimiser steps in all; `None`: those of `epochs`. The schedule ends with them."""
    seed: int = 42
    """Names the order of samples, their symmetries, and the weights where there is no parent."""
    batch_size: int = 256
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    """AdamW; not on biases and norms."""
    warmup_epochs: float = 5.0
    """Linear warm-up, at most 5 % of the steps."""
    schedule: Schedule = "cosine"
    """After the warm-up, to 1 % of the rate."""
    grad_clip: float = 1.0
    gradient_accumulation_steps: int = 1
    early_stopping_patience: int = 15
    """Epochs without a better validation loss that end the training; 0: never."""
    policy_weight: float = 1.0
    value_weight: float = 1.0
    use_ema: bool = True
    ema_decay: float = 0.999
    """Limit of the decay, which is min(limit, (1 + t) / (10 + t)) at step t."""
    sampling_weights: Sampling = "victory_type"
    symmetries: Symmetries = "auto"
    q_mix: float = 0.3
    """Share of the search's root value in the win target, where it is recorded."""
    policy_loss: PolicyLoss = "auto"
    kl_min_coverage: float = 0.3
    kl_min_samples: int = 50
    label_smoothing: float = 0.0
    """Over the legal moves; 0 where the loss is a divergence from searched distributions."""
    dropout: float = 0.0
    """On the inputs of a NNUE's policy layer."""
    freeze_value: bool = False
    temperature_start: float = 1.0
    temperature_end: float = 1.0
    temperature_schedule: Annealing = "cosine"
    """Policy logits are divided by the temperature; validation uses its end."""
    max_moves_per_position: int | None = None
    winner_weight_boost: float = 1.0
    distill_from_winners: bool = False
    device: str = "cpu"
    mixed_precision: bool = False
    amp_dtype: HalfType = "bfloat16"
    threads: int = 1
    """Torch threads; another number may round sums differently."""
    num_workers: int = 1
    """Threads that make batches."""
    streaming: bool | None = None
    """Encode part by part; `None`: where the dataset exceeds a quarter of the free memory."""
    deterministic: bool = True

    def __post_init__(self) -> None:
        """Check every value; raises `UsageError` naming the option."""
        for name in ("epochs", "batch_size", "gradient_accumulation_steps", "threads"):
            _least(name, getattr(self, name), 1)
        if self.steps is not None:
            _least("steps", self.steps, 1)
        for name in ("learning_rate", "grad_clip", "temperature_start", "temperature_end"):
            if not getattr(self, name) > 0:
                raise UsageError(
                    f"{name} is {getattr(self, name)}; expected above 0", where=_option(name)
                )
        for name in ("weight_decay", "warmup_epochs", "policy_weight", "value_weight"):
            _least(name, getattr(self, name), 0)
        for name in ("ema_decay", "q_mix", "kl_min_coverage", "label_smoothing", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(
                    f"{name} is {getattr(self, name)}; expected 0 to 1", where=_option(name)
                )
        for name, known in _WORDS.items():
            if getattr(self, name) not in get_args(known):
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(get_args(known))}",
                    where=_option(name),
                )
        if self.mixed_precision and self.amp_dtype == "float16" and self.device == "cpu":
            raise UsageError(
                "float16 needs its losses scaled, which only a GPU does",
                where="--amp-dtype",
                hint="bfloat16",
            )


_WORDS: dict[str, object] = {
    "schedule": Schedule,
    "sampling_weights": Sampling,
    "policy_loss": PolicyLoss,
    "temperature_schedule": Annealing,
    "symmetries": Symmetries,
    "amp_dtype": HalfType,
}
FIELDS = tuple(field.name for field in fields(TrainSettings))


def _least(name: str, found: float, low: float) -> None:
    if found < low:
        raise UsageError(f"{name} is {found}; expected at least {low}", where=_option(name))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
