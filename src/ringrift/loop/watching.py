"""Alerts about a running loop (`core.md` 10): each fires once and is resolved once.

Conditions are asked at each pass; unknown readings change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringrift.core import alerts
from ringrift.core.alert_rules import (
    KINDS,
    Sustained,
    elo_dropped,
    producing_too_little,
    too_many_failed,
)
from ringrift.core.limits import State

if TYPE_CHECKING:
    from ringrift.core.limits import Verdict
    from ringrift.core.settings.control import Alerting
    from ringrift.loop.facts import ConfigFacts
    from ringrift.loop.status import RunningJob

Z_95 = 1.959964
HOUR_S, MINUTE_S = 3600.0, 60.0
TELL_EVERY_S = 60.0


@dataclass(slots=True, kw_only=True)
class LoopAlerts:
    """Watches one loop with the thresholds of `alerting`."""

    settings: Alerting
    clock: Callable[[], float] = time.monotonic
    _lasting: dict[str, Sustained] = field(default_factory=dict, init=False)
    _now: dict[str, bool | None] = field(default_factory=dict, init=False)
    _told: dict[str, tuple[bool, float]] = field(default_factory=dict, init=False)

    def machine(self, verdicts: Sequence[Verdict]) -> None:
        """Alert where a resource is critical for five minutes."""
        for verdict in verdicts:
            unknown = verdict.state is State.UNKNOWN
            holds = None if unknown else verdict.state is State.CRITICAL
            values = {"used": verdict.used, "limit": verdict.critical}
            self._sustained("limit_critical", verdict.name, holds, verdict.reason, values)

    def trainings(self, jobs: Sequence[RunningJob], configs: Sequence[str], now: float) -> None:
        """Alert where a training runs longer than it may; `now` in Unix seconds."""
        limit_s = self.settings.training_timeout_hours * HOUR_S
        late = {
            job.config for job in jobs if job.kind == "train" and now - job.started_at > limit_s
        }
        for config in configs:
            hours = self.settings.training_timeout_hours
            text = f"the training runs longer than {hours:g} h"
            self._say("training_timeout", config, text, {"hours": hours}, fires=config in late)

    def production(self, games_per_hour: float | None, *, paused: bool) -> None:
        """Alert where too few games were made for an hour."""
        least = float(self.settings.games_per_hour_min)
        holds = producing_too_little(games_per_hour, least_per_hour=least, paused=paused)
        rate = "unknown" if games_per_hour is None else f"{games_per_hour:.0f}"
        text = f"{rate} games/h for an hour; expected {least:.0f} at least"
        values = {"games_per_hour": games_per_hour, "limit": least}
        self._sustained("low_production", "loop", holds, text, values)

    def ratings(self, facts: Sequence[ConfigFacts]) -> None:
        """Alert where the newest tournament shows a champion surely weaker than the one before."""
        threshold = self.settings.elo_drop_threshold
        for each in facts:
            newest = each.tournaments[-1] if each.tournaments else None
            if newest is None or newest.predecessor is None or newest.difference_ci95 is None:
                continue
            low, high = newest.difference_ci95
            drop, se = -(low + high) / 2, (high - low) / (2 * Z_95)
            text = f"{newest.champion.model[:12]} is {drop:.0f} Elo below the champion before it"
            values = {"model": newest.champion.model, "config": each.config, "drop": drop}
            fires = elo_dropped(drop, se, threshold_elo=threshold)
            self._say("elo_drop", each.config, text, values, fires=fires)

    def collected(self, games: int, refused: int, reasons: Mapping[str, int]) -> None:
        """Alert where more than 1 % of the games of this machine do not verify."""
        text = f"{refused} of {games + refused} games did not verify"
        fires = too_many_failed(refused, games + refused)
        self._say("verification", "loop", text, dict(reasons), fires=fires)

    def spool(self, oldest_s: float | None) -> None:
        """Alert where something waits too long to be delivered; None is an empty spool."""
        limit_s = self.settings.spool_age_minutes * MINUTE_S
        waited = 0.0 if oldest_s is None else oldest_s
        text = f"the oldest batch waits for {waited / MINUTE_S:.0f} minutes"
        self._say("spool_age", "loop", text, {"seconds": waited}, fires=waited > limit_s)

    def _sustained(
        self, kind: str, subject: str, holds: bool | None, text: str, values: Mapping[str, object]
    ) -> None:
        key = f"{kind}/{subject}"
        self._now[key] = holds
        if key not in self._lasting:
            self._lasting[key] = Sustained(
                lambda: self._now[key], KINDS[kind].for_s, clock=self.clock
            )
        if self._lasting[key].holds():
            self._say(kind, subject, text, values, fires=True)
        elif holds is False:
            self._say(kind, subject, text, values, fires=False)

    def _say(
        self, kind: str, subject: str, text: str, values: Mapping[str, object], *, fires: bool
    ) -> None:
        """Tell the book what changed, and once a minute what still holds."""
        key, now_s = f"{kind}/{subject}", self.clock()
        told, told_s = self._told.get(key, (None, float("-inf")))
        if told is fires and (not fires or now_s - told_s < TELL_EVERY_S):
            return
        self._told[key] = (fires, now_s)
        if fires:
            alerts.alert(kind, subject, KINDS[kind].severity, text, dict(values))
        else:
            alerts.resolve(kind, subject)
