"""Temperatures by ply: how freely a move is drawn from a policy as the game goes on (agents.md 8).

A schedule is a pure function of the ply, the training progress, the position and a seed; the
scheduler around it keeps the progress and the statistics of the running game.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args

from ringrift.core.errors import UsageError

ScheduleType = Literal[
    "constant",
    "linear_decay",
    "exp_decay",
    "step",
    "cosine",
    "adaptive",
    "curriculum",
    "mixed",
]
SCHEDULE_TYPES: tuple[str, ...] = get_args(ScheduleType)

LOWEST, HIGHEST = 0.01, 2.0
"""Every temperature ends up between these; agents treat the lower one as "take the best"."""

DECAY_RATE = 0.05
"""Exponential decay per ply."""

LARGE_BOARD_SCALE = 2.0
_LARGE_BOARDS = ("square19", "hexagonal")

_NEUTRAL = 0.5
_NOISE_STREAM = 1 << 16  # a purpose beside those of `streams`, so that noise shares no draw


class TemperatureError(UsageError, ValueError):
    """A preset, override or setting of a schedule that does not exist or is out of range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureConfig:
    """One schedule.

    `initial_temp` (t0) and `final_temp` (t1) are its ends; moves are plies. `step_schedule` holds
    (first ply, temperature) in order of plies. `curriculum_moves` is the exploring opening of
    `curriculum`. `parts` are the (weight, schedule) of `mixed`. `noise` multiplies the result by
    1 + noise * N(0, 1), drawn from `seed` and the ply. `move_scale` stretches the schedule: at 2 it
    reaches at ply 60 what it else reaches at 30. Raises `TemperatureError` naming the field.
    """

    schedule_type: ScheduleType = "linear_decay"
    initial_temp: float = 1.0
    final_temp: float = 0.1
    decay_start_move: int = 10
    decay_end_move: int = 60
    step_schedule: tuple[tuple[int, float], ...] = ((0, 1.0), (30, 0.0))
    curriculum_moves: int = 40
    parts: tuple[tuple[float, TemperatureConfig], ...] = ()
    noise: float = 0.0
    seed: int = 0
    move_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.schedule_type not in SCHEDULE_TYPES:
            known = ", ".join(SCHEDULE_TYPES)
            raise TemperatureError(f"schedule_type is {self.schedule_type!r}; known: {known}")
        for name in ("initial_temp", "final_temp", "noise"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "a number of at least 0")
        for name in ("decay_start_move", "curriculum_moves"):
            self._require(name, getattr(self, name) >= 0, "a ply of at least 0")
        linear = self.schedule_type == "linear_decay"
        least = self.decay_start_move + 1 if linear else 1
        self._require("decay_end_move", self.decay_end_move >= least, f"a ply of at least {least}")
        self._require("move_scale", 0 < self.move_scale < math.inf, "a number above 0")
        self._require("seed", 0 <= self.seed < 1 << 62, "a whole number from 0 to 2^62 - 1")
        plies = [ply for ply, _ in self.step_schedule]
        in_order = all(a < b for a, b in pairwise(plies))
        finite = all(0 <= value < math.inf for _, value in self.step_schedule)
        self._require("step_schedule", in_order and finite, "rising plies, temperatures from 0")
        if self.schedule_type == "step":
            self._require("step_schedule", plies[:1] == [0], "entries from ply 0 on")
        if self.schedule_type == "mixed":
            self._require("parts", bool(self.parts), "at least one (weight, schedule)")
        weighed = all(0 < weight < math.inf for weight, _ in self.parts)
        quiet = all(part.noise == 0 and part.schedule_type != "mixed" for _, part in self.parts)
        self._require("parts", weighed and quiet, "weights above 0, simple schedules without noise")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise TemperatureError(f"{name} is {getattr(self, name)!r}; expected {expected}")


