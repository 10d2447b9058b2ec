"""Sections of the games that learning draws from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ringrift.core.settings.base import (
    Count,
    CountOrZero,
    NotNegative,
    Positive,
    Section,
    Share,
    Text,
)


class BoardWeights(Section):
    """Weigh the boards in self-play over several configurations."""

    square8: NotNegative = 0.25
    """weight of square8"""
    hex8: NotNegative = 0.25
    """weight of hex8"""
    square19: NotNegative = 0.25
    """weight of square19"""
    hexagonal: NotNegative = 0.25
    """weight of hexagonal"""


class AgentWeights(Section):
    """Weigh the agents of the `diverse` engine mode."""

    gumbel_mcts: NotNegative = 0.40
    """weight of Gumbel search"""
    policy_only: NotNegative = 0.30
    """weight of the bare policy"""
    nnue_guided: NotNegative = 0.10
    """weight of one-ply NNUE play"""
    mcts: NotNegative = 0.08
    """weight of PUCT search"""
    descent: NotNegative = 0.05
    """weight of descent"""
    heuristic: NotNegative = 0.04
    """weight of the heuristic"""
    minimax: NotNegative = 0.02
    """weight of alpha-beta"""
    random: NotNegative = 0.01
    """weight of random moves"""


class Selfplay(Section):
    """Set how games for learning are played."""

    default_games_per_config: Count = 50
    """games per configuration where a command is given no number"""
    min_games_for_training: Count = 300
    """same meaning as training.trigger_threshold_games, which wins"""
    max_games_per_session: Count = 1000
    """most games of one self-play session"""
    max_concurrent_workers: Count | None = None
    """worker processes; null = the thread budget"""
    games_per_job: Count = 64
    """games of one self-play job"""
    engine_mode: Text | None = None
    """who plays in the loop, as selfplay run --engine-mode; null = the champion's Gumbel search"""
    difficulty_band: Literal["canonical", "light"] = "canonical"
    """levels of the ladder in the mode mixed"""
    max_moves: Count | None = None
    """plies at which the loop's games are cut; null = 500 to 2000 by board and players"""
    worker_timeout_seconds: Positive = 7200
    """time limit of one self-play job"""
    checkpoint_interval_games: Count = 100
    """games between two checkpoints of a session"""
    mcts_simulations: Count = 200
    """simulations of a full search"""
    cheap_simulations: Count | None = None
    """simulations of a cheap search; null = max(8, full / 6)"""
    full_search_fraction: Share = 1.0
    """share of the choices that get a full search; 1 = playout caps off"""
    opening_random_moves: CountOrZero = 8
    """each game draws its number of random opening choices from 0 to this"""
    considered_moves: Count = 16
    """moves that a Gumbel search considers at once at the root"""
    c_scale: Positive = 1.0
    """weight of values against priors in a Gumbel search, in matches too"""
    temperature: NotNegative = 0.5
    """temperature of visit-sampled moves"""
    noise_fraction: Share = 0.25
    """share of Dirichlet noise at the root"""
    skip_shadow_contracts: bool = False
    """skip the sampled comparison of batched with single-game rules during self-play"""
    board_type_weights: BoardWeights = Field(default_factory=BoardWeights)
    """weights of the boards"""
    ai_type_weights: AgentWeights = Field(default_factory=AgentWeights)
    """weights of the agents in the diverse mode"""


class DataIngestion(Section):
    """Set how games come into the store."""

    poll_interval_seconds: Positive = 60
    """seconds between two looks at a source"""
    ephemeral_poll_interval_seconds: Positive = 15
    """the same for machines that may vanish"""
    sync_method: Literal["incremental", "full"] = "incremental"
    """take what is new since the last time, or compare everything"""
    deduplication: bool = True
    """drop games that the store has already"""
    min_games_per_sync: Count = 5
    """games below which a source is left to gather more"""
    remote_db_pattern: Text = "data/games/*.db"
    """databases of another machine, relative to its root"""
    use_external_sync: bool = True
    """also take what other programs copied into the root"""
    checksum_validation: bool = True
    """compare the hash of what arrived with its sender's"""
    retry_max_attempts: Count = 3
    """tries of one transfer"""
    retry_base_delay_seconds: NotNegative = 5
    """wait before the second try; doubles from then on"""
    dead_letter_enabled: bool = True
    """keep what failed for good in quarantine, with the reason"""
    elo_replication_enabled: bool = True
    """exchange match records between machines"""
    elo_replication_interval_seconds: Positive = 60
    """seconds between two exchanges of match records"""


class DataPool(Section):
    """Set how large the store's stock of games is meant to be."""

    target_games: Count = 1000
    """games per configuration that collecting aims at"""
