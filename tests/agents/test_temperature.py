"""Temperature schedules: the tables of agents.md 8, worked out by hand."""

from __future__ import annotations

from math import cos, exp, pi
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ringrift.agents.temperature import (
    PRESETS,
    SCHEDULE_TYPES,
    TemperatureConfig,
    TemperatureScheduler,
    board_move_scale,
    create_scheduler,
)
from ringrift.core.errors import UsageError

# (preset, ply, temperature); where a line is not constant its formula stands in numbers
TABLE: list[tuple[str, int, float]] = [
    ("default", 0, 1.0),
    ("default", 1, 1.0),
    ("default", 14, 1.0),
    ("default", 15, 1.0),
    ("default", 16, 0.98),
    ("default", 20, 0.9),
    ("default", 30, 0.7),
    ("default", 35, 0.6),
    ("default", 45, 0.4),
    ("default", 59, 0.12),
    ("default", 60, 0.1),
    ("default", 61, 0.1),
    ("default", 500, 0.1),
    ("alphazero", 0, 1.0),
    ("alphazero", 1, 1.0),
    ("alphazero", 15, 1.0),
    ("alphazero", 29, 1.0),
    ("alphazero", 30, 0.01),  # 0, clamped
    ("alphazero", 31, 0.01),
    ("alphazero", 400, 0.01),
    ("conservative", 0, 0.8),
    ("conservative", 4, 0.8),
    ("conservative", 5, 0.8),
    ("conservative", 6, 0.8 * exp(-0.05)),
    ("conservative", 10, 0.8 * exp(-0.25)),
    ("conservative", 25, 0.8 * exp(-1)),
    ("conservative", 46, 0.8 * exp(-2.05)),  # 0.1030, the last above t1
    ("conservative", 47, 0.1),
    ("conservative", 100, 0.1),
    # legal count and entropy unknown: both factors are 1
    ("adaptive", 0, 1.0),
    ("adaptive", 1, 1 - 0.4 * 1 / 40),
    ("adaptive", 10, 0.9),
    ("adaptive", 19, 1 - 0.4 * 19 / 40),
    ("adaptive", 20, 0.8),
    ("adaptive", 40, 0.8),
    ("adaptive", 59, 0.8),
    ("adaptive", 60, 0.8),
    ("adaptive", 70, 0.7),
    ("adaptive", 79, 1 - 0.4 * (0.5 + 19 / 40)),
    ("adaptive", 80, 0.6),
    ("adaptive", 81, 0.6),
    ("adaptive", 300, 0.6),
    # progress 0
    ("curriculum", 0, 1.5),
    ("curriculum", 20, 1.5),
    ("curriculum", 40, 1.5),
    ("curriculum", 41, 1.5 * exp(-0.05)),
    ("curriculum", 60, 1.5 * exp(-1)),
    ("curriculum", 94, 1.5 * exp(-2.7)),
    ("curriculum", 95, 0.1),  # 1.5 exp(-2.75) = 0.0959
    ("curriculum", 300, 0.1),
    ("cosine", 0, 1.2),
    ("cosine", 10, 0.1 + 1.1 * (1 + cos(pi / 6)) / 2),
    ("cosine", 15, 0.1 + 1.1 * (1 + cos(pi / 4)) / 2),
    ("cosine", 20, 0.1 + 1.1 * 0.75),
    ("cosine", 30, 0.65),
    ("cosine", 40, 0.1 + 1.1 * 0.25),
    ("cosine", 59, 0.1 + 1.1 * (1 + cos(pi * 59 / 60)) / 2),
    ("cosine", 60, 0.1),
    ("cosine", 61, 0.1),
    ("cosine", 200, 0.1),
]

QUIET_AGGRESSIVE = [(0, 1.5), (19, 1.5), (20, 1.5), (21, 1.5 - 1.3 / 60), (35, 1.175), (50, 0.85)]
QUIET_AGGRESSIVE += [(65, 0.525), (79, 0.2 + 1.3 / 60), (80, 0.2), (300, 0.2)]


