"""Weighted means of validation, and where a net places the best move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

TOP = (1, 3, 5)
"""Of how many first moves `policy_top...` speaks."""


class WeightedSums:
    """Weighted sums by name, in double precision; they stay on their device until the end."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, name: str, values: Tensor, weights: Tensor) -> None:
        """Add the values of a batch, `[B]` each."""
        weights = weights.double()
        total, weight = (values.double() * weights).sum(), weights.sum()
        if name in self._found:
            before = self._found[name]
            total, weight = before[0] + total, before[1] + weight
        self._found[name] = total, weight

    def add_places(self, place: Tensor, counted: Tensor) -> None:
        """Add what `place_of_best` says of those samples that are `counted`, as `policy_top...`."""
        for top in TOP:
            self.add(f"policy_top{top}", (place < top).float(), counted.float())

    def means(self) -> dict[str, float | None]:
        """Return the mean of each name, None where nothing has weight."""
        return {
            name: float(total / weight) if weight > 0 else None
            for name, (total, weight) in self._found.items()
        }


def place_of_best(logs: Tensor, target: Tensor, legal: Tensor) -> Tensor:
    """Return the place that the net gives the target's best move, `int64[B]`, 0 for its first.

    All are `[B, M]`. Of several that are best, the one that the net holds highest; of moves that the
    net holds equal, the first of the legal set goes first.
    """
    best = target == target.amax(1, keepdim=True)
    own, chosen = logs.masked_fill(~best, -torch.inf).max(1, keepdim=True)
    number = torch.arange(logs.shape[1], device=logs.device)
    before = (logs > own) | ((logs == own) & (number < chosen))
    return (before & legal).sum(1)
