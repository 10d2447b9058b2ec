"""The device of a job reaches the nets of its workers, and the records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringrift.nets.model_file import init_model
from ringrift.selfplay.agents_of import models_of
from ringrift.selfplay.generator import play_here, selfplay_plans
from ringrift.selfplay.plans import PlayJob
from ringrift.selfplay.run_plan import key_of
from ringrift.selfplay.shelf import AgentShelf

from .jobs import SQUARE8, job
from .runs import plan

CONFIG = SQUARE8.config


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {"net": str(init_model(SQUARE8, size="micro", seed=1, folder=folder))}


def net_job(models: dict[str, str], device: str, **fields: object) -> PlayJob:
    made = job("gumbel@net:m=2,sims=2", models=models, max_plies=20, **fields)
    return replace(made, device=device)


def test_a_net_is_evaluated_where_the_job_says_and_made_once_for_each_place(
    models: dict[str, str],
) -> None:
    shelf = AgentShelf()
    (here,) = shelf.agents(net_job(models, "cpu"))
    (there,) = shelf.agents(net_job(models, "meta"))  # a device of torch that every machine has
    assert here is shelf.agents(net_job(models, "cpu"))[0]
    evaluators = [agent._search._evaluator for agent in (here, there)]
    assert [one.device.type for one in evaluators] == ["cpu", "meta"]
    assert [one.chunk for one in evaluators] == [64, 512]
    assert here.spec.agent_hash == there.spec.agent_hash


def test_a_record_says_where_its_nets_were_evaluated(models: dict[str, str]) -> None:
    plans = selfplay_plans(SQUARE8, range(2), 1)
    for device in ("cpu", "cpu:0"):
        found = [record.meta.device for record, _ in play_here(net_job(models, device), plans)]
        assert found == [device] * 2


def test_the_device_is_among_what_decides_a_run() -> None:
    here, there = plan(), plan(device="cuda:0")
    assert there.job("run").device == there.as_tree()["device"] == "cuda:0"
    assert key_of(here.as_tree()) != key_of(there.as_tree())


def test_the_models_of_a_spec_are_those_of_its_parts_and_its_level() -> None:
    assert models_of("heuristic", CONFIG) == []
    assert models_of("mix(mcts@aa:sims=2*1;random*1)", CONFIG) == ["aa"]
    assert models_of("ladder:level=2", CONFIG) == []
    assert len(models_of("ladder:level=9", CONFIG)) == 1


@pytest.mark.gpu
@pytest.mark.slow
def test_on_a_gpu_games_do_not_depend_on_the_batch(models: dict[str, str]) -> None:
    made = net_job(models, "cuda:0")
    plans = selfplay_plans(SQUARE8, range(16), 1)
    whole, single = (
        {record.meta.index: record.id for record, _ in play_here(made, plans, games=size)}
        for size in (16, 1)
    )
    assert whole == single
