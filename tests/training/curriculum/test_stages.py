"""Stages: their bounds, when one is repeated or ends the run, and going on after a death."""

import json
from itertools import pairwise

import pytest

from ringrift.core.errors import BusyError, DataError, UsageError
from ringrift.core.files import lock
from ringrift.training.curriculum.stages import (
    STAGES,
    STATE_FILE,
    Trained,
    chosen,
    run_stages,
    stages_for,
)

KEY = {"config": "square8_2p", "seed": 1}


class Trainer:
    """Gives the accuracies it is told in turn, and remembers what it was asked for."""

    def __init__(self, *accuracies, dies_at=None):
        self.accuracies, self.dies_at, self.asked = list(accuracies), dies_at, []

    def __call__(self, stage, *, parent, run_dir):
        if self.dies_at == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append((stage.number, parent, run_dir.name))
        if (accuracy := self.accuracies.pop(0)) == "no samples":
            return None
        name = f"model{len(self.asked)}"
        return Trained(model=name, path=f"{name}.file", accuracy=accuracy)


def test_the_table():
    assert [(s.first_ply, s.last_ply, s.minimum, s.epochs, s.learning_rate) for s in STAGES] == [
        (0, 39, 0.60, 15, 1e-3),
        (40, 99, 0.55, 15, 5e-4),
        (100, 199, 0.50, 20, 3e-4),
        (200, 499, 0.45, 20, 2e-4),
        (0, None, 0.45, 30, 1e-4),
    ]


def test_each_ply_below_500_lies_in_one_of_the_first_four_and_in_the_last():
    for ply in range(600):
        assert sum(stage.holds(ply) for stage in STAGES[:4]) == (ply < 500)
        assert STAGES[4].holds(ply)


def test_other_boards_scale_the_bounds_by_their_median_length():
    assert stages_for("square8", [1000, 1000]) == STAGES
    hexagonal = stages_for("hexagonal", [300, 325, 900])  # 2.5 times as long
    assert [(s.first_ply, s.last_ply) for s in hexagonal] == [
        (0, 99), (100, 249), (250, 499), (500, 1249), (0, None),
    ]  # fmt: skip
    short = stages_for("hex8", [40, 50])
    ends = [(s.first_ply, s.last_ply) for s in short[:4]]
    assert all(after[0] == before[1] + 1 for before, after in pairwise(ends))
    with pytest.raises(DataError, match="no game"):
        stages_for("hex8", [])


def test_one_stage_or_all_that_follow():
    assert [s.number for s in chosen(STAGES, 2, onward=False)] == [2]
    assert [s.number for s in chosen(STAGES, 2, onward=True)] == [2, 3, 4, 5]
    with pytest.raises(UsageError, match="1 to 5"):
        chosen(STAGES, 6, onward=True)


def test_a_stage_below_its_minimum_is_repeated_once_then_the_next_begins(tmp_path):
    train = Trainer(0.59, 0.58, 0.55, 0.51)
    results = run_stages(STAGES[:3], train, tmp_path, key=KEY, parent="start")
    assert [(number, parent) for number, parent, _ in train.asked] == [
        (1, "start"), (1, "model1.file"), (2, "model2.file"), (3, "model3.file"),
    ]  # fmt: skip
    assert [(r.attempts, r.passed) for r in results] == [(2, False), (1, True), (1, True)]
    assert len({run for *_, run in train.asked}) == 4


def test_strict_goes_on_only_at_or_above_the_minimum(tmp_path):
    train = Trainer(0.60, 0.54, 0.5499)
    results = run_stages(STAGES, train, tmp_path, key=KEY, strict=True)
    assert [(r.stage.number, r.passed) for r in results] == [(1, True), (2, False)]
    unknown = run_stages(STAGES[:1], Trainer(None, None), tmp_path / "u", key=KEY, strict=True)
    assert not unknown[0].passed


def test_a_stage_without_samples_is_passed_over(tmp_path):
    train = Trainer(0.9, "no samples", 0.9)
    results = run_stages(STAGES[:3], train, tmp_path, key=KEY)
    assert [(r.attempts, r.model, r.passed) for r in results] == [
        (1, "model1", True), (0, "model1", False), (1, "model3", True),
    ]  # fmt: skip
    assert train.asked[2][1] == "model1.file"


def test_a_dead_run_goes_on_with_the_attempt_it_was_in(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_stages(STAGES, Trainer(0.1, 0.7, dies_at=2), tmp_path, key=KEY)
    train = Trainer(0.9, 0.9, 0.9, 0.9)
    results = run_stages(STAGES, train, tmp_path, key=KEY)
    assert [number for number, *_ in train.asked] == [2, 3, 4, 5]
    assert train.asked[0][1] == "model2.file"
    assert [r.attempts for r in results] == [2, 1, 1, 1, 1]
    again = run_stages(STAGES, Trainer(), tmp_path, key=KEY)
    assert again == results


def test_another_curriculum_in_the_folder_is_refused_unless_fresh(tmp_path):
    run_stages(STAGES[:1], Trainer(0.9), tmp_path, key=KEY)
    with pytest.raises(UsageError, match="other settings"):
        run_stages(STAGES[:1], Trainer(), tmp_path, key={**KEY, "seed": 2})
    train = Trainer(0.8)
    run_stages(STAGES[:1], train, tmp_path, key={**KEY, "seed": 2}, fresh=True)
    assert len(train.asked) == 1
    (tmp_path / STATE_FILE).write_text(json.dumps({"key": "x"}))
    with pytest.raises(DataError, match=STATE_FILE):
        run_stages(STAGES[:1], Trainer(), tmp_path, key=KEY)
    with lock(tmp_path / ".curriculum.lock"), pytest.raises(BusyError):
        run_stages(STAGES[:1], Trainer(), tmp_path, key=KEY)