@pytest.mark.parametrize(("preset", "ply", "wanted"), TABLE)
def test_the_table_of_presets(preset: str, ply: int, wanted: float) -> None:
    assert create_scheduler(preset).get_temperature(ply) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("ply", "wanted"), QUIET_AGGRESSIVE)
def test_the_noisy_preset_without_its_noise(ply: int, wanted: float) -> None:
    found = create_scheduler("aggressive_exploration", noise=0.0).get_temperature(ply)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_the_table_is_long_enough_and_names_every_preset() -> None:
    assert len(TABLE) + len(QUIET_AGGRESSIVE) >= 60
    assert {preset for preset, _, _ in TABLE} | {"aggressive_exploration"} == set(PRESETS)


def test_the_types_have_the_defaults_of_the_table() -> None:
    linear = TemperatureScheduler(TemperatureConfig())
    assert [linear.at(ply) for ply in (10, 35, 60)] == pytest.approx([1.0, 0.55, 0.1])
    constant = TemperatureScheduler(TemperatureConfig(schedule_type="constant", initial_temp=0.7))
    assert {constant.at(ply) for ply in range(0, 300, 7)} == {0.7}


@pytest.mark.parametrize(
    ("legal", "entropy", "ply", "wanted"),
    [
        (50, 2.0, 0, 1.15 * 1.15),
        (500, 9.0, 0, 1.15 * 1.15),
        (0, 0.0, 0, 0.85 * 0.85),
        (25, 1.0, 0, 1.0),
        (10, None, 0, 1 + 0.3 * (0.2 - 0.5)),
        (None, 0.5, 0, 1 + 0.3 * (0.25 - 0.5)),
        (5, 0.2, 30, (1 - 0.3 * 0.4) * (1 - 0.3 * 0.4) * 0.8),
        (40, 1.6, 90, 1.09 * 1.09 * 0.6),
    ],
)
def test_adaptive_reads_breadth_and_doubt(
    legal: int | None, entropy: float | None, ply: int, wanted: float
) -> None:
    state = {"legal_count": legal, "policy_entropy": entropy}
    scheduler = create_scheduler("adaptive")
    assert scheduler.reads_state
    assert scheduler.get_temperature(ply, state) == pytest.approx(wanted, abs=1e-12)
    assert scheduler.get_temperature(ply, SimpleNamespace(**state)) == pytest.approx(wanted)


def test_adaptive_has_a_floor_of_its_own() -> None:
    low = create_scheduler("adaptive", initial_temp=0.05)
    assert low.get_temperature(0) == 0.1
    assert create_scheduler("adaptive", initial_temp=5.0).get_temperature(0) == 2.0


@pytest.mark.parametrize(
    ("progress", "ply", "wanted"),
    [
        (0.3, 40, 1.5),
        (0.5, 0, 1.0),  # s = 1/2: T = 1.0, k = 30
        (0.5, 30, 1.0),
        (0.5, 40, exp(-0.5)),
        (0.7, 20, 0.5),  # s = 1: T = 0.5, k = 20
        (0.7, 30, 0.5 * exp(-0.5)),
        (1.0, 20, 0.5),
        (1.0, 60, 0.1),  # 0.5 exp(-2) = 0.068
    ],
)
def test_curriculum_follows_the_progress(progress: float, ply: int, wanted: float) -> None:
    scheduler = create_scheduler("curriculum")
    scheduler.set_training_progress(progress)
    assert scheduler.get_temperature(ply) == pytest.approx(wanted, abs=1e-12)


def test_progress_outside_is_refused() -> None:
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected 0 to 1"):
            create_scheduler().set_training_progress(bad)


def test_mixed_is_the_weighted_mean() -> None:
    mixed = TemperatureScheduler(
        TemperatureConfig(
            schedule_type="mixed", parts=((3, PRESETS["default"]), (1, PRESETS["alphazero"]))
        )
    )
    assert mixed.at(0) == 1.0
    assert mixed.at(30) == pytest.approx((3 * 0.7 + 0.0) / 4)
    assert mixed.at(60) == pytest.approx(0.3 / 4)


