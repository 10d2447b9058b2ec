"""When progress counts as over: the plateaus in a history of decisions (`loop.md` 10).

All follows from the decisions and from one fit of all champions, so a restart finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.loop.plan import Plateau

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts, DecisionFacts

JUDGED = ("promoted", "rejected", "inconclusive")


@dataclass(frozen=True, slots=True)
class Plateaus:
    """The plateaus since the last real gain, and when the newest of all was reached."""

    standing: Plateau
    last_at: float | None


def judged(decisions: Sequence[DecisionFacts]) -> list[DecisionFacts]:
    """Return the decisions about candidates that were measured, in order."""
    return [d for d in decisions if d.kind in JUDGED and d.champion_before is not None]


def plateaus(facts: ConfigFacts, settings: Settings) -> Plateaus:
    """Count the plateaus of a configuration.

    One is a stretch of `elo_plateau_lookback` decisions over which the best champion's Elo rose by
    less than `elo_plateau_threshold`; stretches do not overlap. A promotion that gained more than
    the threshold clears the count. A rise that is unknown, for want of a rating, counts as nothing.
    """
    limit = settings.plateau_detection
    elos = {rated.model: rated.elo for rated in facts.ratings}
    champions: list[str] = []
    before: list[str] = []
    stretch = count = 0
    since: float | None = None
    last: float | None = None
    for decision in facts.decisions:
        if decision.champion not in champions:
            champions.append(decision.champion)
        if decision.kind not in JUDGED or decision.champion_before is None:
            before = before or list(champions)
            continue
        if decision.kind == "promoted" and _gain(decision, elos) > limit.elo_plateau_threshold:
            stretch = count = 0
            since, before = None, list(champions)
            continue
        stretch += 1
        if stretch < limit.elo_plateau_lookback:
            continue
        rise = _rise(before, champions, elos)
        if rise is not None and rise < limit.elo_plateau_threshold:
            count += 1
            last = decision.at
            since = decision.at if since is None else since
        stretch, before = 0, list(champions)
    return Plateaus(Plateau(count=count, since=since), last)


def _gain(decision: DecisionFacts, elos: Mapping[str, float | None]) -> float:
    """Return what a promotion gained, in the fit if both are rated there, else by its test."""
    assert decision.champion_before is not None
    new, old = elos.get(decision.champion), elos.get(decision.champion_before)
    if new is not None and old is not None:
        return new - old
    return decision.elo if decision.elo is not None else 0.0


def _rise(
    before: Sequence[str], after: Sequence[str], elos: Mapping[str, float | None]
) -> float | None:
    """Return how far the best champion's Elo rose; None where a rating that it takes is missing."""
    new = [model for model in after if model not in before]
    if not new:
        return 0.0
    known = [elo for model in before if (elo := elos.get(model)) is not None]
    gained = [elos.get(model) for model in new]
    if not known or None in gained:
        return None
    return max(0.0, max(elo for elo in gained if elo is not None) - max(known))
