"""Sections of training, and of what steers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ringrift.core.settings.base import (
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


class PolicyTraining(Section):
    """Set how the policy head learns."""

    enabled: bool = True
    """train a policy head beside the values"""
    auto_kl_loss: bool = True
    """learn from search distributions where enough samples carry one"""
    kl_min_coverage: Share = 0.3
    """least share of policy samples with a search distribution"""
    kl_min_samples: Count = 50
    """least number of such samples"""
    target: Literal["auto", "played", "mcts_visits", "descent_softmax"] = "auto"
    """what the loop's datasets teach, as data export --policy-target"""


class Training(Section):
    """Set when and how a candidate is trained."""

    trigger_threshold_games: Count = 300
    """new games that start a training"""
    min_interval_seconds: NotNegative = 1200
    """least time between two training starts"""
    max_concurrent_jobs: Count = 1
    """trainings at the same time"""
    prefer_gpu_hosts: bool = True
    """train on a GPU host where there is one"""
    timeout_hours: Positive = 4
    """time limit of one training"""
    warm_start: bool = True
    """start from the newest candidate's weights"""
    validation_split: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """share of the games kept for validation"""
    batch_size: Count = 256
    """samples of one step"""
    max_reuse: Positive = 8
    """most passes over one sample in its life"""
    window_games: Count = 20000
    """newest games that a training draws from"""
    model_size: Literal["micro", "tiny", "small", "medium", "large"] = "small"
    """residual blocks and channels of a new net"""
    learning_rate: Positive | None = None
    """peak learning rate; null = hyper-parameters of the configuration"""
    hidden_dim: Count | None = None
    """width of the first net of a lineage; null = hyper-parameters of the configuration"""
    sampling_weights: Literal[
        "uniform", "late_game", "phase_emphasis", "combined", "victory_type"
    ] = "victory_type"
    """how samples are weighted"""
    warmup_epochs: CountOrZero = 5
    """epochs of linear warm-up"""
    use_optimized_hyperparams: bool = True
    """use tuned hyper-parameters where there are some"""
    hex_encoder_version: Literal["v3"] = "v3"
    """feature encoder of the hexagonal boards"""
    use_ema: bool = True
    """keep and use an exponential mean of the weights"""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """decay of that mean per step"""
    policy_label_smoothing: Share | None = None
    """label smoothing of the policy; null = the trainer's own"""
    q_mix: Share | None = None
    """share of the search's root value in the value target; null = the trainer's own"""
    use_hex_augmentation: bool = True
    """augment hexagonal samples by symmetries"""
    nets: Annotated[tuple[Literal["cnn", "nnue"], ...], Field(min_length=1)] | None = None
    """kinds of nets: the lineage's, then those that learn beside it; null = the profile's"""
    nnue_min_games: CountOrZero = 10000
    """least games for an NNUE beside a CNN"""
    nnue_policy_min_games: CountOrZero = 5000
    """least games for an NNUE policy beside a CNN"""
    cmaes_min_games: CountOrZero = 20000
    """least games for a CMA-ES study"""
    policy: PolicyTraining = Field(default_factory=PolicyTraining)
    """the policy head"""


class Curriculum(CheckedSection):
    """Set how much of the self-play each configuration gets."""

    adaptive: bool = True
    """give more games to configurations that lag behind"""
    rebalance_interval_seconds: Positive = 3600
    """seconds between two new distributions"""
    max_weight_multiplier: Positive = 1.5
    """most that a configuration gets, relative to an equal part"""
    min_weight_multiplier: Positive = 0.7
    """least that a configuration gets, relative to an equal part"""
    ema_alpha: Annotated[float, Field(gt=0, le=1)] = 0.3
    """weight of the newest measurement in the mean"""
    min_games_for_weight: Count = 100
    """games below which a configuration keeps an equal part"""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the rules over several keys that do not hold."""
        yield from self.at_most("min_weight_multiplier", "max_weight_multiplier")


class Tuning(Section):
    """Set whether studies start by themselves."""

    auto: bool = False
    """let the loop file studies of hyper-parameters from 500 games on"""


class Cmaes(Section):
    """Set the evolution of the heuristic's weights."""

    enabled: bool = False
    """let plateaus raise the signal TRIGGER_CMAES"""
    auto_propagate: bool = True
    """tell the other machines of registered weights"""
    weights_config_path: Text = "config/heuristic_weights.json"
    """file of trained weight profiles, relative to the data root"""
    restart_selfplay_on_update: bool = True
    """let new self-play jobs take new weights at once"""
    max_parallel_workers: Count | None = None
    """worker processes of a study; null = the thread budget"""
    evaluation_timeout_seconds: Positive = 300
    """time limit of one evaluation"""
