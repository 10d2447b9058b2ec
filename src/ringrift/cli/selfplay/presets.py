"""The presets of `ringrift selfplay`: the defaults in which the commands differ (selfplay.md 1, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One command's defaults.

    `games`, `mode`, `seed` and `batch` stand for options that were not given; a seed of None is
    drawn. `options` are the defaults of further options. `ladder` gives `mixed` its meaning of levels;
    `light` plays the heuristic with 19 features; `rotate` moves modes through the seats.
    """

    name: str
    games: int
    mode: str
    seed: int | None = 42
    batch: int | None = None
    ladder: bool = True
    light: bool = False
    rotate: bool = False
    folder: str | None = None
    small_two_player_plies: int | None = None
    lines_always: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Any]:
        """Defaults that hold only where an option was not given, by its name."""
        found = {
            "num_games": self.games,
            "engine_mode": self.mode,
            "seed": "drawn" if self.seed is None else self.seed,
        }
        return found if self.batch is None else {**found, "games_per_worker": self.batch}


RUN = Preset(name="run", games=50, mode="heuristic-only")
SOAK = Preset(
    name="soak",
    games=100,
    mode="mixed",
    seed=None,
    lines_always=True,
    options={"gc_interval": 5, "opening_random_moves": "4", "swap_sides_probability": 0.5},
)
CANONICAL = Preset(
    name="canonical",
    games=32,
    mode="mixed",
    options={"difficulty_band": "light", "opening_random_moves": "4"},
)
HYBRID = Preset(name="hybrid", games=100, mode="heuristic-only", ladder=False, rotate=True)
GPU = Preset(
    name="gpu",
    games=1000,
    mode="heuristic-only",
    batch=256,
    light=True,
    folder="gpu",
    small_two_player_plies=500,
    options={"temperature": 1.0, "noise_scale": 0.1},
)

STRICT_SEED = 1764142864
STRICT_GAMES = 6
HEALTH_GAMES = 2
PARITY_RATE = 0.05
"""Share of games that hybrid compares with the plain rules."""
