"""What a study searches for each kind of net, as distributions of Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from ringrift.core.hyperparameters import Range, SearchSpace

COMMON = ("learning_rate", "batch_size", "weight_decay", "value_weight", "policy_weight")
OF_NNUE = ("hidden_dim", "num_hidden_layers")
SEARCHED: Mapping[str, tuple[str, ...]] = {
    "nn": COMMON,
    "nnue": ("learning_rate", "batch_size", "weight_decay", *OF_NNUE),
    "nnue-policy": (*COMMON, *OF_NNUE, "dropout"),
}
"""The hyper-parameters that a kind of net has."""

POWER = "log2_"
"""Powers of two are searched by their exponent, under this name."""

Distributions = dict[str, BaseDistribution]


def searched_of(kind: str) -> tuple[str, ...]:
    """Return the names that a study of a kind searches; raises `UsageError` for an unknown one."""
    if kind not in SEARCHED:
        raise UsageError(
            f"found {kind!r}; expected one of {', '.join(SEARCHED)}", where="--kind", hint="nn"
        )
    return SEARCHED[kind]


def distributions(space: SearchSpace, names: Iterable[str]) -> Distributions:
    """Return the distribution of each searched value."""
    found: Distributions = {}
    for name in names:
        searched: Range = getattr(space, name)
        if searched.type == "power_of_two":
            found[POWER + name] = IntDistribution(
                int(math.log2(_end(searched.low))), int(math.log2(_end(searched.high)))
            )
        else:
            found[name] = _distribution(searched)
    return found


def _distribution(searched: Range) -> BaseDistribution:
    if searched.choices is not None:
        return CategoricalDistribution(searched.choices)
    low, high = _end(searched.low), _end(searched.high)
    if searched.type == "int":
        return IntDistribution(int(low), int(high), log=searched.log)
    return FloatDistribution(low, high, log=searched.log)


def _end(value: float | None) -> float:
    if value is None:
        raise UsageError("a range without an end", where="tuning_config.search_space")
    return value


def as_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyper-parameters by name from what Optuna proposes."""
    return {
        name.removeprefix(POWER): 1 << value if name.startswith(POWER) else value
        for name, value in params.items()
    }


def as_params(values: Mapping[str, Any], among: Distributions) -> dict[str, Any] | None:
    """Return what Optuna would have proposed for `values`; None where one lies outside."""
    params: dict[str, Any] = {}
    for name, distribution in among.items():
        value = values[name.removeprefix(POWER)]
        if name.startswith(POWER):
            value = int(math.log2(value))
        if not _holds(distribution, value):
            return None
        params[name] = value
    return params


def _holds(distribution: BaseDistribution, value: float) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return distribution.low <= value <= distribution.high
    return False