PRESETS: dict[str, TemperatureConfig] = {
    "default": TemperatureConfig(decay_start_move=15),
    "alphazero": TemperatureConfig(schedule_type="step", final_temp=0.0),
    "aggressive_exploration": TemperatureConfig(
        initial_temp=1.5, final_temp=0.2, decay_start_move=20, decay_end_move=80, noise=0.15
    ),
    "conservative": TemperatureConfig(
        schedule_type="exp_decay", initial_temp=0.8, decay_start_move=5
    ),
    "adaptive": TemperatureConfig(schedule_type="adaptive"),
    "curriculum": TemperatureConfig(
        schedule_type="curriculum", initial_temp=1.5, final_temp=0.5, curriculum_moves=40
    ),
    "cosine": TemperatureConfig(schedule_type="cosine", initial_temp=1.2, decay_end_move=60),
}


def read_number(game_state: Any, name: str) -> float | None:
    """Return the attribute or the key `name` of a game state, None where it has none."""
    mapped = isinstance(game_state, Mapping)
    found = game_state.get(name) if mapped else getattr(game_state, name, None)
    return None if found is None else float(found)


def _adaptive(config: TemperatureConfig, move: float, game_state: Any) -> float:
    legal = read_number(game_state, "legal_count")
    entropy = read_number(game_state, "policy_entropy")
    breadth = _NEUTRAL if legal is None else min(1.0, legal / 50)
    doubt = _NEUTRAL if entropy is None else min(1.0, entropy / 2)
    if move < 20:
        stage = move / 40
    elif move < 60:
        stage = 0.5
    else:
        stage = min(1.0, 0.5 + (move - 60) / 40)
    factor = (1 + 0.3 * (breadth - 0.5)) * (1 + 0.3 * (doubt - 0.5)) * (1 - 0.4 * stage)
    return min(2.0, max(0.1, config.initial_temp * factor))


