"""Sections of matches, ratings, promotion and what follows a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ringrift.core.settings.base import (
    AgentSpec,
    CheckedSection,
    Conflict,
    Count,
    CountOrZero,
    NotNegative,
    Positive,
    Section,
    Share,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Agents = Annotated[tuple[AgentSpec, ...], Field(min_length=1)]


class Evaluation(CheckedSection):
    """Set how strength is measured."""

    shadow_interval_seconds: Positive = 900
    """seconds between shadow evaluations"""
    shadow_games_per_config: Count = 15
    """games of one shadow evaluation"""
    adaptive_interval_enabled: bool = True
    """let the shadow interval follow the news"""
    adaptive_interval_min_seconds: Positive = 360
    """shortest shadow interval"""
    adaptive_interval_max_seconds: Positive = 1800
    """longest shadow interval"""
    full_tournament_interval_seconds: Positive = 3600
    """seconds between full tournaments"""
    full_tournament_games: Count = 50
    """games of a full tournament per opponent"""
    full_tournament_every_cycles: CountOrZero = 0
    """decided candidates after which a full tournament is played at once; 0 = by the clock alone"""
    baseline_models: Agents = ("random", "heuristic", "mcts_100", "mcts_500")
    """fixed opponents"""
    min_games_for_elo: Count = 30
    """games below which a rating is provisional"""
    simulations: Count = 64
    """simulations of both sides in test matches"""
    floor_games: Count = 40
    """games of a candidate and of the champion against each fixed baseline"""
    exam_simulations: Count = 32
    """simulations of the champion against milestones"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("adaptive_interval_min_seconds", "adaptive_interval_max_seconds")


class Tournament(Section):
    """Set tournaments; the keys that `evaluation` has too mean the same there, and win there."""

    default_games_per_matchup: Count = 20
    """games of each pairing where a command is given no number"""
    shadow_games: Count = 15
    """same meaning as evaluation.shadow_games_per_config, which wins"""
    full_tournament_games: Count = 50
    """same meaning as evaluation.full_tournament_games, which wins"""
    game_timeout_seconds: Positive = 300
    """time after which a game is stopped and counts as aborted"""
    tournament_timeout_seconds: Positive = 7200
    """time after which no new game of a tournament starts"""
    min_games_for_rating: Count = 30
    """same meaning as evaluation.min_games_for_elo, which wins"""
    baseline_models: Agents = ("random", "heuristic", "mcts_100", "mcts_500")
    """same meaning as evaluation.baseline_models, which wins"""


class Rating(Section):
    """Set how ratings are fitted."""

    places: Literal["full", "winner"] = "full"
    """use the whole order of a game with several players, or its winner only"""
    prior_draws: Positive = 1.0
    """virtual draws between an agent and its parent, so that all-win records stay finite"""


class LadderLevel(Section):
    """Override one row of the difficulty ladder."""

    agent: AgentSpec | None = None
    """agent of the level; null = the table's"""
    randomness: Share | None = None
    """chance that a choice is drawn by its score instead of the best; null = the table's"""
    think_ms: Count | None = None
    """most milliseconds of one move; null = the table's"""
    model: Text | None = None
    """model of the level; null = the table's"""


class Promotion(CheckedSection):
    """Set what a candidate must show to become champion."""

    auto_promote: bool = True
    """promote without asking"""
    elo_threshold: Positive = 20
    """Elo difference of the test's alternative hypothesis"""
    min_games: Count = 40
    """least games of the test"""
    max_games: Count = 800
    """games after which the test is inconclusive"""
    significance_level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """alpha and beta of the sequential test"""
    sync_to_cluster: bool = True
    """tell the other machines of a promotion"""
    cooldown_seconds: NotNegative = 900
    """least time between two promotions of a configuration"""
    max_promotions_per_day: Count | None = 15
    """most promotions of a configuration in 24 h; null = no cap"""
    regression_test: bool = True
    """play the last champions before promoting"""
    pool_size: CountOrZero = 3
    """former champions that are played"""
    pool_games_per_opponent: Count = 20
    """games against each of them"""
    pool_threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """score against one of them that the upper bound must reach; null = that of -30 Elo"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("min_games", "max_games")


class Regression(Section):
    """Set what a regression stops and undoes."""

    hard_block: bool = True
    """block a promotion whose regression test failed; false = a warning in its record"""
    timeout_seconds: Positive = 600
    """time limit of the regression test"""
    auto_rollback: bool = True
    """go back to a former champion after a regression; false = an alert only"""
    rollback_elo_drop: Positive = 50
    """Elo below the predecessor that counts as a regression"""
    rollback_min_games: Count = 20
    """games of each of both tournaments that must show it"""


class ModelPruning(Section):
    """Set how many models are kept."""

    enabled: bool = True
    """prune models by themselves"""
    threshold: Count = 100
    """models of a configuration from which pruning begins"""
    check_interval_seconds: Positive = 3600
    """seconds between two counts"""
    top_quartile_keep: Share = 0.25
    """share of the strongest that always stays"""
    games_per_baseline: Count = 10
    """games against each baseline where a model has no rating"""
    parallel_workers: Count = 50
    """worker processes, capped by the thread budget"""
    archive_models: bool = True
    """move pruned models to the archive instead of deleting them"""
    evaluation_timeout_seconds: Positive = 7200
    """time limit of the measuring before a pruning"""
    dry_run: bool = False
    """only report what would be pruned"""
    use_elo_based_culling: bool = True
    """prune the weakest; false = the oldest"""
