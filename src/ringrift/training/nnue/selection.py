"""Which samples a NNUE learns from, and which of their moves (training.md 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ringrift.training.engine.settings import TrainSettings
    from ringrift.training.samples.table import SampleTable


def select_samples(table: SampleTable, settings: TrainSettings, *, policy: bool) -> SampleTable:
    """Return the samples that count for a loss.

    With `policy` their targets keep the best `max_moves_per_position`, and who won weighs
    `winner_weight_boost`, or alone with `distill_from_winners`; without, the value alone counts.
    """
    if policy:
        table = weigh_winners(table, settings)
    else:
        table = replace(table, policy_weight=np.zeros_like(table.policy_weight))
    kept = (table.policy_weight > 0) | (table.value_weight > 0)
    table = table.take(np.flatnonzero(kept))
    if policy and settings.max_moves_per_position is not None:
        table = keep_best_moves(table, settings.max_moves_per_position)
    return table


def weigh_winners(table: SampleTable, settings: TrainSettings) -> SampleTable:
    """Return the table with policy weights by who won; a shared first rank is a win."""
    won = table.rank[:, 0, 0] > 0
    others = 0.0 if settings.distill_from_winners else 1.0
    factor = np.where(won, settings.winner_weight_boost, others).astype(np.float32)
    return replace(table, policy_weight=table.policy_weight * factor)


def keep_best_moves(table: SampleTable, most: int) -> SampleTable:
    """Return the table with policy targets of at most `most` moves, the likeliest, of sum 1."""
    counts = np.diff(table.policy_ptr)
    if not len(counts) or counts.max() <= most:
        return table
    sample = np.repeat(np.arange(len(table)), counts)
    order = np.lexsort((-table.policy_probs, sample))  # stable: the first of equals stays
    place = np.arange(len(order)) - np.repeat(table.policy_ptr[:-1], counts)
    kept = np.sort(order[place < most])
    sums = np.bincount(sample[kept], table.policy_probs[kept], len(table))
    pointer = np.zeros(len(table) + 1, np.int64)
    np.cumsum(np.minimum(counts, most), out=pointer[1:])
    probs = table.policy_probs[kept] / sums[sample[kept]]
    return replace(
        table,
        policy_ptr=pointer,
        policy_moves=table.policy_moves[kept],
        policy_probs=probs.astype(np.float32),
    )
