"""The points of a loop's history, from facts and the event log: strength, games, losses, time.

Strength, models and decisions come from the facts, rates and time from the log; without a log those
are missing and nothing else. Times are ISO 8601.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ringrift.loop.cycles import is_cycle
from ringrift.loop.event_data import listed
from ringrift.loop.events import Event, utc
from ringrift.loop.facts import ConfigFacts

SCHEMA = 1


def points_of(facts: ConfigFacts, events: Iterable[Event]) -> dict[str, Any]:
    """Return every point that is plotted of one configuration, oldest first."""
    rates, shares = [], []
    for event in events:
        data, at = event["data"], event["at"]
        if event["kind"] == "games_ingested":
            rates.append(
                {"at": at, "total": data["total"], "games_per_hour": data.get("games_per_hour")}
            )
            shares.append({"at": at, **_shares(data.get("job_seconds", {}))})
    return {
        "schema": SCHEMA,
        "config": facts.config,
        "champion": facts.champion,
        "games": facts.games,
        "elo": _strength(facts),
        "decisions": _decisions(facts),
        "rates": rates,
        "losses": _losses(facts),
        "reuse": _reuse(facts),
        "time_shares": [share for share in shares if len(share) > 1],
    }


def _strength(facts: ConfigFacts) -> list[dict[str, Any]]:
    """Return each champion with its rating of today's fit, at the time of its promotion."""
    rated = {each.model: each for each in facts.ratings}
    found = []
    for decision in facts.decisions:
        rating = rated.get(decision.champion)
        if decision.kind in ("promoted", "rolled_back") and rating and rating.elo is not None:
            found.append(
                {
                    "at": utc(decision.at),
                    "model": decision.champion,
                    "elo": rating.elo,
                    "ci95": None if rating.ci95 is None else listed(rating.ci95),
                    "games": rating.games,
                }
            )
    return found


def _decisions(facts: ConfigFacts) -> list[dict[str, Any]]:
    return [
        {
            "at": utc(decision.at),
            "kind": decision.kind,
            "elo_diff": decision.elo,
            "ci95": listed(decision.elo_ci95),
            "games": decision.games,
        }
        for decision in facts.decisions
        if is_cycle(decision)
    ]


def _losses(facts: ConfigFacts) -> list[dict[str, Any]]:
    return [
        {
            "at": utc(model.made_at),
            "model": model.id,
            "loss": model.losses[-1] if model.losses else None,
            "validation_loss": model.validation_loss,
        }
        for model in facts.models
        if model.losses or model.validation_loss is not None
    ]


def _reuse(facts: ConfigFacts) -> list[dict[str, Any]]:
    """Return how often each training went over its samples: once an epoch."""
    return [
        {"at": utc(model.made_at), "model": model.id, "reuse": len(model.losses)}
        for model in facts.models
        if model.losses
    ]


def _shares(spent: dict[str, float]) -> dict[str, float]:
    whole = sum(spent.values())
    return {kind: round(s / whole, 4) for kind, s in sorted(spent.items())} if whole else {}
