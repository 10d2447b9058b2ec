"""What the Elo of the newest models says to their training (`evaluation.md` 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NEW_BEST = 10.0
DECLINE = 20.0
STAGES = (1600.0, 1700.0, 1800.0)
"""Best Elo above which a stage of the curriculum is recommended."""

_EVEN, _STAGNATING, _DECLINING = (1.0, 1.0, 0.0), (1.5, 0.8, 0.1), (2.0, 0.5, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFeedback:
    """Factors for the next training; Elo values are None where fewer than two models are rated."""

    board_type: str
    num_players: int
    best_elo: float | None
    recent_elo_delta: float | None
    elo_stagnating: bool
    elo_declining: bool
    epochs_multiplier: float
    lr_multiplier: float
    exploration_boost: float
    recommended_curriculum_stage: int


def feedback(
    board_type: str, num_players: int, elos: Sequence[float], *, lookback: int = 5
) -> TrainingFeedback:
    """Judge the Elo of models, oldest first, by the last `lookback` of them.

    Stagnating: none of them is a new best by at least 10. Declining: the last is at least 20 below
    the first; it wins over stagnating.
    """
    recent = list(elos)[-max(2, lookback) :]
    stagnating = declining = False
    delta = None
    if len(recent) >= 2:
        delta = recent[-1] - recent[0]
        before = max(elos[: len(elos) - len(recent) + 1])
        declining = delta <= -DECLINE
        stagnating = max(recent[1:]) < before + NEW_BEST
    epochs, rate, exploration = _DECLINING if declining else _STAGNATING if stagnating else _EVEN
    best = max(elos, default=None)
    return TrainingFeedback(
        board_type=board_type,
        num_players=num_players,
        best_elo=best,
        recent_elo_delta=None if delta is None else round(delta, 1),
        elo_stagnating=stagnating,
        elo_declining=declining,
        epochs_multiplier=epochs,
        lr_multiplier=rate,
        exploration_boost=exploration,
        recommended_curriculum_stage=sum(best is not None and best > least for least in STAGES),
    )
