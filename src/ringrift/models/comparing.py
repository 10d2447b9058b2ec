"""How two models differ: fields of their cards, and distances between tensors of one name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ringrift.nets.container import Card, read_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LEFT_OUT = ("probe.outputs", "architecture.shapes")
"""Card fields that follow from the tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """A card field that two models have with other values; None where one has no such field."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDistance:
    """Euclidean distance of two tensors, its share of the first's norm, greatest difference.

    `share` is None where the first is all zero; `cosine` is that of the angle between them.
    """

    name: str
    shape: tuple[int, ...]
    distance: float
    share: float | None
    largest: float
    cosine: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two models beside each other; `distance` and `share` are over all common tensors."""

    first: str
    second: str
    fields: tuple[FieldDifference, ...]
    tensors: tuple[TensorDistance, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    other_shape: tuple[str, ...]
    distance: float
    share: float | None


def compare(first: Path, second: Path) -> Comparison:
    """Compare two model files; raises `ModelError` for one that is not whole."""
    first_id, first_card, a = read_model(first)
    second_id, second_card, b = read_model(second)
    common = sorted(a.keys() & b.keys())
    other = tuple(name for name in common if a[name].shape != b[name].shape)
    found = [_distance(name, a[name], b[name]) for name in common if name not in other]
    squared = sum(tensor.distance**2 for tensor in found)
    norm = sum(_norm(a[tensor.name]) ** 2 for tensor in found)
    return Comparison(
        first=first_id,
        second=second_id,
        fields=tuple(_differing(first_card, second_card)),
        tensors=tuple(found),
        only_first=tuple(sorted(a.keys() - b.keys())),
        only_second=tuple(sorted(b.keys() - a.keys())),
        other_shape=other,
        distance=math.sqrt(squared),
        share=math.sqrt(squared / norm) if norm else None,
    )


def _distance(name: str, a: NDArray[Any], b: NDArray[Any]) -> TensorDistance:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    apart, length, other = _norm(x - y), _norm(x), _norm(y)
    return TensorDistance(
        name=name,
        shape=a.shape,
        distance=apart,
        share=apart / length if length else None,
        largest=float(np.abs(x - y).max(initial=0.0)),
        cosine=float(x @ y) / (length * other) if length and other else None,
    )


def _norm(x: NDArray[Any]) -> float:
    return float(np.linalg.norm(x.astype(np.float64).ravel()))


def _differing(first: Card, second: Card) -> Iterator[FieldDifference]:
    a, b = dict(_flat("", first)), dict(_flat("", second))
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name) and not name.startswith(LEFT_OUT):
            yield FieldDifference(name=name, first=a.get(name), second=b.get(name))


def _flat(prefix: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a card with dotted names; lists are leaves."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), value)
    else:
        yield prefix, tree
