"""Draw a move from a policy by a temperature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringrift.agents.protocol import Rngs
from ringrift.agents.temperature import LOWEST, TemperatureScheduler
from ringrift.core.errors import UsageError
from ringrift.rules.layout import CUR, PLY

Temperature = Callable[[int, int, float, int], float]
"""(ply, legal moves, entropy of the policy in nats, game seed) -> temperature."""

DRAW = 6 << 8
"""Purpose, beside that of the agent, of drawn moves."""


def drawn(
    temperature: Temperature,
    policy: NDArray[np.float64],
    best: int,
    state: Any,
    seed: int,
    rng: Rngs,
) -> int:
    """Return a place in `policy`: float64[legal], drawn by its probabilities to the power 1 / tau.

    `best` is taken where tau is at most `temperature.LOWEST`. What has probability 0 is never drawn.
    """
    ply, seat = int(state["misc"][PLY]), int(state["misc"][CUR])
    live = np.flatnonzero(policy > 0)
    logs = np.log(policy[live] / policy[live].sum())
    entropy = float(-(np.exp(logs) * logs).sum())
    tau = temperature(ply, len(policy), entropy, seed)
    if not tau > LOWEST:
        return best
    weights = np.exp((logs - logs.max()) / tau)
    bounds = np.cumsum(weights)
    left = Rngs(rng.purpose | DRAW).uniform(seed, ply, seat) * float(bounds[-1])
    at = min(int(np.searchsorted(bounds, left, side="left")), len(live) - 1)
    return int(live[at])


def constant(tau: float) -> Temperature:
    """Return the temperature that is always `tau`."""
    if not (math.isfinite(tau) and tau >= 0):
        raise UsageError(f"tau is {tau}; expected a number of at least 0")
    return lambda _ply, _legal, _entropy, _seed: tau


def scheduled(scheduler: TemperatureScheduler) -> Temperature:
    """Return the temperature of a schedule."""

    def temperature(ply: int, legal: int, entropy: float, seed: int) -> float:
        state = {"legal_count": legal, "policy_entropy": entropy}
        return scheduler.at(ply, seed=seed, game_state=state)

    return temperature
