"""Which exploration self-play uses, and why (`loop.md` 4).

The preset stands in the name of a run, so what was in force before is read from the games' runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringrift.core.ids import SHORT_DIGITS, short

if TYPE_CHECKING:
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.plan import Signal

DEFAULT = "default"
EXPLORING = "aggressive_exploration"
NEXT = {DEFAULT: "alphazero", EXPLORING: "conservative"}
"""What follows a preset whose games are too long, in the order of `agents.md` 8."""
LEAST_OPENINGS = 0.50
PROMOTIONS = 2
"""Promotions after which exploration ends."""
HASH_DIGITS = 8


def preset_of(
    facts: ConfigFacts, found: Sequence[Signal], plateau_at: float | None
) -> tuple[str, str]:
    """Return the preset in force and its reason, empty for the default.

    `plateau_at` is when the newest plateau was reached.
    """
    preset, reason = _exploration(facts, plateau_at)
    too_long = next((s for s in found if s.kind == "ADJUST_TEMPERATURE"), None)
    if too_long is not None:
        return NEXT[preset], "; ".join(filter(None, (reason, too_long.reason)))
    return preset, reason


def run_name(config: str, model: str, settings_hash: str, preset: str) -> str:
    """Return the name of the self-play run of a model with one set of numbers."""
    name = f"loop/{config}/{short(model)}-{settings_hash[:HASH_DIGITS]}"
    return name if preset == DEFAULT else f"{name}-{preset}"


def _exploration(facts: ConfigFacts, plateau_at: float | None) -> tuple[str, str]:
    share = facts.play.distinct_openings
    if share is not None and share < LEAST_OPENINGS:
        return EXPLORING, f"{share:.0%} of the last games' openings are distinct"
    if plateau_at is not None:
        later = sum(1 for d in facts.decisions if d.kind == "promoted" and d.at > plateau_at)
        if later < PROMOTIONS:
            return EXPLORING, f"a plateau, {later} of {PROMOTIONS} promotions since"
    now, before, earlier = (_explored(facts, model) for model in _reigns(facts))
    if (now or before) and not (before and earlier):
        return EXPLORING, f"explored before, {int(before)} of {PROMOTIONS} promotions since"
    return DEFAULT, ""


def _reigns(facts: ConfigFacts) -> tuple[str | None, str | None, str | None]:
    """Return the champion and the two before it."""
    reigns: list[str | None] = []
    for decision in reversed(facts.decisions):
        if not reigns or reigns[-1] != decision.champion:
            reigns.append(decision.champion)
    now, before, earlier = [*reigns, None, None, None][: PROMOTIONS + 1]
    return now, before, earlier


def _explored(facts: ConfigFacts, model: str | None) -> bool:
    """Tell whether games of a model with exploration are stored."""
    if model is None:
        return False
    begin = f"loop/{facts.config}/{model[:SHORT_DIGITS]}-"
    return any(
        run.startswith(begin) and run.endswith(f"-{EXPLORING}") for run in facts.play.next_index
    )
