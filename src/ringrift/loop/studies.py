"""When the loop looks for better hyper-parameters by itself (`loop.md` 10).

A study trains many nets and so takes the slot of a training, never beside one. It comes once a day
at most, however the last one ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringrift.core.settings import Settings
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.plan import Signal
    from ringrift.loop.seen import ConfigJobs

LEAST_GAMES = 500
ENOUGH = ("medium", "high")
COOLDOWN_S = 86_400.0
TRIALS, EPOCHS = 10, 10


def study_due(
    facts: ConfigFacts,
    own: ConfigJobs,
    signals: Sequence[Signal],
    settings: Settings,
    now: float,
) -> str | None:
    """Return why a configuration needs a study now, None where it does not.

    Without a tuned set of confidence medium from 500 games on, and after four plateaus; not while a
    candidate is measured or a study is open. An unknown confidence is no reason.
    """
    if not settings.tuning.auto or facts.champion is None or facts.candidate is not None:
        return None
    if own.open.get("tune") or _since_last(facts, own, now) < COOLDOWN_S:
        return None
    if any(signal.kind == "TRIGGER_HP_SEARCH" for signal in signals):
        return "hyper-parameters: progress stands still"
    confidence = facts.tuning.confidence
    if confidence is None or confidence in ENOUGH or facts.games < LEAST_GAMES:
        return None
    return "hyper-parameters: no tuned set of confidence medium"


def size_of(facts: ConfigFacts) -> tuple[int, int]:
    """Return up to which sequence number games are learned from, and the trials in all.

    A study that has too few trials for confidence medium goes on with more over the same games.
    """
    last = facts.tuning.study
    if last is None or last.trials >= facts.tuning.trials_of_medium:
        return facts.max_seq, TRIALS
    return last.upto, last.trials + TRIALS


def trouble(facts: ConfigFacts, own: ConfigJobs, settings: Settings) -> str | None:
    """Return what keeps studies from being made, None where nothing does."""
    if not settings.tuning.auto:
        return None
    if facts.tuning.error is not None:
        return f"hyper-parameters unknown: {facts.tuning.error}"
    results = own.results.get("tune", ())
    if results and results[-1].status == "failed":
        why = (results[-1].error or {}).get("message", "no reason is known")
        return f"the last study of hyper-parameters failed: {why}"
    return None


def _since_last(facts: ConfigFacts, own: ConfigJobs, now: float) -> float:
    """Return the seconds since the last study ended."""
    ended = [
        result.ended_at
        for result in own.results.get("tune", ())
        if result.status == "done" or (result.status == "failed" and result.ended_at > own.resumed)
    ]
    if facts.tuning.study is not None:
        ended.append(facts.tuning.study.at)
    return now - max(ended, default=float("-inf"))
