"""How the choices of self-play are searched: budgets, temperature, swap, resignation, diversity.

A job carries one `SearchControl` (selfplay.md 5). What belongs to an agent is written into its spec
(`agents_of.played_spec`), so that a record names what played; the rest is drawn per game or ply from
streams of the game's seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ringrift.core.errors import UsageError

ResignMode = Literal["off", "soft", "hard"]
RESIGN_MODES: tuple[ResignMode, ...] = ("off", "soft", "hard")

LEAST_SIMS = 8
"""Neither a cheap search nor one of a decided game falls below it, unless the full one does."""
CHEAP_SHARE = 6
SOFT_SHARE = 4
"""A cheap search has a sixth of the full simulations, one of a decided game a quarter of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resignation:
    """When a game counts as decided, and what follows.

    Triggered once the same seat's value is best and above `threshold` for `plies` choices in a row.
    `soft` plays on with a quarter of the simulations, `hard` ends a two-player game: the last seat
    in value resigns. A share `audit` of the games is played unreduced and tells how often the
    trigger is wrong (`resigning`).
    """

    mode: ResignMode = "off"
    threshold: float = 0.95
    plies: int = 6
    audit: float = 0.1

    def __post_init__(self) -> None:
        if self.mode not in RESIGN_MODES:
            raise UsageError(f"resign is {self.mode!r}; expected {', '.join(RESIGN_MODES)}")
        _between("resign threshold", self.threshold, 0, 1)
        _between("resign audit", self.audit, 0, 1)
        if self.plies < 1:
            raise UsageError(f"resign plies is {self.plies}; expected at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchControl:
    """Control of the searches of one job.

    A choice is searched in full with probability `full_fraction`, else cheaply: `cheap_sims`
    simulations (None: a sixth of the full ones, at least 8), without noise at the root of `mcts`.
    `full_sims` replaces the simulations of the agents' specs.

    `temperature` names a preset, `temperature_value` is fixed; they draw the moves of searches,
    policies and, the fixed one, of the heuristic. `temperature_scale_board` stretches presets on
    large boards. `noise_scale` is the temperature of the heuristic where none is given: noise of
    that scale on its values. `weight_noise` multiplies each of its weights by 1 + U(-a, a), drawn
    per game and seat.

    The choices of `GamePlan.top_k_choices` are drawn among the agent's best `opening_top_k` moves.
    A swap offer is accepted with `swap_probability` and else declined; None: the agent decides.
    """

    full_fraction: float = 1.0
    full_sims: int | None = None
    cheap_sims: int | None = None
    opening_top_k: int = 0
    temperature: str | None = None
    temperature_value: float | None = None
    temperature_scale_board: bool = False
    resign: Resignation = field(default_factory=Resignation)
    swap_probability: float | None = None
    weight_noise: float = 0.0
    noise_scale: float = 0.0

    def __post_init__(self) -> None:
        _between("full_fraction", self.full_fraction, 0, 1)
        for name in ("full_sims", "cheap_sims"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        if self.opening_top_k < 0:
            raise UsageError(f"opening_top_k is {self.opening_top_k}; expected at least 0")
        if self.temperature is not None and self.temperature_value is not None:
            raise UsageError("temperature and temperature_value exclude each other")
        if self.temperature is not None:
            from ringrift.agents.temperature import create_scheduler

            create_scheduler(self.temperature)
        if self.temperature_value is not None:
            check_tau("temperature_value", self.temperature_value)
        if self.swap_probability is not None:
            _between("swap_probability", self.swap_probability, 0, 1)
        _between("weight_noise", self.weight_noise, 0, 1)
        _between("noise_scale", self.noise_scale, 0, 100)

    def cheap_of(self, sims: int) -> int:
        """Return the simulations of a cheap search where a full one has `sims`."""
        cheap = max(LEAST_SIMS, sims // CHEAP_SHARE) if self.cheap_sims is None else self.cheap_sims
        return min(cheap, sims)


def soft_of(sims: int) -> int:
    """Return the simulations left in a decided game where a choice else had `sims`."""
    return min(max(LEAST_SIMS, sims // SOFT_SHARE), sims)


def check_tau(name: str, value: float) -> None:
    """Raise `UsageError` for a temperature that no agent takes."""
    if not 0 <= value <= 10:
        raise UsageError(f"{name} is {value}; expected a number from 0 to 10")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise UsageError(f"{name} is {value}; expected a number from {low} to {high}")