def _curriculum(config: TemperatureConfig, move: float, progress: float) -> float:
    s = min(1.0, max(0.0, (progress - 0.3) / 0.4))
    temperature = config.initial_temp + s * (config.final_temp - config.initial_temp)
    moves = config.curriculum_moves
    last = moves + s * (moves // 2 - moves)
    if move <= last:
        return temperature
    return max(0.1, temperature * math.exp(-DECAY_RATE * (move - last)))


def _linear(config: TemperatureConfig, move: float) -> float:
    start, end = config.decay_start_move, config.decay_end_move
    share = min(1.0, max(0.0, (move - start) / (end - start)))
    return config.initial_temp + share * (config.final_temp - config.initial_temp)


def _cosine(config: TemperatureConfig, move: float) -> float:
    turned = (1 + math.cos(math.pi * min(1.0, move / config.decay_end_move))) / 2
    return config.final_temp + (config.initial_temp - config.final_temp) * turned


def _clean(config: TemperatureConfig, ply: float, progress: float, game_state: Any) -> float:
    """Evaluate the table of agents.md 8, before noise and the last clamp."""
    move = ply / config.move_scale
    kind = config.schedule_type
    if kind == "constant":
        return config.initial_temp
    if kind == "linear_decay":
        return _linear(config, move)
    if kind == "exp_decay":
        faded = config.initial_temp * math.exp(-DECAY_RATE * (move - config.decay_start_move))
        later = move > config.decay_start_move
        return max(config.final_temp, faded) if later else config.initial_temp
    if kind == "step":
        return [value for first, value in config.step_schedule if first <= move][-1]
    if kind == "cosine":
        return _cosine(config, move)
    if kind == "adaptive":
        return _adaptive(config, move, game_state)
    if kind == "curriculum":
        return _curriculum(config, move, progress)
    total = sum(weight for weight, _ in config.parts)
    values = (weight * _clean(part, move, progress, game_state) for weight, part in config.parts)
    return sum(values) / total


def _normal(seed: int, ply: int) -> float:
    """Draw N(0, 1) of one ply of one game (Box and Muller)."""
    from ringrift.agents.protocol import Rngs  # here, so that reading presets loads no compiler

    draw = Rngs(_NOISE_STREAM)
    radius = math.sqrt(-2 * math.log(draw.uniform(seed, ply, 0, 0)))
    return radius * math.cos(2 * math.pi * draw.uniform(seed, ply, 0, 1))


class TemperatureScheduler:
    """Temperatures of one game after another.

    `at` is the pure schedule, for agents that play many games at once; `get_temperature` is the
    same for the running game and keeps its statistics. `game_state` may be None, a mapping or any
    object with `legal_count` (legal moves) and `policy_entropy` (nats); only `adaptive` reads it,
    and what is missing counts as 0.5 in its formula.
    """

    def __init__(self, config: TemperatureConfig) -> None:
        self.config = config
        self._progress = 0.0
        self._games = 0
        self._seed = config.seed
        self._seen: list[float] = []

    @property
    def reads_state(self) -> bool:
        """Tell whether the position matters, and not its ply alone."""
        kinds = [self.config, *(part for _, part in self.config.parts)]
        return any(kind.schedule_type == "adaptive" for kind in kinds)

    @property
    def training_progress(self) -> float:
        """How far training is, from 0 to 1."""
        return self._progress

    def set_training_progress(self, progress: float) -> None:
        """Say how far training is, from 0 to 1; `curriculum` follows it."""
        if not 0 <= progress <= 1:
            raise TemperatureError(f"training progress is {progress!r}; expected 0 to 1")
        self._progress = float(progress)

    def at(self, move_number: int, *, seed: int = 0, game_state: Any = None) -> float:
        """Return the temperature of a ply of the game with `seed`; nothing is remembered."""
        if move_number < 0:
            raise TemperatureError(f"move_number is {move_number}; expected a ply of at least 0")
        value = _clean(self.config, move_number, self._progress, game_state)
        if self.config.noise > 0:
            value *= 1 + self.config.noise * _normal(seed, move_number)
        return min(HIGHEST, max(LOWEST, value))

    def get_temperature(self, move_number: int, game_state: Any = None) -> float:
        """Return the temperature of a ply of the running game."""
        value = self.at(move_number, seed=self._seed, game_state=game_state)
        self._seen.append(value)
        return value

    def new_game(self, seed: int | None = None) -> None:
        """Forget the running game; noise of the next follows `seed`, else the config's and a count."""
        self._games += 1
        self._seed = self.config.seed + self._games if seed is None else seed
        self._seen = []

    def get_game_stats(self) -> dict[str, float]:
        """Return `count`, `mean`, `min` and `max` of the running game; all 0 before its first ply."""
        seen = self._seen
        if not seen:
            return {"count": 0, "mean": 0.0, "min": 0.0, "max": 0.0}
        return {
            "count": len(seen),
            "mean": sum(seen) / len(seen),
            "min": min(seen),
            "max": max(seen),
        }


def create_scheduler(preset: str = "default", **overrides: Any) -> TemperatureScheduler:
    """Make a scheduler from a preset, with fields of `TemperatureConfig` set otherwise.

    Raises `TemperatureError`, a `ValueError`, listing the known presets or fields.
    """
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise TemperatureError(f"unknown temperature preset {preset!r}; known: {known}")
    names = [field.name for field in fields(TemperatureConfig)]
    if unknown := sorted(set(overrides) - set(names)):
        known = ", ".join(names)
        raise TemperatureError(f"unknown temperature override {unknown[0]!r}; known: {known}")
    base = {name: getattr(PRESETS[preset], name) for name in names}
    return TemperatureScheduler(TemperatureConfig(**{**base, **overrides}))


def board_move_scale(board: str) -> float:
    """Return the `move_scale` of a board where `--temperature-scale-board` is given: 2 if large."""
    return LARGE_BOARD_SCALE if board in _LARGE_BOARDS else 1.0
