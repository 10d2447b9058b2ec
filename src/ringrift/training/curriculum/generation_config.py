"""What a run of generations may be asked for, and what follows from it (training.md 9)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ringrift.core.errors import UsageError
from ringrift.core.settings.configurations import BOARDS, SHORT_BOARDS

_ELO_SCALE = 400.0
_POSITIVE = (
    "generations", "games_per_generation", "training_epochs", "eval_games", "max_moves",
    "batch_size", "adaptive_min_games", "adaptive_max_games", "model_pool_size",
    "model_pool_games",
)  # fmt: skip
_UNSERVED = ("adaptive_batch_size", "adaptive_interval_width")
"""Kept for programs that name them; the sequential test looks after every pair of games instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumConfig:
    """Say what a run of generations of one configuration does.

    `eval_games` is the length of the test without `adaptive_eval`; with it the test takes
    `adaptive_min_games` to `adaptive_max_games`. `promotion_threshold` is the win share that the
    test's alternative hypothesis gives the candidate against one equal opponent,
    `promotion_confidence` is 1 - alpha. Games of generation g - a count `historical_decay` ** a, and
    not at all once a exceeds `data_retention`. With `use_model_pool` a candidate is tested only
    after a mean win share of `model_pool_threshold` against the last champions. `simulations` are
    those of a self-play search, None its default; `model_size` and `hidden_dim` None are the
    trainer's. `output_dir` None is `runs/CONFIGURATION/curriculum-generations`.
    """

    board_type: str = "square8"
    num_players: int = 2
    generations: int = 10
    games_per_generation: int = 1000
    training_epochs: int = 20
    eval_games: int = 100
    promotion_threshold: float = 0.55
    promotion_confidence: float = 0.95
    data_retention: int = 3
    historical_decay: float = 0.8
    max_moves: int = 10_000
    learning_rate: float = 1e-3
    batch_size: int = 32
    adaptive_eval: bool = True
    adaptive_min_games: int = 30
    adaptive_max_games: int = 300
    adaptive_batch_size: int = 20
    adaptive_interval_width: float = 0.04
    use_model_pool: bool = False
    model_pool_size: int = 5
    model_pool_games: int = 20
    model_pool_threshold: float = 0.55
    output_dir: Path | str | None = None
    base_model: str | None = None
    seed: int = 42
    kind: Literal["nn", "nnue-policy"] = "nn"
    model_size: str | None = None
    hidden_dim: int | None = None
    simulations: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check every value; raises `UsageError` naming the field."""
        object.__setattr__(self, "board_type", SHORT_BOARDS.get(self.board_type, self.board_type))
        for name in (*_POSITIVE, "simulations"):
            found = getattr(self, name)
            if found is not None and found < 1:
                raise _wrong(name, found, "at least 1")
        for name in ("data_retention", "seed"):
            if getattr(self, name) < 0:
                raise _wrong(name, getattr(self, name), "at least 0")
        checks = (
            ("board_type", self.board_type in BOARDS, ", ".join(BOARDS)),
            ("num_players", 2 <= self.num_players <= 4, "2 to 4"),
            ("promotion_threshold", 0.51 <= self.promotion_threshold <= 0.99, "0.51 to 0.99"),
            ("promotion_confidence", 0.5 < self.promotion_confidence < 1, "above 0.5, below 1"),
            ("historical_decay", 0 < self.historical_decay <= 1, "above 0, at most 1"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("model_pool_threshold", 0 <= self.model_pool_threshold <= 1, "0 to 1"),
            ("kind", self.kind in ("nn", "nnue-policy"), "nn or nnue-policy"),
        )
        for name, right, expected in checks:
            if not right:
                raise _wrong(name, getattr(self, name), expected)
        if self.adaptive_min_games > self.adaptive_max_games:
            raise _wrong(
                "adaptive_min_games",
                self.adaptive_min_games,
                f"at most adaptive_max_games, {self.adaptive_max_games}",
            )
        for field in fields(self):
            if field.name in _UNSERVED and getattr(self, field.name) != field.default:
                raise UsageError(
                    f"{field.name} is {getattr(self, field.name)}; only {field.default} is served",
                    where=field.name,
                    hint="leaving it out: the test is sequential and looks after every game pair",
                )

    @property
    def config_key(self) -> str:
        """Board and players, as `square8_2p`."""
        return f"{self.board_type}_{self.num_players}p"

    @property
    def elo_threshold(self) -> float:
        """Elo difference of the test's alternative hypothesis."""
        return _ELO_SCALE * math.log10(self.promotion_threshold / (1 - self.promotion_threshold))

    @property
    def test_games(self) -> tuple[int, int]:
        """Least and most games of the test."""
        if self.adaptive_eval:
            return self.adaptive_min_games, self.adaptive_max_games
        return self.eval_games, self.eval_games

    @property
    def max_reuse(self) -> int:
        """Passes after which a game would be used up: more than retention lets it have."""
        return self.training_epochs * (self.data_retention + 1)

    def weights(self, generation: int) -> dict[int, float]:
        """Return the weight of each generation's games in the training of `generation`, from 0."""
        oldest = max(0, generation - self.data_retention)
        ages = range(generation - oldest + 1)
        return {generation - age: self.historical_decay**age for age in ages}

    def deciding(self) -> dict[str, Any]:
        """Return the values that a run cannot change when it goes on."""
        tree = asdict(self)
        for name in ("generations", "output_dir", "device"):
            del tree[name]
        return tree


def _wrong(name: str, found: object, expected: str) -> UsageError:
    return UsageError(f"{name} is {found!r}; expected {expected}", where=name)
