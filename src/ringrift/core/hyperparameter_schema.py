"""The schema, defaults and text of `config/hyperparameters.json` (`core.md` 12).

A default stands here once; the shipped file is the output of `shipped_hyperparameters`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ringrift.core.settings import CONFIGURATIONS

Confidence = Literal["none", "low", "medium", "high"]
CONFIDENCES: tuple[Confidence, ...] = ("none", "low", "medium", "high")

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Part(BaseModel):
    """Hold one object of the file; frozen, no unknown keys, no conversions, no infinite numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )


class Hyperparameters(_Part):
    """Hold the hyper-parameters of one training; `model_fields_set` are those that were given."""

    learning_rate: Positive = 3e-4
    batch_size: Count = 256
    hidden_dim: Count = 256
    num_hidden_layers: Annotated[int, Field(ge=2, le=6)] = 2
    weight_decay: NotNegative = 1e-4
    dropout: Share = 0.1
    epochs: Count = 50
    early_stopping_patience: Count = 15
    warmup_epochs: CountOrZero = 5
    value_weight: NotNegative = 1.0
    policy_weight: NotNegative = 1.0
    sampling_weights: Literal[
        "uniform", "late_game", "phase_emphasis", "combined", "victory_type"
    ] = "victory_type"
    lr_scheduler: Literal["warmup_cosine", "cosine", "cosine_warmup", "plateau"] = "cosine"

    def given(self) -> dict[str, Any]:
        """Return the values that were given, in the order of the fields."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in self.model_fields_set
        }


class Range(_Part):
    """Describe the values a study tries for one hyper-parameter, ends included."""

    type: Literal["float", "int", "power_of_two", "choice"]
    low: float | int | None = None
    high: Annotated[float | int | None, Field(validate_default=True)] = None
    log: bool = False
    choices: Annotated[tuple[int, ...] | None, Field(strict=False, validate_default=True)] = None

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("low")
        if info.data.get("type") == "choice" or "low" not in info.data:
            return high
        if high is None or low is None or low >= high:
            raise ValueError(f"low below high, not {low} and {high}")
        return high

    @field_validator("log")
    @classmethod
    def _positive(cls, log: bool, info: ValidationInfo) -> bool:
        low = info.data.get("low")
        if log and low is not None and low <= 0:
            raise ValueError(f"false, since low is {low}")
        return log

    @field_validator("choices")
    @classmethod
    def _some(cls, choices: tuple[int, ...] | None, info: ValidationInfo) -> Any:
        if info.data.get("type") == "choice" and not choices:
            raise ValueError("at least one choice")
        return choices

    def refuses(self, value: float) -> str | None:
        """Return what is expected where `value` is not of this range's type, else `None`."""
        if self.type == "power_of_two" and not _is_power_of_two(value):
            return "a power of two"
        if self.choices and value not in self.choices:
            return f"one of {', '.join(str(choice) for choice in self.choices)}"
        return None

    def contains(self, value: float) -> bool:
        """Say whether a study would try `value`."""
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def as_text(self) -> str:
        """Return the range as people read it."""
        return f"{self.low:g}..{self.high:g}" if not self.choices else str(self.choices)


def _searched(**fields: Any) -> Any:
    # Made at first use: an instance in the class body would cost every import its validators.
    return Field(default_factory=lambda: Range(**fields))


class SearchSpace(_Part):
    """Name what a study searches; powers of two and choices also bind the values of the file."""

    learning_rate: Range = _searched(type="float", low=1e-5, high=1e-2, log=True)
    batch_size: Range = _searched(type="power_of_two", low=128, high=2048)
    hidden_dim: Range = _searched(type="choice", choices=(128, 256, 384, 512, 768))
    num_hidden_layers: Range = _searched(type="int", low=2, high=6)
    weight_decay: Range = _searched(type="float", low=1e-6, high=1e-2, log=True)
    dropout: Range = _searched(type="float", low=0.0, high=0.5)
    value_weight: Range = _searched(type="float", low=0.5, high=2.5)
    policy_weight: Range = _searched(type="float", low=0.5, high=2.5)


