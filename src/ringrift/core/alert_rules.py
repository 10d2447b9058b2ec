"""Say what can be alerted about and when each kind fires (`core.md` 10).

The kinds are data; the conditions are pure, with injected clocks and readings. Whoever watches a
thing asks its condition and calls `alerts.alert` or `alerts.resolve` with the answer.
"""

from __future__ import annotations

import difflib
import math
import time
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ringrift.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ringrift.core.settings.control import Alerting

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")

NODE_DEAD_S = 90.0
LIMIT_CRITICAL_FOR_S = 300.0
LOW_PRODUCTION_FOR_S = 3600.0
FAILED_RECORDS_SHARE = 0.01
# The loop's threshold is a setting; these two watchers look at other differences.
TOURNAMENT_ELO_DROP = 100.0
SHADOW_ELO_DROP = 30.0
Z_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Describe one kind of alert.

    `setting` is the key of section `alerting` with its threshold, `for_s` how long its condition
    must hold, `resolved_as` the kind under which its end is reported.
    """

    name: str
    severity: Severity
    sentence: str
    setting: str | None = None
    for_s: float = 0.0
    resolved_as: str | None = None


_ALL = (
    Kind(
        name="sync_failure",
        severity="warning",
        sentence="a source failed alerting.sync_failure_threshold times in a row",
        setting="sync_failure_threshold",
    ),
    Kind(
        name="training_timeout",
        severity="critical",
        sentence="a training runs longer than alerting.training_timeout_hours",
        setting="training_timeout_hours",
    ),
    Kind(
        name="elo_drop",
        severity="critical",
        sentence="a model is alerting.elo_drop_threshold Elo below the last promotion, for sure",
        setting="elo_drop_threshold",
    ),
    Kind(
        name="low_production",
        severity="warning",
        sentence="fewer than alerting.games_per_hour_min for an hour while not paused",
        setting="games_per_hour_min",
        for_s=LOW_PRODUCTION_FOR_S,
    ),
    Kind(
        name="node_down",
        severity="critical",
        sentence="a node is silent for more than 90 s",
        for_s=NODE_DEAD_S,
        resolved_as="node_up",
    ),
    Kind(name="node_up", severity="info", sentence="a node that was down is back"),
    Kind(
        name="limit_critical",
        severity="critical",
        sentence="a resource is at its critical limit for more than 5 minutes",
        for_s=LIMIT_CRITICAL_FOR_S,
    ),
    Kind(
        name="verification",
        severity="critical",
        sentence="over 1 % of a node's records failed, the nodes of a match won unequal shares, or "
        "shipped fixtures differ from the rules",
    ),
    Kind(
        name="spool_age",
        severity="warning",
        sentence="something waits in the spool longer than alerting.spool_age_minutes",
        setting="spool_age_minutes",
    ),
    Kind(name="dead_letter", severity="warning", sentence="a batch could not be decoded"),
    Kind(name="crash_loop", severity="critical", sentence="a process was restarted too often"),
    Kind(name="update_failed", severity="critical", sentence="a code update did not go through"),
    Kind(name="budget", severity="critical", sentence="spending reached a step of its limit"),
    Kind(name="api_auth", severity="critical", sentence="a provider refused our credentials"),
    Kind(name="conflict", severity="critical", sentence="two records of one thing disagree"),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
# A kind that only ends another: the alert `node_up` resolves `node_down`.
ENDS: Mapping[str, str] = MappingProxyType(
    {kind.resolved_as: kind.name for kind in _ALL if kind.resolved_as is not None}
)


def find_kind(name: str) -> Kind:
    """Return the kind of this name; raises `UsageError` with the nearest three for another."""
    if name in KINDS:
        return KINDS[name]
    close = difflib.get_close_matches(name, KINDS, n=3, cutoff=0.4)
    raise UsageError(
        f"unknown kind of alert {name!r}", where="KIND", hint=", ".join(close) or ", ".join(KINDS)
    )


def threshold(kind: Kind, settings: Alerting) -> float | None:
    """Return a kind's threshold in the unit of its key; `None` for one without a setting."""
    return None if kind.setting is None else float(getattr(settings, kind.setting))


def elo_dropped(drop_elo: float, se_elo: float, *, threshold_elo: float) -> bool:
    """Return whether a model fell by more than the threshold and surely fell at all.

    The 95 % interval of the drop must exclude 0: a few unlucky games are no drop.
    """
    if not (math.isfinite(drop_elo) and math.isfinite(se_elo)):
        return False
    return drop_elo > threshold_elo and drop_elo - Z_95 * se_elo > 0


def too_many_failed(failed: int, total: int) -> bool:
    """Return whether more than 1 % of a node's records failed verification."""
    return total > 0 and failed > FAILED_RECORDS_SHARE * total


def producing_too_little(
    games_per_hour: float | None, *, least_per_hour: float, paused: bool
) -> bool | None:
    """Return whether production is too low right now; `None` where the rate is unknown."""
    if paused:
        return False
    return None if games_per_hour is None else games_per_hour < least_per_hour


class Sustained:
    """Tell whether a condition has held for longer than `for_s` without a break.

    The condition answers `None` where it cannot know: that neither starts nor ends anything.
    """

    __slots__ = ("_clock", "_condition", "_for_s", "_since_s")

    def __init__(
        self,
        condition: Callable[[], bool | None],
        for_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._condition = condition
        self._for_s = for_s
        self._clock = clock
        self._since_s: float | None = None

    def holds(self) -> bool:
        """Ask the condition now; return whether it has held long enough."""
        answer, now_s = self._condition(), self._clock()
        if answer is False:
            self._since_s = None
        elif answer and self._since_s is None:
            self._since_s = now_s
        return self._since_s is not None and now_s - self._since_s > self._for_s


class ConsecutiveFailures:
    """Count failures in a row per source."""

    __slots__ = ("_counts", "_threshold")

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._counts: Counter[str] = Counter()

    def failed(self, source: str) -> bool:
        """Count one more failure; return whether the threshold is reached."""
        self._counts[source] += 1
        return self._counts[source] >= self._threshold

    def succeeded(self, source: str) -> None:
        """Begin again: the source works."""
        self._counts.pop(source, None)

    def count(self, source: str) -> int:
        """Return how often the source has failed in a row."""
        return self._counts[source]
