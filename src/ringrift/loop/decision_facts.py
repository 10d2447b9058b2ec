"""A configuration's decisions as facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringrift.loop.facts import DecisionFacts

if TYPE_CHECKING:
    from ringrift.models.decisions import Chain, Decision


def decision_facts(chain: Chain) -> tuple[DecisionFacts, ...]:
    """Return the decisions of a chain, first to last; what was not measured is None."""
    return tuple(_facts(decision) for decision in chain.decisions)


def _facts(decision: Decision) -> DecisionFacts:
    inputs = decision.inputs
    ends: Any = inputs.get("elo_ci95")
    whole = isinstance(ends, (list, tuple)) and len(ends) == 2 and None not in ends
    settings: Any = inputs.get("settings")
    return DecisionFacts(
        sequence=decision.sequence,
        kind=decision.kind,
        candidate=decision.candidate,
        champion_before=decision.champion_before,
        champion=decision.champion,
        at=decision.at_s,
        by=decision.by,
        reason=decision.reason,
        score=inputs.get("score"),
        elo=inputs.get("elo_diff"),
        elo_ci95=(float(ends[0]), float(ends[1])) if whole else None,
        games=inputs.get("games"),
        simulations=settings.get("simulations") if isinstance(settings, dict) else None,
    )