class StudyEvaluation(_Part):
    """Say how a study measures one trial, and what its number of trials is worth."""

    epochs_per_trial: Count = 10
    validation_split: Annotated[float, Field(gt=0, lt=1)] = 0.15
    games_per_trial: CountOrZero = 20
    medium_confidence_trials: Count = 30
    high_confidence_trials: Count = 100

    def confidence(self, trials: int) -> Confidence:
        """Return how far a set found in so many trials is to be trusted."""
        if trials <= 0:
            return "none"
        if trials >= self.high_confidence_trials:
            return "high"
        return "medium" if trials >= self.medium_confidence_trials else "low"


class TuningConfig(_Part):
    """Hold the search space and how trials are measured."""

    search_space: SearchSpace = Field(default_factory=SearchSpace)
    evaluation: StudyEvaluation = Field(default_factory=StudyEvaluation)


class ConfigurationEntry(_Part):
    """Hold what is known of one configuration; untuned until a study writes it."""

    optimized: bool = False
    confidence: Confidence = "none"
    tuning_method: str | None = None
    last_tuned: str | None = None
    tuning_trials: CountOrZero = 0
    hyperparameters: Annotated[Hyperparameters | None, Field(validate_default=True)] = None
    notes: str = ""
    best_val_loss: float | None = None
    best_elo_score: float | None = None

    @field_validator("confidence")
    @classmethod
    def _of_tuned(cls, confidence: Confidence, info: ValidationInfo) -> Confidence:
        if confidence != "none" and info.data.get("optimized") is False:
            raise ValueError("none, since optimized is false")
        return confidence

    @field_validator("hyperparameters")
    @classmethod
    def _there(cls, values: Hyperparameters | None, info: ValidationInfo) -> Any:
        if values is None and info.data.get("optimized") is True:
            raise ValueError("the tuned values, since optimized is true")
        return values

    @field_validator("last_tuned")
    @classmethod
    def _time(cls, text: str | None) -> str | None:
        return _checked_time(text)


class HyperparameterFile(_Part):
    """Hold the whole content of `hyperparameters.json`."""

    version: Annotated[str, Field(pattern=r"^1(\.\d+){0,2}$")] = "1"
    description: str = ""
    last_updated: str | None = None
    defaults: Hyperparameters = Field(default_factory=Hyperparameters)
    configs: dict[str, ConfigurationEntry] = Field(default_factory=dict)
    tuning_config: TuningConfig = Field(default_factory=TuningConfig)

    @field_validator("last_updated")
    @classmethod
    def _time(cls, text: str | None) -> str | None:
        return _checked_time(text)


def shipped_hyperparameters() -> HyperparameterFile:
    """Return the content of the shipped file: the defaults, and all configurations untuned."""
    return HyperparameterFile(
        description="Hyper-parameters of training: defaults, and what studies found for each "
        "configuration (null = untuned).",
        defaults=Hyperparameters(**Hyperparameters().model_dump()),
        configs={name: ConfigurationEntry() for name in CONFIGURATIONS},
    )


def as_json_text(content: HyperparameterFile) -> str:
    """Return the file's text; of each set of hyper-parameters only what was given."""
    tree = content.model_dump(mode="json", exclude={"defaults", "configs", "tuning_config"})
    tree["defaults"] = content.defaults.given()
    tree["configs"] = {name: _entry_tree(entry) for name, entry in content.configs.items()}
    tree["tuning_config"] = {
        "search_space": {
            name: _range_tree(getattr(content.tuning_config.search_space, name))
            for name in SearchSpace.model_fields
        },
        "evaluation": content.tuning_config.evaluation.model_dump(mode="json"),
    }
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _entry_tree(entry: ConfigurationEntry) -> dict[str, Any]:
    tree = entry.model_dump(mode="json")
    if entry.hyperparameters is not None:
        tree["hyperparameters"] = entry.hyperparameters.given()
    return tree


def _range_tree(searched: Range) -> dict[str, Any]:
    tree = searched.model_dump(mode="json", exclude_none=True)
    if searched.type != "float":
        del tree["log"]
    return tree


def _is_power_of_two(value: float) -> bool:
    return value >= 1 and value == int(value) and int(value).bit_count() == 1


def _checked_time(text: str | None) -> str | None:
    if text is not None:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("an ISO 8601 time such as 2025-06-30T12:00:00Z") from None
    return text