def test_results_are_clamped_after_the_noise() -> None:
    hot = create_scheduler("cosine", initial_temp=9.0)
    assert hot.get_temperature(0) == 2.0
    wild = create_scheduler("default", noise=50.0)
    drawn = {wild.at(ply) for ply in range(40)}
    assert min(drawn) == 0.01
    assert max(drawn) == 2.0


def test_noise_is_seeded_and_normal() -> None:
    scheduler = create_scheduler("aggressive_exploration", initial_temp=1.0, final_temp=1.0)
    factors = np.array([scheduler.at(ply, seed=seed) for seed in range(40) for ply in range(100)])
    assert factors.mean() == pytest.approx(1, abs=0.01)  # 4 standard errors
    assert factors.std() == pytest.approx(0.15, abs=0.007)
    assert len(set(factors.tolist())) == len(factors)
    again = create_scheduler("aggressive_exploration", initial_temp=1.0, final_temp=1.0)
    backwards = [again.at(ply, seed=39) for ply in reversed(range(100))]
    assert backwards[::-1] == factors[-100:].tolist()


def test_games_draw_their_own_noise_and_a_seed_repeats_it() -> None:
    first, second = (create_scheduler("aggressive_exploration", seed=5) for _ in range(2))
    one = [first.get_temperature(ply) for ply in range(9)]
    assert [second.get_temperature(ply) for ply in range(9)] == one
    first.new_game()
    assert [first.get_temperature(ply) for ply in range(9)] != one
    first.new_game(seed=5)
    assert [first.get_temperature(ply) for ply in range(9)] == one


def test_statistics_are_those_of_the_running_game() -> None:
    scheduler = create_scheduler("default")
    assert scheduler.get_game_stats() == {"count": 0, "mean": 0, "min": 0, "max": 0}
    for ply in (0, 30, 60):
        scheduler.get_temperature(ply)
    stats = scheduler.get_game_stats()
    assert stats == pytest.approx({"count": 3, "mean": 0.6, "min": 0.1, "max": 1.0})
    scheduler.at(0)  # the pure schedule leaves no trace
    assert scheduler.get_game_stats()["count"] == 3
    scheduler.new_game()
    assert scheduler.get_game_stats()["count"] == 0


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "aggressive_exploration"])
def test_large_boards_stretch_a_schedule_only_on_demand(preset: str) -> None:
    assert board_move_scale("square8") == board_move_scale("hex8") == 1
    assert board_move_scale("square19") == board_move_scale("hexagonal") == 2
    plain = create_scheduler(preset)
    wide = create_scheduler(preset, move_scale=board_move_scale("hexagonal"))
    for ply in (0, 7, 20, 33, 45, 80):
        assert wide.at(2 * ply) == plain.at(ply)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known: default, alphazero, aggressive") as caught:
        create_scheduler("alphazer")
    assert isinstance(caught.value, UsageError)
    with pytest.raises(ValueError, match="known: schedule_type, initial_temp, final_temp"):
        create_scheduler("default", start_temp=1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule_type", "sine"),
        ("initial_temp", -0.1),
        ("final_temp", float("nan")),
        ("noise", float("inf")),
        ("decay_start_move", 60),
        ("decay_end_move", 0),
        ("curriculum_moves", -1),
        ("move_scale", 0.0),
        ("seed", -1),
        ("step_schedule", ((30, 0.1), (0, 1.0))),
        ("parts", ((0.0, PRESETS["default"]),)),
        ("parts", ((1.0, PRESETS["aggressive_exploration"]),)),
    ],
)
def test_a_bad_setting_is_named(field: str, value: Any) -> None:
    named = "decay_end_move" if field == "decay_start_move" else field
    with pytest.raises(ValueError, match=f"^{named} is"):
        create_scheduler("default", **{field: value})


def test_types_with_a_need_of_their_own_say_it() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TemperatureConfig(schedule_type="mixed")
    with pytest.raises(ValueError, match="from ply 0"):
        TemperatureConfig(schedule_type="step", step_schedule=((5, 1.0),))
    assert len(SCHEDULE_TYPES) == 8


def test_a_negative_ply_is_refused() -> None:
    with pytest.raises(ValueError, match="move_number"):
        create_scheduler().get_temperature(-1)
