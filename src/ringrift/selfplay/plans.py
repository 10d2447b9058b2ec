"""What is to be played: one job of many games, each fixed before its first ply."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from ringrift.core.errors import UsageError
from ringrift.rules.spec import BoardSpec
from ringrift.selfplay.control import SearchControl, check_tau

if TYPE_CHECKING:
    from ringrift.records.analysis import Analysis
    from ringrift.records.record import GameRecord

Played: TypeAlias = "tuple[GameRecord, tuple[Analysis, ...]]"
"""A game with the search statistics of each agent that searched, in the order of `PlayJob.agents`."""

Purpose = Literal["selfplay", "match", "soak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayJob:
    """What all games of a job share; travels to worker processes.

    `agents` are the distinct specs that play; `models` maps what stands after `@` to model files.
    `explore` is the default of the searches' own noise. `analyse` keeps search statistics.
    `check_invariants` looks at the invariants of the rules after every ply: a breach aborts the
    game with its name as the reason (`steps.FAULTS`). `device` is torch's name of the place where
    convolutional nets are evaluated; all else runs on the CPU.

    In a match a choice that takes more than `late_ms` loses the game, which is then tagged
    `late:SEAT`; a game in which the agents took more than `game_s` seconds is aborted. Programs of
    others (`agents.foreign`) play in matches alone.
    """

    spec: BoardSpec
    agents: tuple[str, ...]
    max_plies: int
    models: Mapping[str, str] = field(default_factory=dict)
    purpose: Purpose = "selfplay"
    run: str | None = None
    explore: bool = True
    analyse: bool = True
    tags: tuple[str, ...] = ()
    control: SearchControl = field(default_factory=SearchControl)
    check_invariants: bool = False
    device: str = "cpu"
    late_ms: float | None = None
    game_s: float | None = None

    def __post_init__(self) -> None:
        if not self.agents:
            raise UsageError("a job without agents")
        if self.max_plies < 1:
            raise UsageError(f"max_plies is {self.max_plies}; expected at least 1")
        if self.control.resign.mode == "hard" and self.spec.players != 2:
            raise UsageError(
                f"resign is 'hard' in a game of {self.spec.players} players; expected 2",
                hint="soft",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GamePlan:
    """One game: `seats[i]` is the place in `PlayJob.agents` of who sits at seat i + 1.

    It begins at `start` (canonical text; None: the start position) with the packed moves `opening`.
    Of the choices after it the first `random_choices` are random, the next `top_k_choices` drawn
    among the agent's best (`SearchControl.opening_top_k`). `tau` is the temperature of all choices
    of this game, before any other. `tags` are added to the job's.
    """

    index: int
    seed: int
    seats: tuple[int, ...]
    opening: tuple[int, ...] = ()
    start: str | None = None
    random_choices: int = 0
    top_k_choices: int = 0
    tau: float | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("random_choices", "top_k_choices"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"game {self.index}: {name} is {getattr(self, name)}; expected >= 0"
                )
        if self.tau is not None:
            check_tau(f"game {self.index}: tau", self.tau)


def game_seed(run_seed: int, config: str, index: int) -> int:
    """Return the seed of game `index` of a run: 63 bits of a hash, so that it fits everywhere."""
    digest = hashlib.sha256(f"{run_seed} {config} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def pairs(game: Played) -> list[tuple[GameRecord, Analysis | None]]:
    """Return a game as stores and journals take it: once with each of its analyses."""
    record, analyses = game
    return [(record, analysis) for analysis in analyses] or [(record, None)]
