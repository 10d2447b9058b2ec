"""The numbers of one run, taken from the settings, and the key that names equal runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import UsageError
from ringrift.core.ids import canonical_json, content_id
from ringrift.evaluation.sprt import SequentialTest

if TYPE_CHECKING:
    from ringrift.core.hyperparameter_schema import Hyperparameters
    from ringrift.core.settings import Settings
    from ringrift.rules import BoardSpec

KEY_DIGITS = 12
ENCODER = "planes1-basic"
"""Encoder of the loop's nets."""

Sampling = Literal["uniform", "late_game", "phase_emphasis", "combined", "victory_type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayPlan:
    """How the games of a generation are played."""

    games: int
    sims: int
    cheap_sims: int
    full_fraction: float
    considered: int
    c_scale: float
    opening_choices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How a candidate is trained: on the newest `window_games`, `epochs` passes over the new ones."""

    size: str
    encoder: str
    window_games: int
    epochs: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    policy_weight: float
    value_weight: float
    sampling_weights: Sampling
    ema_decay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringPlan:
    """How strength is measured: `sims` for both sides of a match, `exam_sims` in the exam."""

    sims: int
    exam_sims: int
    test: SequentialTest
    floor_games: int
    exam_games: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """Everything that fixes what a run does; two runs with one key do the same."""

    config: str
    seed: int
    generations: int
    selfplay: SelfplayPlan
    training: TrainingPlan
    measuring: MeasuringPlan

    @property
    def key(self) -> str:
        """Name of all runs with these numbers."""
        return content_id("loop", canonical_json(self.as_tree()))[:KEY_DIGITS]

    def as_tree(self) -> dict[str, Any]:
        """Return the numbers as nested data."""
        return asdict(self)


def make_plan(
    settings: Settings,
    hyperparameters: Hyperparameters,
    *,
    config: str,
    seed: int,
    generations: int | None = None,
) -> LoopPlan:
    """Take a run's numbers from the settings and the configuration's merged hyper-parameters.

    `generations` replaces the settings' number.
    """
    play, learn = settings.selfplay, settings.training
    measure, promote = settings.evaluation, settings.promotion
    cheap = play.cheap_simulations
    count = settings.loop.generations if generations is None else generations
    if count < 1:
        raise UsageError(f"generations: found {count}; expected at least 1")
    return LoopPlan(
        config=config,
        seed=seed,
        generations=count,
        selfplay=SelfplayPlan(
            games=learn.trigger_threshold_games,
            sims=play.mcts_simulations,
            cheap_sims=max(8, play.mcts_simulations // 6) if cheap is None else cheap,
            full_fraction=play.full_search_fraction,
            considered=play.considered_moves,
            c_scale=play.c_scale,
            opening_choices=play.opening_random_moves,
        ),
        training=TrainingPlan(
            size=learn.model_size,
            encoder=ENCODER,
            window_games=learn.window_games,
            epochs=learn.max_reuse,
            batch_size=hyperparameters.batch_size,
            learning_rate=hyperparameters.learning_rate,
            weight_decay=hyperparameters.weight_decay,
            policy_weight=hyperparameters.policy_weight,
            value_weight=hyperparameters.value_weight,
            sampling_weights=hyperparameters.sampling_weights,
            ema_decay=learn.ema_decay if learn.use_ema else 0.0,
        ),
        measuring=MeasuringPlan(
            sims=measure.simulations,
            exam_sims=measure.exam_simulations,
            test=SequentialTest(
                elo0=0.0,
                elo1=promote.elo_threshold,
                alpha=promote.significance_level,
                beta=promote.significance_level,
                min_games=promote.min_games,
                max_games=promote.max_games,
            ),
            floor_games=measure.floor_games,
            exam_games=measure.exam_games,
        ),
    )


def spec_of(config: str) -> BoardSpec:
    """Return the board specification of a configuration with default options."""
    from ringrift.rules import BoardSpec, parse_config

    board, players = parse_config(config)
    return BoardSpec.create(board, players)
