"""The curriculum's weights: configurations that lag behind get more self-play (`loop.md` 4).

Recomputed from the decisions and one fit of the champions, never stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts

ELO_SCALE = 200.0
MOST_STEPS = 120
"""Steps that are looked back on; 0.7 to this power is below 1e-18."""


def weights(facts: Sequence[ConfigFacts], settings: Settings, now: float) -> dict[str, float]:
    """Return the weight of each configuration.

    Every `rebalance_interval_seconds` since the first decision of all: `raw = 2 ** ((mean - elo) /
    200)` of the champion of that time, inside `min_weight_multiplier` and `max_weight_multiplier`,
    mixed with the weight before by `ema_alpha`. A champion with fewer than `min_games_for_weight`
    rated games has the largest weight and is left out of the mean. Before the first step: 1.
    """
    curriculum = settings.curriculum
    found = {fact.config: 1.0 for fact in facts}
    begin = min((fact.decisions[0].at for fact in facts if fact.decisions), default=None)
    if begin is None or not curriculum.adaptive:
        return found
    low, high = curriculum.min_weight_multiplier, curriculum.max_weight_multiplier
    steps = int((now - begin) // curriculum.rebalance_interval_seconds)
    tracks = {fact.config: _Track(fact, curriculum.min_games_for_weight) for fact in facts}
    for step in range(max(1, steps - MOST_STEPS), steps + 1):
        at = begin + step * curriculum.rebalance_interval_seconds
        elos = {config: track.elo(at) for config, track in tracks.items()}
        known = [elo for elo in elos.values() if elo is not None]
        for config, elo in elos.items():
            if elo is None:
                found[config] = high
                continue
            raw = 2 ** ((sum(known) / len(known) - elo) / ELO_SCALE)
            raw = min(max(raw, low), high)
            found[config] = curriculum.ema_alpha * raw + (1 - curriculum.ema_alpha) * found[config]
    return found


class _Track:
    """The ratings of one configuration's champions over time."""

    def __init__(self, facts: ConfigFacts, least_games: int) -> None:
        rated = {one.model: one.elo for one in facts.ratings if one.games >= least_games}
        self._times = [decision.at for decision in facts.decisions]
        self._elos = [rated.get(decision.champion) for decision in facts.decisions]

    def elo(self, at: float) -> float | None:
        place = bisect_right(self._times, at)
        return self._elos[place - 1] if place else None
