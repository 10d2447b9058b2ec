"""What a net gets right and wrong, position by position, and the figures over many of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ringrift.training.measuring.predicting import Predicted
    from ringrift.training.samples.table import SampleTable

BINS = 10
"""Bins of the predicted win probability in the expected calibration error."""

COLUMNS = (
    "policy",
    "entropy",
    "top1",
    "policy_weight",
    "searched",
    "value",
    "rank",
    "value_weight",
    "predicted",
    "outcome",
    "win",
    "won",
)
"""Per position: cross-entropy and entropy of the policy, whether its first choice is the target's and
the target a search's, cross-entropies of win and rank (NaN where the net predicts no ranks), value and
win probability of the mover beside what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Means over positions; None where there are no positions to take them over.

    Losses are nats: `policy_loss` against the policy target, `policy_kl` less its entropy,
    `value_loss` against the win target, `rank_loss` per seat where ranks are predicted. `value_error`
    is the mean square of predicted less final value of the mover, both in [-1, 1]; `sign_accuracy`
    the share of decided positions whose predicted sign is right; `ece` the expected calibration error
    of the mover's win probability in 10 bins, `brier` its mean square error.
    """

    positions: int
    games: int
    policy_loss: float | None = None
    policy_kl: float | None = None
    top1: float | None = None
    value_loss: float | None = None
    rank_loss: float | None = None
    value_error: float | None = None
    sign_accuracy: float | None = None
    ece: float | None = None
    brier: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object, six digits each."""
        return {name: rounded(value) for name, value in asdict(self).items()}


def rounded(value: Any) -> Any:
    """Return a number with six digits; anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def rows_of(predicted: Predicted, table: SampleTable) -> NDArray[np.float64]:
    """Return `float64[N, len(COLUMNS)]`: what a net says of positions beside what they became."""
    won = table.rank[:, :, 0]
    outcome = table.rank[:, 0] @ np.linspace(1.0, -1.0, table.spec.players)
    rank = np.full(len(table), np.nan)
    if predicted.rank is not None:
        rank = -(table.rank * predicted.rank).sum((1, 2)) / table.spec.players
    columns = {
        "policy": predicted.policy,
        "entropy": predicted.entropy,
        "top1": predicted.top1,
        "policy_weight": table.policy_weight,
        "searched": table.searched,
        "value": -(table.win * predicted.win).sum(1),
        "rank": rank,
        "value_weight": table.value_weight,
        "predicted": predicted.values[:, 0],
        "outcome": outcome,
        "win": np.exp(predicted.win[:, 0]),
        "won": won[:, 0],
    }
    return np.stack([columns[name] for name in COLUMNS], 1, dtype=np.float64, casting="unsafe")


def of_searches(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows in which only searched positions count for the policy."""
    found = rows.copy()
    found[:, COLUMNS.index("policy_weight")] *= rows[:, COLUMNS.index("searched")]
    return found


def has_searches(rows: NDArray[np.float64]) -> bool:
    """Tell whether a searched position counts for the policy."""
    return bool(of_searches(rows)[:, COLUMNS.index("policy_weight")].any())


def figures(rows: NDArray[np.float64], games: NDArray[np.int64]) -> Figures:
    """Return the means over `rows` (see `measure`), whose games are numbered by `games`: `[N]`."""
    column = {name: rows[:, i] for i, name in enumerate(COLUMNS)}
    chosen, decided = column["policy_weight"], column["value_weight"]
    outcome = column["outcome"]
    signed = decided * (outcome != 0)
    right = np.sign(column["predicted"]) == np.sign(outcome)
    policy = _mean(column["policy"], chosen)
    entropy = _mean(column["entropy"], chosen)
    return Figures(
        positions=len(rows),
        games=len(np.unique(games)),
        policy_loss=policy,
        policy_kl=None if policy is None or entropy is None else policy - entropy,
        top1=_mean(column["top1"], chosen),
        value_loss=_mean(column["value"], decided),
        rank_loss=_mean(column["rank"], decided),
        value_error=_mean((column["predicted"] - outcome) ** 2, decided),
        sign_accuracy=_mean(right.astype(np.float64), signed),
        ece=calibration_error(column["win"], column["won"], decided),
        brier=_mean((column["win"] - column["won"]) ** 2, decided),
    )


def calibration_error(
    predicted: NDArray[np.float64], happened: NDArray[np.float64], weights: NDArray[np.float64]
) -> float | None:
    """Return the expected calibration error: |mean predicted - mean happened| over equal bins.

    Probabilities `[N]`, weighted; None without weight.
    """
    total = weights.sum()
    if total <= 0:
        return None
    places = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(places, weights * (predicted - happened), BINS)
    return float(np.abs(gaps).sum() / total)


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    total = weights.sum()
    mean = float((values * weights).sum() / total) if total > 0 else None
    return None if mean is None or math.isnan(mean) else mean


def sums_by_game(
    rows: NDArray[np.float64], games: NDArray[np.int64], value: str, weight: str
) -> NDArray[np.float64]:
    """Return `float64[2, G]`: per game the weighted sum of one column, and the sum of weights."""
    values, weights = rows[:, COLUMNS.index(value)], rows[:, COLUMNS.index(weight)]
    return np.stack([np.bincount(games, values * weights), np.bincount(games, weights)])


def joined(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return rows of several batches of games as one array, without any an empty one."""
    return np.concatenate(parts) if parts else np.zeros((0, len(COLUMNS)))
