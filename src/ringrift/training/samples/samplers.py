"""Weights that let some samples count more than others (training.md 5, Samplers)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ringrift.rules import layout as lay

if TYPE_CHECKING:
    from ringrift.training.engine.settings import Sampling
    from ringrift.training.samples.table import SampleTable

LEAST, MOST = 0.2, 5.0
"""Bounds of a weight."""

EMPHASIS = {
    lay.PLACEMENT: 0.5,
    lay.MOVEMENT: 1.0,
    lay.CAPTURE: 1.0,
    lay.CHAIN: 1.0,
    lay.LINES: 1.5,
    lay.TERRITORY: 2.0,
    lay.FORCED: 2.0,
}
"""What a sample weighs by its phase."""


def weighted(table: SampleTable, sampling: Sampling) -> SampleTable:
    """Return the table with its weights times those of `sample_weights`."""
    policy, value = sample_weights(table, sampling)
    return replace(
        table,
        policy_weight=table.policy_weight * policy,
        value_weight=table.value_weight * value,
    )


def sample_weights(
    table: SampleTable, sampling: Sampling
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the factors of the policy and of the value losses, `float32[N]` twice.

    Each is between 0.2 and 5, with mean 1 over the samples that count for its loss. How a game was
    won is known only at its end, so `victory_type` leaves the value losses alone: it would bias the
    win probability.
    """
    ones = np.ones(len(table), np.float32)
    if sampling == "uniform" or not len(table):
        return ones, ones
    policy, value = table.policy_weight > 0, table.value_weight > 0
    if sampling == "victory_type":
        return _bounded(_rarity(table.victory_type, policy), policy), ones
    raw = np.ones(len(table))
    if sampling in ("late_game", "combined"):
        raw *= (table.ply / np.maximum(table.total_plies, 1)) ** 2
    if sampling in ("phase_emphasis", "combined"):
        emphasis = np.array([EMPHASIS[phase] for phase in range(len(EMPHASIS))])
        raw *= emphasis[table.phase]
    return _bounded(raw, policy), _bounded(raw, value)


def _rarity(kinds: NDArray[np.int8], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the inverse frequency of each sample's kind among those that count."""
    frequency = np.bincount(kinds[counted], minlength=int(kinds.max()) + 1)
    rarity: NDArray[np.float64] = 1.0 / np.maximum(frequency[kinds], 1)
    return rarity


def _bounded(raw: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Scale weights so that, cut to the bounds, they have mean 1 where `counted`.

    The mean of the cut weights rises with the scale, from 0.2 to 5 where no weight is 0; with so
    many zeros that it never comes to 1 the others have 5.
    """
    found = raw[counted]
    if not len(found) or not found.any():
        return np.ones(len(raw), np.float32)
    low, high = 0.0, MOST / found[found > 0].min()
    for _ in range(100):
        middle = 0.5 * (low + high)
        if np.clip(middle * found, LEAST, MOST).mean() < 1.0:
            low = middle
        else:
            high = middle
    bounded: NDArray[np.float32] = np.clip(high * raw, LEAST, MOST).astype(np.float32)
    return bounded
