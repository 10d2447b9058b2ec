"""Cycles: each ends with the decision about one measured candidate."""

from __future__ import annotations

from ringrift.loop.facts import ConfigFacts, DecisionFacts

CYCLES = ("promoted", "rejected", "inconclusive")


def cycles_of(facts: ConfigFacts) -> int:
    """Return how many candidates have been decided about by measurement."""
    return sum(1 for decision in facts.decisions if is_cycle(decision))


def is_cycle(decision: DecisionFacts) -> bool:
    """Say whether a decision ends a cycle: the first champion and superseded models do not."""
    return decision.kind in CYCLES and decision.champion_before is not None
