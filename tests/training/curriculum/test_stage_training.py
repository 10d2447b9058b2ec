"""Stages as real trainings: which samples they take, whose weights they go on with."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ringrift.core.errors import UsageError
from ringrift.nets.container import read_card
from ringrift.training.curriculum.stage_training import StageInterrupted, StageTrainer
from ringrift.training.curriculum.stages import STAGES, run_stages

from ..jobs import nnue_policy_job, store_of

pytestmark = pytest.mark.slow
QUICK = tuple(replace(stage, epochs=1) for stage in STAGES)
NEVER = replace(QUICK[1], first_ply=5000, last_ply=6000)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store"))


def test_a_stage_takes_the_samples_of_its_plies_and_goes_on_from_the_one_before(store, tmp_path):
    train = StageTrainer(nnue_policy_job(tmp_path, store))
    assert len(train.lengths) == len(train.dataset.manifest.game_ids)
    stages = (replace(QUICK[0], minimum=0.0), NEVER, replace(QUICK[1], minimum=1.0))
    results = run_stages(stages, train, tmp_path / "runs", key={})
    assert [(one.attempts, one.passed) for one in results] == [(1, True), (0, False), (2, False)]
    plies, held = train.dataset.arrays["ply"], train.dataset.arrays["split_val"]
    for stage in (stages[0], stages[2]):
        inside = np.array([stage.holds(int(ply)) for ply in plies])
        (folder,) = (tmp_path / "runs").glob(f"stage{stage.number}-1-*")
        facts = json.loads((folder / "report.json").read_text())["facts"]
        assert facts["samples"] == (inside & (held == 0)).sum() > 0
        assert facts["validation_samples"] == (inside & (held == 1)).sum() > 0
        assert stage.number != 2 or set(plies[inside]) <= set(range(40, 100))
    objects = tmp_path / "objects"
    last = results[2].model
    card = read_card(objects / last[:2] / f"{last}.safetensors")[1]
    parent = card["parents"][0]["id"]
    card = read_card(objects / parent[:2] / f"{parent}.safetensors")[1]
    assert card["parents"][0]["id"] == results[0].model


def test_an_interrupted_stage_goes_on(store, tmp_path):
    asked = []
    train = StageTrainer(
        nnue_policy_job(tmp_path, store), stop=lambda: asked.append(1) or len(asked) == 3
    )
    with pytest.raises(StageInterrupted, match="same line"):
        run_stages(QUICK[:1], train, tmp_path / "broken", key={})
    broken = run_stages(QUICK[:1], train, tmp_path / "broken", key={})
    whole = run_stages(
        QUICK[:1], StageTrainer(nnue_policy_job(tmp_path, store)), tmp_path / "whole", key={}
    )
    assert broken[0].accuracy == whole[0].accuracy


def test_a_net_without_a_policy_is_refused(store, tmp_path):
    job = nnue_policy_job(tmp_path, store)
    with pytest.raises(UsageError, match="without a policy"):
        StageTrainer(replace(job, request=replace(job.request, kind="nnue")))
