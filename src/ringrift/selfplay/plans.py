"""What is to be played: one job of many games, each fixed before its first ply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ringrift.core.errors import UsageError
from ringrift.rules.spec import BoardSpec

Purpose = Literal["selfplay", "match", "soak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayJob:
    """What all games of a job share; travels to worker processes.

    `agents` are the distinct specs that play; `models` maps what stands after `@` to model files.
    `explore` is the default of the searches' own noise. A choice is searched in full with
    probability `full_fraction`, else with `cheap_sims` simulations (selfplay.md 5). `analyse` keeps
    search statistics, of games whose seats are all played by one agent.
    """

    spec: BoardSpec
    agents: tuple[str, ...]
    max_plies: int
    models: Mapping[str, str] = field(default_factory=dict)
    purpose: Purpose = "selfplay"
    run: str | None = None
    explore: bool = True
    full_fraction: float = 1.0
    cheap_sims: int | None = None
    analyse: bool = True
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.agents:
            raise UsageError("a job without agents")
        if self.spec.swap_rule:
            raise UsageError("games with the pie rule cannot be played yet", hint="swap_rule off")
        if self.max_plies < 1:
            raise UsageError(f"max_plies is {self.max_plies}; expected at least 1")
        if not 0 <= self.full_fraction <= 1:
            raise UsageError(
                f"full_fraction is {self.full_fraction}; expected a number from 0 to 1"
            )
        if self.full_fraction < 1 and (self.cheap_sims is None or self.cheap_sims < 1):
            raise UsageError(f"cheap_sims is {self.cheap_sims}; expected at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GamePlan:
    """One game: `seats[i]` is the place in `PlayJob.agents` of who sits at seat i + 1.

    `opening` are packed moves played first, then the first `random_choices` choices are random.
    """

    index: int
    seed: int
    seats: tuple[int, ...]
    opening: tuple[int, ...] = ()
    random_choices: int = 0


def game_seed(run_seed: int, config: str, index: int) -> int:
    """Return the seed of game `index` of a run: 63 bits of a hash, so that it fits everywhere."""
    digest = hashlib.sha256(f"{run_seed} {config} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
