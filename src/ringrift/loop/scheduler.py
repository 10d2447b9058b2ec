"""How the time of self-play is divided over configurations (`loop.md` 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringrift.loop.plan import Mode, Stage

LEAST_NEED = 0.1
LEAST_PART = 4.0
"""A configuration gets at least one part of this times their number."""
PAUSE_FACTOR = 10
"""New games over the trigger from which a configuration's self-play pauses."""
UNKNOWN_COST_S = 1.0

COLLECTING_TRIGGERS = {"square8_2p": 100, "square8_3p": 50, "square8_4p": 50}
OTHER_COLLECTING_TRIGGER = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a configuration's claim to time follows from.

    `used_s` are the core-seconds that its self-play took in the last 24 h, `job_s` those of a mean
    job, None where there was none; `open_jobs` are filed and not done.
    """

    config: str
    weight: float
    new_games: int
    trigger: int
    games: int = 0
    models: int = 0
    used_s: float = 0.0
    job_s: float | None = None
    open_jobs: int = 0


COLLECTING: frozenset[Stage] = frozenset(("collect", "train", "curriculum"))
"""The stages of a loop that only collects and trains."""


def collecting_triggers(configs: Sequence[str]) -> dict[str, int]:
    """Return the new games that make a training where the loop only collects and trains."""
    return {config: COLLECTING_TRIGGERS.get(config, OTHER_COLLECTING_TRIGGER) for config in configs}


def shares(claims: Sequence[Claim], mode: Mode) -> dict[str, float]:
    """Return each configuration's part of the time; they sum to 1.

    `weight x need` with `need = max(0.1, 1 - new games / trigger)`; `balance` leaves out the weight
    and `elo` the need. Nobody gets less than a quarter of an equal part.
    """
    wanted = {claim.config: _wanted(claim, mode) for claim in claims}
    least = 1.0 / (LEAST_PART * len(claims)) if claims else 0.0
    low: set[str] = set()
    while True:
        rest = sum(part for config, part in wanted.items() if config not in low)
        free = 1.0 - least * len(low)
        found = {
            config: least if config in low else free * part / rest
            for config, part in wanted.items()
        }
        below = {config for config, part in found.items() if config not in low and part < least}
        if not below:
            return found
        low |= below


def order(claims: Sequence[Claim], mode: Mode) -> list[Claim]:
    """Return who comes first where several wait for the same thing.

    `balance`: fewest games, then models; `elo`: largest weight; `both`: largest weight times new
    games over trigger. Ties keep the order of the list.
    """
    if mode == "balance":
        return sorted(claims, key=lambda claim: (claim.games, claim.models))
    if mode == "elo":
        return sorted(claims, key=lambda claim: -claim.weight)
    return sorted(claims, key=lambda claim: -claim.weight * claim.new_games / claim.trigger)


@dataclass(slots=True)
class Stride:
    """Gives out self-play jobs one by one, each to whom has had least of its share."""

    claims: Sequence[Claim]
    parts: Mapping[str, float]
    mode: Mode = "both"
    _used: dict[str, float] = field(default_factory=dict, init=False)
    _cost: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        known = [claim.job_s for claim in self.claims if claim.job_s is not None]
        usual = sum(known) / len(known) if known else UNKNOWN_COST_S
        for claim in self.claims:
            cost = usual if claim.job_s is None else claim.job_s
            self._cost[claim.config] = cost
            self._used[claim.config] = claim.used_s + claim.open_jobs * cost
        if self.mode == "balance":
            self.claims = order(self.claims, self.mode)

    def picks(self, count: int) -> Iterator[str]:
        """Yield the configurations of the next `count` jobs."""
        for _ in range(count if self.claims else 0):
            config = min(
                (claim.config for claim in self.claims),
                key=lambda name: self._used[name] / self.parts[name],
            )
            self._used[config] += self._cost[config]
            yield config


def _wanted(claim: Claim, mode: Mode) -> float:
    need = max(LEAST_NEED, 1.0 - claim.new_games / claim.trigger)
    if mode == "balance":
        return need
    return claim.weight if mode == "elo" else claim.weight * need
