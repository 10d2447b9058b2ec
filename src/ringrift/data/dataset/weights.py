"""Sample weights: recency, quality, surprise, decided games; mean 1 on each side (data.md 4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringrift.data.dataset.options import ExportOptions
from ringrift.data.dataset.plan import PlannedGame


@dataclass(frozen=True, slots=True, kw_only=True)
class GameWeights:
    """What the weights of a game's samples are made of: `base`, `prior_kl` (NaN unknown), `[n]`."""

    game: PlannedGame
    base: NDArray[np.float32]
    prior_kl: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Gives each sample its weight once the whole dataset is known."""

    options: ExportOptions
    mean_kl: float
    scale: Mapping[str, float]

    def of(self, found: GameWeights) -> NDArray[np.float32]:
        """Return the weights of a game's samples, `float32[n]`."""
        raw = _raw(found, self.options, self.mean_kl)
        return (raw * self.scale[found.game.split]).astype(np.float32)


def weigh(games: Sequence[GameWeights], options: ExportOptions) -> Weights:
    """Measure what normalisation needs; sums are exact, so their order does not matter."""
    known = [_known(found.prior_kl) for found in games]
    total_kl = math.fsum(math.fsum(kl.tolist()) for kl in known)
    count = sum(len(kl) for kl in known)
    mean_kl = total_kl / count if count else 0.0
    scale = {}
    for split in {found.game.split for found in games}:
        side = [found for found in games if found.game.split == split]
        total = math.fsum(_sums(side, options, mean_kl))
        samples = sum(len(found.base) for found in side)
        scale[split] = samples / total if total > 0 else 1.0
    return Weights(options=options, mean_kl=mean_kl, scale=scale)


def _sums(side: Sequence[GameWeights], options: ExportOptions, mean_kl: float) -> Iterable[float]:
    return (math.fsum(_raw(found, options, mean_kl).tolist()) for found in side)


def _known(prior_kl: NDArray[np.float32]) -> NDArray[np.float64]:
    return prior_kl[~np.isnan(prior_kl)].astype(np.float64)


def _raw(found: GameWeights, options: ExportOptions, mean_kl: float) -> NDArray[np.float64]:
    """Return weights before normalisation, `float64[n]`."""
    weights = found.base.astype(np.float64) * found.game.weight
    if options.decay_half_life is not None:
        weights *= 0.5 ** (found.game.age / options.decay_half_life)
    share = options.surprise_weight
    if share > 0 and mean_kl > 0:
        kl = np.maximum(found.prior_kl.astype(np.float64), 0.0)
        surprise = (1.0 - share) + share * kl / mean_kl
        weights *= np.where(np.isnan(kl), 1.0, surprise)
    return weights
