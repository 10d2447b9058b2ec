"""The gates of a training, each with its number (`loop.md` 3). An unknown number blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.loop.plan import Gate

if TYPE_CHECKING:
    from ringrift.core.settings import Settings
    from ringrift.loop.facts import GateFacts
    from ringrift.loop.plan import Conditions

LEAST_POLICY_SHARE = 0.95
SEAT_GAMES = 500
"""Games in which a seat that never won blocks."""
SIGMAS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the gates look at beside the facts of the games.

    `since_s` are the seconds since the last training of the configuration began, None without one;
    `urgent` skips the least time. `trainings` are those open over all configurations. `preflight`
    are the faults found in the dataset that waits, None where it is not made yet. `tournament_left`
    are the games left of a tournament that came after a number of cycles.
    """

    new_games: int
    trigger: int
    since_s: float | None
    urgent: bool = False
    trainings: int = 0
    preflight: tuple[str, ...] | None = None
    tournament_left: int = 0


def gates(
    facts: GateFacts, settings: Settings, conditions: Conditions, moment: Moment
) -> tuple[Gate, ...]:
    """Return every gate of a training, in the order of the table."""
    training, safety = settings.training, settings.safety
    found = [
        _least("new games", float(moment.new_games), float(moment.trigger), "games"),
        _interval(moment, float(training.min_interval_seconds)),
        _rate("quality", facts.quality, least=safety.data_quality_score_min),
        _rate("verification failures", facts.failure_rate, most=safety.parity_failure_rate_max),
    ]
    if facts.needs_policy:
        found.append(_rate("policy targets", facts.policy_share, least=LEAST_POLICY_SHARE))
    found += [
        _seats(facts),
        _preflight(moment.preflight if moment.preflight is not None else facts.preflight),
        _guard(conditions),
        _trainings(moment.trainings, training.max_concurrent_jobs),
    ]
    if moment.tournament_left:
        found.append(_tournament(moment.tournament_left))
    return tuple(found)


def seat_warning(facts: GateFacts) -> str | None:
    """Return what is odd about the seats' wins, None where all lie within 4 sigma of their mean."""
    wins = facts.seat_wins
    if not wins or not facts.seat_games:
        return None
    part = 1.0 / len(wins)
    mean = sum(wins) / len(wins)
    sigma = math.sqrt(facts.seat_games * part * (1 - part))
    far = [seat for seat, won in enumerate(wins, 1) if abs(won - mean) > SIGMAS * sigma]
    if not far:
        return None
    shown = ", ".join(f"seat {seat} won {wins[seat - 1]}" for seat in far)
    return f"seat balance: {shown} of {facts.seat_games} games, the mean is {mean:.0f}"


def _interval(moment: Moment, limit: float) -> Gate:
    since = moment.since_s
    if since is None:
        words, passed = "no training yet", True
    elif moment.urgent:
        words, passed = f"skipped after a regression ({since:.0f} s since the last)", True
    else:
        words, passed = (
            f"{since:.0f} of {limit:.0f} s since the last training began",
            since >= limit,
        )
    return Gate(name="min interval", value=since, limit=limit, passed=passed, words=words)


def _least(name: str, value: float, limit: float, unit: str) -> Gate:
    words = f"{value:.0f}/{limit:.0f} {unit}"
    return Gate(name=name, value=value, limit=limit, passed=value >= limit, words=words)


def _rate(
    name: str, value: float | None, *, least: float | None = None, most: float | None = None
) -> Gate:
    limit = least if least is not None else most
    assert limit is not None
    if value is None or math.isnan(value):
        return Gate(name=name, value=None, limit=limit, passed=False, words=f"{name} unknown")
    passed = value >= limit if least is not None else value <= limit
    sign = "at least" if least is not None else "at most"
    words = f"{name} {value:.3f}, {sign} {limit:.3f}"
    return Gate(name=name, value=value, limit=limit, passed=passed, words=words)


def _seats(facts: GateFacts) -> Gate:
    name, limit = "seat balance", 1.0
    if not facts.seat_wins:
        return Gate(name=name, value=None, limit=limit, passed=False, words=f"{name} unknown")
    least = min(facts.seat_wins)
    blocked = facts.seat_games >= SEAT_GAMES and least == 0
    words = f"the least of the seats won {least} of {facts.seat_games} games"
    return Gate(name=name, value=float(least), limit=limit, passed=not blocked, words=words)


def _preflight(faults: tuple[str, ...] | None) -> Gate:
    if faults is None:
        value, words = None, "looked at when the dataset is made"
    else:
        value, words = float(len(faults)), "; ".join(faults) or "no faults"
    return Gate(name="preflight", value=value, limit=0.0, passed=not faults, words=words)


def _tournament(left: int) -> Gate:
    words = f"a tournament has {left} games left"
    return Gate(name="tournament", value=float(left), limit=0.0, passed=False, words=words)


def _guard(conditions: Conditions) -> Gate:
    words = "; ".join((conditions.guard, *conditions.guard_reasons))
    passed = conditions.guard != "critical"
    return Gate(name="resource guard", value=None, limit=None, passed=passed, words=words)


def _trainings(running: int, most: int) -> Gate:
    words = f"{running} of {most} trainings run"
    return Gate(
        name="concurrent trainings",
        value=float(running),
        limit=float(most),
        passed=running < most,
        words=words,
    )
