"""Sections of the loop itself: its pace, its stages, its stops, its alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringrift.core.settings.base import (
    CheckedSection,
    Conflict,
    Count,
    CountOrZero,
    NotNegative,
    Positive,
    Section,
    Share,
)
from ringrift.core.settings.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loop(Section):
    """Set the reconciler."""

    reconcile_seconds: Positive = 2
    """seconds between two passes of control"""
    local_tasks: bool = True
    """work on this machine; false = coordinator only"""


class Pipeline(Section):
    """Set which stages run side by side."""

    parallel_stages: bool = True
    """train, measure and play at the same time where the machine allows it"""
    overlapped_selfplay: bool = True
    """go on playing while a candidate is trained and measured"""


class Validation(Section):
    """Set the checking of games before they are stored."""

    parallel_workers: Count = 8
    """worker processes, capped by the thread budget"""


class Safety(Section):
    """Set what stops a stage or withholds its result."""

    overfit_threshold: Positive = 0.10
    """validation loss above training loss from which a model is not offered"""
    min_memory_gb: NotNegative = 0
    """least memory of a machine that works; jobs declare their own needs beside it"""
    max_consecutive_failures: Count = 3
    """failures in a row after which a stage pauses"""
    parity_failure_rate_max: Share = 0.10
    """share of checked games that may disagree with the rules before a source is held back"""
    data_quality_score_min: Share = 0.70
    """least quality of a source's games"""


class AdaptiveControl(CheckedSection):
    """Set how test lengths follow the news."""

    enabled: bool = True
    """adapt at all"""
    plateau_threshold: Count = 5
    """decisions without a promotion that count as a plateau"""
    dynamic_games: bool = True
    """let the games of an evaluation follow its closeness"""
    min_games: Count = 50
    """least games of such an evaluation"""
    max_games: Count = 200
    """most games of such an evaluation"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("min_games", "max_games")


class PlateauDetection(Section):
    """Set when progress counts as over."""

    elo_plateau_threshold: NotNegative = 15
    """Elo gained over the lookback below which there is a plateau"""
    elo_plateau_lookback: Count = 5
    """decisions that are looked back on"""
    win_rate_degradation_threshold: Share = 0.40
    """score against the predecessor below which play got worse"""
    plateau_count_for_cmaes: Count = 2
    """plateaus after which TRIGGER_CMAES is raised, where cmaes.enabled"""


class Alerting(Section):
    """Set when alerts fire and where they go."""

    sync_failure_threshold: Count = 5
    """failures of a source in a row"""
    training_timeout_hours: Positive = 4
    """hours of one training"""
    elo_drop_threshold: Positive = 50
    """Elo below the last promotion"""
    games_per_hour_min: CountOrZero = 100
    """games per hour below which production is low"""
    spool_age_minutes: Positive = 30
    """minutes that the oldest undelivered item waits"""
    repeat_hours: Positive = 6
    """hours after which a firing alert is sent again"""
    webhook_url: Secret = Secret()
    """reference to the address that gets alerts as JSON"""
    slack_webhook_url: Secret = Secret()
    """reference to the Slack address that gets alerts as text"""
