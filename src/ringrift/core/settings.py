"""The settings: sections, keys, defaults and their meanings (`core.md` 2).

This module is the one home of every key and default; `settings_loader` reads files, environment and
options over them. Sections appear here when something reads them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Percent = Annotated[float, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]

CONFIGURATIONS: tuple[str, ...] = tuple(
    f"{board}_{players}p"
    for board in ("square8", "hex8", "square19", "hexagonal")
    for players in (2, 3, 4)
)


class Section(BaseModel):
    """Hold the keys of one section; frozen, unknown keys forbidden, no infinite numbers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # the validator is built at first use: imports stay quick
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
    board_type_weights: BoardWeights = BoardWeights()
    """weights of the boards"""
    ai_type_weights: AgentWeights = AgentWeights()
    """weights of the agents in the diverse mode"""


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
    validation_split: Share = 0.1
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
    """width of the net; null = hyper-parameters of the configuration"""
    sampling_weights: Literal["uniform", "late_game", "phase_emphasis", "victory_type"] = (
        "victory_type"
    )
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
    use_hex_augmentation: bool = True
    """augment hexagonal samples by symmetries"""
    nets: tuple[Literal["cnn", "nnue"], ...] | None = None
    """kinds of nets trained; null = the profile's"""
    nnue_min_games: CountOrZero = 10000
    """least games for an NNUE beside a CNN"""
    nnue_policy_min_games: CountOrZero = 5000
    """least games for an NNUE policy beside a CNN"""
    cmaes_min_games: CountOrZero = 20000
    """least games for a CMA-ES study"""
    policy: PolicyTraining = PolicyTraining()
    """the policy head"""


class Evaluation(Section):
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
    baseline_models: tuple[str, ...] = ("random", "heuristic", "mcts_100", "mcts_500")
    """fixed opponents"""
    min_games_for_elo: Count = 30
    """games below which a rating is provisional"""
    simulations: Count = 64
    """simulations of both sides in test matches"""
    floor_games: Count = 40
    """games of a candidate and of the champion against each fixed baseline"""
    exam_games: Count = 200
    """games of the final champion against random"""
    exam_simulations: Count = 32
    """simulations of the champion in its exam"""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.adaptive_interval_min_seconds > self.adaptive_interval_max_seconds:
            raise ValueError(
                "adaptive_interval_min_seconds must not exceed adaptive_interval_max_seconds"
            )
        return self


class Promotion(Section):
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

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_games > self.max_games:
            raise ValueError("min_games must not exceed max_games")
        return self


class Loop(Section):
    """Set the reconciler."""

    reconcile_seconds: Positive = 2
    """seconds between two passes of control"""
    generations: Count = 3
    """generations of a bounded run"""
    local_tasks: bool = True
    """work on this machine; false = coordinator only"""


class Limits(Section):
    """Set the only table of resource limits (`core.md` 5)."""

    disk_warning: Percent = 65
    """percent of the root's file system from which to warn"""
    disk_critical: Percent = 70
    """percent of the root's file system from which no producing job starts"""
    memory_warning: Percent = 70
    """percent of memory from which to warn"""
    memory_critical: Percent = 80
    """percent of memory from which no job starts"""
    cpu_warning: Percent = 70
    """percent of CPU used by others from which to warn"""
    cpu_critical: Percent = 80
    """percent of CPU used by others from which no job starts"""
    gpu_warning: Percent = 70
    """percent of a GPU's memory from which to warn"""
    gpu_critical: Percent = 80
    """percent of a GPU's memory from which no GPU job starts there"""
    load_critical_multiplier: Positive = 1.5
    """load average per CPU from which no job starts"""
    wait_seconds: NotNegative = 300
    """longest wait of a heavy command for CPU and load"""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("disk", "memory", "cpu", "gpu"):
            warning, critical = getattr(self, f"{name}_warning"), getattr(self, f"{name}_critical")
            # A lowered critical alone is meant: only an explicit warning above it is a mistake.
            if f"{name}_warning" in self.model_fields_set and warning >= critical:
                raise ValueError(
                    f"{name}_warning {warning:g} must be below {name}_critical {critical:g}"
                )
        return self


class Settings(Section):
    """Hold every setting of one run; build it with `settings_loader.load_settings`."""

    version: Annotated[str, BeforeValidator(str), Field(pattern=r"^(1\.\d+|2)$")] = "2"
    """version of the settings file"""
    log_dir: str = "logs/unified_loop"
    """folder of the loop's logs, relative to the data root"""
    verbose: bool = False
    """debug log"""
    configurations: Annotated[tuple[str, ...], Field(min_length=1)] = CONFIGURATIONS
    """board and player number pairs that the loop works on"""
    selfplay: Selfplay = Selfplay()
    """how games for learning are played"""
    training: Training = Training()
    """when and how a candidate is trained"""
    evaluation: Evaluation = Evaluation()
    """how strength is measured"""
    promotion: Promotion = Promotion()
    """what a candidate must show to become champion"""
    loop: Loop = Loop()
    """the reconciler"""
    limits: Limits = Limits()
    """the only table of resource limits"""

    @field_validator("configurations")
    @classmethod
    def _known_configurations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in CONFIGURATIONS:
                raise ValueError(f"names among {', '.join(CONFIGURATIONS)}, not {name!r}")
        return names
