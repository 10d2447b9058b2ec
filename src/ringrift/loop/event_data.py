"""What the event log tells of a match and of a decision, as plain data."""

from __future__ import annotations

from typing import Any

from ringrift.loop.facts import ConfigFacts, DecisionFacts, MatchFacts, ModelFacts
from ringrift.loop.status import champion_rating


def match_data(match: MatchFacts) -> dict[str, Any]:
    """Return what the log tells of a finished match."""
    wins, losses, capped = match.wins_losses_capped
    return {
        "plan": match.plan,
        "key": match.key,
        "title": match.title,
        "model": match.subject,
        "opponent": match.opponent,
        "games": match.played,
        "wins": wins,
        "losses": losses,
        "capped": capped,
        "score": match.score,
        "interval": listed(match.interval),
        "elo": match.elo,
        "elo_ci95": listed(match.elo_ci95),
        "llr": match.llr,
        "verdict": match.verdict,
    }


def decision_data(
    facts: ConfigFacts, decision: DecisionFacts, model: ModelFacts | None, before: float | None
) -> dict[str, Any]:
    """Return what the log tells of a decision; `before` is the time of the one before it."""
    rated = champion_rating(facts) if decision is facts.decisions[-1] else None
    return {
        "sequence": decision.sequence,
        "candidate": decision.candidate,
        "champion_before": decision.champion_before,
        "champion": decision.champion,
        "reason": decision.reason,
        "by": decision.by,
        "decided_at": decision.at,
        "score": decision.score,
        "elo_diff": decision.elo,
        "ci95": listed(decision.elo_ci95),
        "test_games": decision.games,
        "simulations": decision.simulations,
        "games": None if model is None else model.games,
        "losses": [] if model is None else list(model.losses),
        "champion_elo": None if rated is None else rated.elo,
        "champion_elo_ci95": None if rated is None else listed(rated.ci95),
        "seconds": None if before is None else round(decision.at - before, 1),
    }


def listed(ends: tuple[float, float] | None) -> list[float] | None:
    """Return an interval for JSON."""
    return None if ends is None else list(ends)
