"""How far back a dataset reaches (data.md 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ringrift.data.dataset.options import WINDOW_ALL, WINDOW_AUTO
from ringrift.data.dataset.plan import Plan

GROWTH, EXPONENT = 0.4, 0.65


def window_samples(available: int, base: int) -> int:
    """Return W of data.md 4 for T = `available` samples and c = `base`; at most `available`."""
    wide: float = base * (1 + GROWTH * ((available / base) ** EXPONENT - 1) / EXPONENT)
    return min(available, max(1, round(wide)))


def cut_to_window(plan: Plan, samples: Mapping[str, int]) -> Plan:
    """Keep the newest games until the window is full; `samples` are those of each game."""
    window = plan.options.window
    if window == WINDOW_ALL:
        return plan
    available = sum(samples[identity] for identity in plan.ids)
    if window == WINDOW_AUTO:
        wanted = window_samples(available, plan.options.window_base) if available else 0
    else:
        wanted = min(available, int(window))
    kept: set[str] = set()
    taken = 0
    for game in sorted(plan.games, key=lambda game: game.age):
        if taken >= wanted:
            break
        taken += samples[game.id]
        kept.add(game.id)
    left_out = len(plan.games) - len(kept)
    if not left_out:
        return plan
    excluded = dict(sorted({**plan.excluded, "window": left_out}.items()))
    games = tuple(game for game in plan.games if game.id in kept)
    return replace(plan, games=games, excluded=excluded)
