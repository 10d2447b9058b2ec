"""Say what a heuristic score is made of: the contribution of each feature (`agents.md` 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringrift.agents import evaluation
from ringrift.agents.evaluation import FEATURES
from ringrift.agents.listing import scratch
from ringrift.agents.weights import Profile, default_profile
from ringrift.core.errors import UsageError
from ringrift.rules import Position
from ringrift.rules.geometry import board_tables


def features(position: Position) -> NDArray[np.float64]:
    """Return the features of every seat as they are counted: `float64[players, 27]`."""
    found = np.zeros((1, 5, len(FEATURES)))
    states = position.record().reshape(1)
    evaluation.features_of(states, 1, board_tables(position.spec), scratch(), found)
    return found[0, 1 : position.spec.players + 1]


def breakdown(
    position: Position, seat: int, profile: Profile | None = None, *, full: bool = True
) -> dict[str, float]:
    """Return what each feature adds to the score of `seat`; the sum is the score.

    `full` False takes the 19 light features. Raises `UsageError` for a seat that does not play, and
    for a finished game, whose value is that of its ranking.
    """
    if not 1 <= seat <= position.spec.players:
        raise UsageError(f"seat {seat}; expected 1 to {position.spec.players}")
    if position.is_over:
        raise UsageError("the game is over: its value is that of its ranking, not of features")
    weights = _profile(position, profile).effective(full=full)
    products = features(position)[seat - 1, : len(weights)] * weights
    return dict(zip(FEATURES, products.tolist(), strict=False))


def values(position: Position, profile: Profile | None = None) -> tuple[float, ...]:
    """Return the value of every seat, of the ranking once the game is over."""
    profile = _profile(position, profile)
    found = np.zeros((1, position.spec.players))
    evaluation.evaluate_all(
        position.record().reshape(1), 1, board_tables(position.spec), scratch(),
        profile.effective(), profile.gain, found,
    )  # fmt: skip
    return tuple(found[0].tolist())


def _profile(position: Position, profile: Profile | None) -> Profile:
    config = position.spec.config
    if profile is None:
        return default_profile(config)
    if profile.config != config:
        raise UsageError(f"weights of {profile.config} for a position of {config}")
    return profile
